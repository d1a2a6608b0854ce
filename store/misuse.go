package store

import (
	"context"
	"fmt"

	"sam/task"
)

// NoteMisuse notes that a task's token was shown where it opens nothing. task.ErrNotFound when there is no such task.
func (s *Store) NoteMisuse(ctx context.Context, id task.ID, how task.Misuse) error {
	p := s.partitions.task(id)
	found, err := s.run(ctx, "misuse", []string{p.task(id), p.changed(id)}, string(how)).Int()
	if err == nil && found == 0 {
		err = fmt.Errorf("task %s: %w", id, task.ErrNotFound)
	}
	return err
}
