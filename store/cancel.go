package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sam/task"
)

// Cancel notes why a task is not wanted any more. Whoever claims it next ends it: at once when nobody is at it, else when
// its node has stopped it or task.StopWithin has passed. With states, it does so only while the task is in one of them. It
// returns false when the task is over, is in another state, was cancelled before, or does not exist.
func (s *Store) Cancel(ctx context.Context, id task.ID, why string, in ...task.State) (bool, error) {
	var states strings.Builder
	for _, state := range in {
		states.WriteString(string(state) + ",")
	}
	p := s.partitions.task(id)
	for {
		t, err := s.Task(ctx, id)
		if errors.Is(err, task.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		stop, err := encodeCommand(task.Command{Kind: task.CommandStop, Task: id, Epoch: t.Epoch, Reason: why})
		if err != nil {
			return false, err
		}
		what, err := s.run(ctx, "cancel", []string{p.task(id), p.due(), p.work(), p.commands(t.Node)},
			string(id), why, t.Node, t.Epoch, stop, states.String(), task.StopWithin.Milliseconds()).Text()
		switch {
		case err != nil:
			return false, fmt.Errorf("cancel task %s: %w", id, err)
		case what != "moved":
			return what == "cancelled", nil
		}
	}
}
