package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// How often is looked at what no stream told of.
const (
	sweepEvery = time.Second
	sweepCount = 100             // tasks of one partition in one sweep
	claimIdle  = 8 * time.Second // a delivery whose consumer has been silent for this long is taken over
	claimEvery = 4 * time.Second
	slotsEvery = 12 * time.Second
	// handleWithin bounds the handling of one delivery: a few calls of GitHub.
	handleWithin = time.Minute
	// lastWithin is what it has left of that when SAM is stopping: a replica drains within 20 s.
	lastWithin = 10 * time.Second
)

// sweep acts on deadlines and on what is owed: what the streams did not wake anybody for.
func (c *consumer) sweep(ctx context.Context) error {
	trouble := trouble{what: "the sweep"}
	for wait(ctx, sweepEvery) {
		trouble.note(ctx, c.sweepOnce(ctx))
	}
	return nil
}

func (c *consumer) sweepOnce(ctx context.Context) error {
	stirring, err := c.store.stirring(ctx)
	if err != nil {
		return err
	}
	for _, p := range stirring {
		ids, owing, err := c.store.due(ctx, p, sweepCount)
		if err != nil {
			return err
		}
		for _, id := range ids {
			c.task(ctx, id)
		}
		for _, to := range owing {
			c.owed(ctx, to)
		}
	}
	return nil
}

// stirring lists the partitions in which there are tasks that are not over, or anything is owed. It is what an idle
// process asks every second: one command for each partition, in one round trip to each server.
func (s *Store) stirring(ctx context.Context) ([]partition, error) {
	all := s.partitions.all()
	there := make([]*redis.IntCmd, len(all))
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, p := range all {
			there[i] = pipe.Exists(ctx, p.due(), p.owing())
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look for open tasks: %w", err)
	}
	var stirring []partition
	for i, p := range all {
		if there[i].Val() > 0 {
			stirring = append(stirring, p)
		}
	}
	return stirring, nil
}

// due lists a partition's tasks whose deadline has passed, the oldest first, and to whom something owed is due.
func (s *Store) due(ctx context.Context, p partition, limit int64) ([]task.ID, []task.OwedTo, error) {
	answer, err := s.run(ctx, "sweep", []string{p.due(), p.owing()}, limit, p.owedPrefix()).Slice()
	if err != nil {
		return nil, nil, err
	}
	if len(answer) != 2 {
		return nil, nil, fmt.Errorf("run sweep.lua: %d answers", len(answer))
	}
	var ids []task.ID
	for _, member := range words(answer[0]) {
		ids = append(ids, task.ID(member))
	}
	var owing []task.OwedTo
	for _, member := range words(answer[1]) {
		n, err := strconv.ParseInt(member, 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("run sweep.lua: installation %q: %w", member, err)
		}
		owing = append(owing, task.OwedTo{Partition: string(p), Installation: n})
	}
	return ids, owing, nil
}

// words reads a list of strings out of a script's answer.
func words(answer any) []string {
	list, _ := answer.([]any)
	all := make([]string, 0, len(list))
	for _, one := range list {
		if s, ok := one.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// Due lists tasks whose deadline has passed, up to limit of each partition.
func (s *Store) Due(ctx context.Context, limit int64) ([]task.ID, error) {
	var all []task.ID
	for _, p := range s.partitions.all() {
		ids, _, err := s.due(ctx, p, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, ids...)
	}
	return all, nil
}

// takeOver handles deliveries that a consumer took and did not finish, because it died or handling failed, and gives back
// slots whose task is not there.
func (c *consumer) takeOver(ctx context.Context) error {
	trouble := trouble{what: "taking over what others left"}
	for rounds := 1; wait(ctx, claimEvery); rounds++ {
		var err error
		for _, p := range c.store.partitions.all() {
			if err = c.takeOverIn(ctx, p); err != nil {
				break
			}
			if rounds%int(slotsEvery/claimEvery) != 0 {
				continue
			}
			if err = c.store.sweepSlots(ctx, p); err != nil {
				break
			}
		}
		trouble.note(ctx, err)
	}
	return nil
}

func (c *consumer) takeOverIn(ctx context.Context, p partition) error {
	start := "0-0"
	for {
		messages, next, err := c.store.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
			Stream: p.intake(), Group: group, Consumer: c.store.process,
			MinIdle: claimIdle, Start: start, Count: consumeCount,
		}).Result()
		if err != nil {
			return fmt.Errorf("take over deliveries: %w", err)
		}
		for _, m := range messages {
			c.deliver(ctx, p, m)
		}
		if start = next; start == "0-0" {
			return nil
		}
	}
}

// wait returns false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
