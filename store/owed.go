package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"sam/task"
)

// holdOwed is how long a taken effect is hidden from other deliverers, unless it is kept for longer; one that dies gives it
// back after this.
const holdOwed = 10 * time.Second

// Owe records effects of one project that no task's step carries: a reply to someone whose comment made no task.
func (s *Store) Owe(ctx context.Context, installation int64, effects ...task.Effect) error {
	return s.OweLater(ctx, installation, 0, effects...)
}

// OweLater records effects of one project that are due after a while.
func (s *Store) OweLater(ctx context.Context, installation int64, after time.Duration, effects ...task.Effect) error {
	if len(effects) == 0 {
		return nil
	}
	body, err := task.ParseEffect(effects[0])
	if err != nil {
		return err
	}
	p := s.partitions.project(body.Project)
	_, _, encoded, err := encodeChange(task.Change{Effects: effects})
	if err != nil {
		return fmt.Errorf("encode what is owed to installation %d: %w", installation, err)
	}
	return s.runKept(ctx, p, "owe",
		[]string{p.owed(installation), p.owedBody(installation), p.owing(), p.work()},
		installation, encoded, after.Milliseconds()).Err()
}

// Owing lists to whom something is owed, due or not.
func (s *Store) Owing(ctx context.Context) ([]task.OwedTo, error) {
	var owing []task.OwedTo
	for _, p := range s.partitions.all() {
		members, err := s.rdb.SMembers(ctx, p.owing()).Result()
		if err != nil {
			return nil, fmt.Errorf("list installations that are owed to: %w", err)
		}
		for _, m := range members {
			n, err := strconv.ParseInt(m, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("list installations that are owed to: %q: %w", m, err)
			}
			owing = append(owing, task.OwedTo{Partition: string(p), Installation: n})
		}
	}
	return owing, nil
}

// TakeOwed takes the most urgent effect that is due to an installation and hides it from others for holdOwed.
// task.ErrNotFound when nothing is due.
func (s *Store) TakeOwed(ctx context.Context, to task.OwedTo) (task.Owed, error) {
	p, hold := partition(to.Partition), operation()
	parts, err := s.run(ctx, "take", []string{p.owed(to.Installation), p.owedBody(to.Installation), p.owing()},
		holdOwed.Milliseconds(), to.Installation, urgencies(), hold).StringSlice()
	if err != nil {
		return task.Owed{}, err
	}
	if len(parts) != 4 {
		return task.Owed{}, fmt.Errorf("what is owed to installation %d: %w", to.Installation, task.ErrNotFound)
	}
	attempts, err := strconv.Atoi(parts[3])
	if err != nil {
		return task.Owed{}, fmt.Errorf("take what is owed to installation %d: attempts %q: %w", to.Installation, parts[3], err)
	}
	owed := task.Owed{
		Effect: task.Effect{Target: parts[0], Body: parts[1]},
		OwedTo: to, Version: parts[2], Attempts: attempts, Hold: hold,
	}
	if !protects("owed") {
		_ = s.Settle(ctx, owed, 0) // before it is delivered: if that fails nobody knows of it any more
	}
	return owed, nil
}

// urgencies is the urgency of each kind of effect as take.lua reads it.
func urgencies() string {
	all := map[task.EffectKind]int{}
	for _, k := range task.EffectKinds() {
		all[k] = k.Urgency()
	}
	encoded, err := json.Marshal(all)
	if err != nil { // a map of words to numbers always encodes
		panic(err)
	}
	return string(encoded)
}

// Settle closes an effect that was delivered. For the quiet time nothing newer is told of its target, so that a burst is
// told once; a task's last word does not wait for it. task.ErrStale when somebody else has taken or delivered the effect
// meanwhile: then it may have been delivered twice.
func (s *Store) Settle(ctx context.Context, o task.Owed, quiet time.Duration) error {
	return s.letGo(ctx, o, "done", quiet)
}

// PutOff has an effect that was not delivered come back after a time. task.ErrStale as for Settle.
func (s *Store) PutOff(ctx context.Context, o task.Owed, after time.Duration) error {
	return s.letGo(ctx, o, "later", after)
}

// KeepOwed hides a taken effect from others for holdOwed from now. task.ErrStale as for Settle.
func (s *Store) KeepOwed(ctx context.Context, o task.Owed) error {
	return s.letGo(ctx, o, "keep", holdOwed)
}

// GiveBack lets an effect go that was not tried: it is due as it was, and not counted as an attempt. task.ErrStale as
// for Settle.
func (s *Store) GiveBack(ctx context.Context, o task.Owed) error { return s.letGo(ctx, o, "back", 0) }

func (s *Store) letGo(ctx context.Context, o task.Owed, how string, after time.Duration) error {
	p := partition(o.Partition)
	still, err := s.run(ctx, "settle", []string{p.owed(o.Installation), p.owedBody(o.Installation), p.owing()},
		o.Target, o.Version, o.Hold, how, after.Milliseconds(), o.Installation).Int()
	if err != nil {
		return err
	}
	if still != 1 {
		return fmt.Errorf("%s, owed to installation %d: %w", o.Target, o.Installation, task.ErrStale)
	}
	return nil
}
