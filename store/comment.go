package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"sam/task"
)

// Hear adds what an event says of a comment to what is known of it, and returns the whole. Newer words replace older ones,
// an edit wins over a creation of the same second, and deleted is for ever. What is known is kept as long as a delivery's
// GUID.
func (s *Store) Hear(ctx context.Context, project, comment int64, h task.Heard) (task.Heard, error) {
	answer, err := s.run(ctx, "hear", []string{s.partitions.project(project).comment(project, comment)},
		flag(h.Created), flag(h.Deleted), flag(h.Edited), h.Words, h.At.UnixMilli(), h.Commands, rememberDeliveries.Milliseconds()).Slice()
	if err != nil {
		return task.Heard{}, err
	}
	if len(answer) != 5 {
		return task.Heard{}, fmt.Errorf("hear of comment %d: %d values", comment, len(answer))
	}
	at, err1 := strconv.ParseInt(fmt.Sprint(answer[3]), 10, 64)
	commands, err2 := strconv.Atoi(fmt.Sprint(answer[4]))
	if err := errors.Join(err1, err2); err != nil {
		return task.Heard{}, fmt.Errorf("hear of comment %d: %w", comment, err)
	}
	known := task.Heard{Created: answer[0] == "1", Deleted: answer[1] == "1", Words: h.Words, At: h.At, Commands: commands}
	if words, ok := answer[2].(string); ok && at >= h.At.UnixMilli() {
		known.Edited, known.Words, known.At = true, words, time.UnixMilli(at)
	}
	return known, nil
}

// Amend replaces the request of a task that is still queued, with an entry and effects for it. It returns false, and writes
// nothing, when the task is past that, has these words or newer ones, or does not exist.
func (s *Store) Amend(ctx context.Context, id task.ID, words string, at time.Time, c task.Change) (bool, error) {
	t, err := s.Task(ctx, id)
	if errors.Is(err, task.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, entry, effects, err := encodeChange(c)
	if err != nil {
		return false, fmt.Errorf("encode an amendment of task %s: %w", id, err)
	}
	p := s.partitions.task(id)
	done, err := s.run(ctx, "amend",
		[]string{p.task(id), p.work(), p.conversation(t.Project), p.owed(t.Installation), p.owedBody(t.Installation), p.owing(), p.changed(id)},
		words, at.UnixMilli(), entry, t.Installation, effects).Int()
	return done == 1, err
}
