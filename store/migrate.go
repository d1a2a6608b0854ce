package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
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
	{3, tasksThatEnded},
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

// tasksThatEnded is the step to schema 3. Until then nothing listed the tasks that are over, which stayed for ever, and a task
// did not know what its questions had been answered with.
func tasksThatEnded(ctx context.Context, s *Store) error {
	return s.eachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		keys := master.Scan(ctx, 0, "{*}:*:*", 1000).Iterator()
		for keys.Next(ctx) {
			tag, name, _ := strings.Cut(strings.TrimPrefix(keys.Val(), "{"), "}:")
			var err error
			switch kind, id, _ := strings.Cut(name, ":"); kind {
			case "task":
				err = s.listEnded(ctx, partition(tag), task.ID(id))
			case "answered":
				err = s.noteAnswered(ctx, partition(tag), task.ID(id))
			}
			if err != nil {
				return err
			}
		}
		return keys.Err()
	})
}

func (s *Store) listEnded(ctx context.Context, p partition, id task.ID) error {
	state, err := s.rdb.HGet(ctx, p.task(id), "state").Result()
	if err != nil || !task.State(state).Final() {
		return ignoreNil(err)
	}
	at, err := s.rdb.HGet(ctx, p.task(id), "at:"+state).Float64()
	if errors.Is(err, redis.Nil) {
		at, err = float64(time.Now().UnixMilli()), nil // it does not say: it is kept as if it had ended now
	}
	if err != nil {
		return fmt.Errorf("when task %s ended: %w", id, err)
	}
	return s.rdb.ZAdd(ctx, p.ended(), redis.Z{Score: at, Member: string(id)}).Err()
}

func (s *Store) noteAnswered(ctx context.Context, p partition, instead task.ID) error {
	answered, err := s.rdb.Get(ctx, p.answered(instead)).Result()
	if err != nil {
		return ignoreNil(err)
	}
	return s.run(ctx, "note", []string{p.task(task.ID(answered))}, "answered:"+string(instead), "1").Err()
}

// ignoreNil is the error of a read, none where only nothing was found: it went while it was looked at.
func ignoreNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
