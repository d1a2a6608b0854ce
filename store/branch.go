package store

import (
	"context"
	"errors"

	"sam/task"
)

// HoldBranch gives a branch of a task's repository to the task, unless another that is not over has it, and returns the
// task that has it then. A task may take what it has again.
func (s *Store) HoldBranch(ctx context.Context, t task.Spec, branch string) (task.ID, error) {
	over := task.ID("")
	for {
		text, err := s.run(ctx, "branch", []string{s.partitions.task(t.ID).branches(t.Project)}, branch, string(t.ID), string(over)).Text()
		holder := task.ID(text)
		if err != nil || holder == t.ID {
			return holder, err
		}
		other, err := s.Task(ctx, holder)
		switch {
		case err != nil && !errors.Is(err, task.ErrNotFound):
			return "", err
		case err == nil && !other.State.Final():
			return holder, nil
		}
		over = holder
	}
}
