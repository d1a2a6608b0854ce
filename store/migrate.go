package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// migration brings data one schema on. A step may be run again, by another process or at the same time, since one that
// runs it may die; but no process of an older release may be at work: stop them all before the new one starts.
type migration struct {
	to  int
	run func(context.Context, *Store) error
}

// migrations are the steps in their order.
var migrations = []migration{
	{2, slotsOfNodes},
}

// slotsOfNodes is the step to schema 2. Schema 1 had one partition, as a single Redis has now, and so every key but one stays
// where it is: a node's tasks were a set, and are now a hash with the epoch for which each has its slot. Tasks keep the IDs
// they have. A request from before that GitHub delivers again is known by its delivery.
func slotsOfNodes(ctx context.Context, s *Store) error {
	if s.partitions != 1 {
		return fmt.Errorf("its data are those of a single Redis, and redis.mode is %s: set it back", s.options.mode())
	}
	p := s.partitions.bucket(0)
	names, err := s.rdb.SMembers(ctx, p.nodes()).Result()
	if err != nil {
		return err
	}
	for _, name := range names {
		old := p.key("nodetasks:" + name)
		ids, err := s.rdb.SMembers(ctx, old).Result()
		if err != nil {
			return err
		}
		for _, id := range ids {
			epoch, err := s.rdb.HGet(ctx, p.key("task:"+id), "epoch").Result()
			if errors.Is(err, redis.Nil) {
				continue
			}
			if err != nil {
				return err
			}
			if err := s.rdb.HSet(ctx, p.slots(name), id, epoch).Err(); err != nil {
				return err
			}
		}
		if err := s.rdb.Del(ctx, old).Err(); err != nil {
			return err
		}
	}
	return s.rdb.HSet(ctx, keyMeta, "partitions", int(s.partitions), "mode", string(s.options.mode())).Err()
}
