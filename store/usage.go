package store

import (
	"context"
	"fmt"

	"sam/task"
)

// RecordUsage adds one request's tokens and money to what the task has spent. The epoch is that of the attempt that made
// the request; one that is over by now counts too. ErrStale when the task has not come to that epoch, or does not exist.
func (s *Store) RecordUsage(ctx context.Context, id task.ID, epoch int64, u task.Usage) error {
	return s.recordUsage(ctx, id, epoch, u, operation())
}

func (s *Store) recordUsage(ctx context.Context, id task.ID, epoch int64, u task.Usage, operation string) error {
	ok, err := s.run(ctx, "usage", []string{s.partitions.task(id).task(id)},
		epoch, operation, u.Input, u.Output, u.CacheRead, u.CacheWrite, u.MicroUSD).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("record what task %s used, epoch %d: %w", id, epoch, task.ErrStale)
	}
	return nil
}
