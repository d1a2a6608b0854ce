package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"sam/task"
)

// takeSlot takes one of a node's slots for an epoch of a task; repeating it takes no second. ErrFull, ErrStale.
func (s *Store) takeSlot(ctx context.Context, t task.Task, node string) error {
	p := s.partitions.node(node)
	what, err := s.run(ctx, "reserve", []string{p.node(node), p.slots(node)}, string(t.ID), t.Epoch, t.Account).Text()
	switch {
	case err != nil:
		return err
	case what == "stale":
		return fmt.Errorf("place task %s, epoch %d: %w", t.ID, t.Epoch, task.ErrStale)
	case what == "full":
		return fmt.Errorf("place task %s on %s: %w", t.ID, node, task.ErrFull)
	}
	return nil
}

// freeSlot gives back the slot that a task has taken up to an epoch, and wakes a task that waits for one. When it fails the
// sweep does it.
func (s *Store) freeSlot(ctx context.Context, node string, id task.ID, epoch int64) {
	if err := s.giveSlot(ctx, node, id, epoch); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("node", node).Str("task", string(id)).Msg("a slot was not given back; the sweep tries again")
	}
}

func (s *Store) giveSlot(ctx context.Context, node string, id task.ID, epoch int64) error {
	p := s.partitions.node(node)
	freed, err := s.run(ctx, "release", []string{p.slots(node), p.node(node)}, string(id), epoch).Int()
	if err != nil || freed == 0 {
		return err
	}
	return s.rouse(ctx, 1)
}

// rouse wakes up to so many tasks of each partition that wait for a node, the longest waiting first; 0 for all.
func (s *Store) rouse(ctx context.Context, most int) error {
	for _, p := range s.partitions.all() {
		if err := s.run(ctx, "rouse", []string{p.starved(), p.work()}, most).Err(); err != nil {
			return err
		}
	}
	return nil
}

// slot is one of a node's that is taken.
type slot struct {
	node  string
	task  task.ID
	epoch int64
}

// sweepSlots gives back the slots of a partition's nodes whose task is not there: it was never placed because a process
// died, or it has left and nobody told the node's partition.
func (s *Store) sweepSlots(ctx context.Context, p partition) error {
	taken, err := s.takenSlots(ctx, p)
	if err != nil {
		return err
	}
	for _, one := range taken {
		r, err := s.rdb.HMGet(ctx, s.partitions.task(one.task).task(one.task), "state", "epoch", "node").Result()
		if err != nil {
			return fmt.Errorf("read task %s: %w", one.task, err)
		}
		if one.rightful(r) {
			continue
		}
		if err := s.giveSlot(ctx, one.node, one.task, one.epoch); err != nil {
			return err
		}
		zerolog.Ctx(ctx).Info().Str("node", one.node).Str("task", string(one.task)).Int64("epoch", one.epoch).Msg("a slot whose task is not there was given back")
	}
	return nil
}

func (s *Store) takenSlots(ctx context.Context, p partition) ([]slot, error) {
	names, err := s.rdb.SMembers(ctx, p.nodes()).Result()
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	if len(names) == 0 {
		return nil, nil
	}
	reads := make([]*redis.MapStringStringCmd, len(names))
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, name := range names {
			reads[i] = pipe.HGetAll(ctx, p.slots(name))
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the slots of %d nodes: %w", len(names), err)
	}
	var taken []slot
	for i, name := range names {
		for member, epoch := range reads[i].Val() {
			n, err := strconv.ParseInt(epoch, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the slots of node %s: task %s: %w", name, member, err)
			}
			taken = append(taken, slot{name, task.ID(member), n})
		}
	}
	return taken, nil
}

// rightful reports whether the task, by its state, epoch and node, has the slot or is about to.
func (o slot) rightful(r []any) bool {
	state, _ := r[0].(string)
	epoch, _ := r[1].(string)
	node, _ := r[2].(string)
	if epoch != id(o.epoch) {
		return false
	}
	switch task.State(state) {
	case task.Placing:
		return true // between the two steps of Place; the next claim is another epoch
	case task.Preparing, task.Running, task.Waiting:
		return node == o.node
	default:
		return false
	}
}
