package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// Wake has somebody look at a task soon.
func (s *Store) Wake(ctx context.Context, id task.ID) error {
	err := s.rdb.XAdd(ctx, &redis.XAddArgs{Stream: s.partitions.task(id).work(), MaxLen: 10_000, Approx: true, Values: []any{"kind", "task", "id", string(id)}}).Err()
	if err != nil {
		return fmt.Errorf("wake task %s: %w", id, err)
	}
	return nil
}
