package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"sam/task"
)

// holdOwed is how long a taken effect is hidden from other deliverers; one that dies gives it back after this.
const holdOwed = 60 * time.Second

// Owe records effects that no task's step carries: a reply to someone whose comment made no task.
func (s *Store) Owe(ctx context.Context, installation int64, effects ...task.Effect) error {
	_, _, encoded, err := encodeChange(task.Change{Effects: effects})
	if err != nil {
		return fmt.Errorf("encode what is owed to installation %d: %w", installation, err)
	}
	return s.run(ctx, "owe",
		[]string{s.p.owed(installation), s.p.owedBody(installation), s.p.owing(), s.p.work()}, installation, encoded).Err()
}

// Owing lists the installations that something is owed to, due or not.
func (s *Store) Owing(ctx context.Context) ([]int64, error) {
	members, err := s.rdb.SMembers(ctx, s.p.owing()).Result()
	if err != nil {
		return nil, fmt.Errorf("list installations that are owed to: %w", err)
	}
	installations := make([]int64, 0, len(members))
	for _, m := range members {
		n, err := strconv.ParseInt(m, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list installations that are owed to: %q: %w", m, err)
		}
		installations = append(installations, n)
	}
	return installations, nil
}

// TakeOwed takes up to limit effects that are due to an installation and hides them from others for a minute.
func (s *Store) TakeOwed(ctx context.Context, installation int64, limit int) ([]task.Owed, error) {
	flat, err := s.run(ctx, "take", []string{s.p.owed(installation), s.p.owedBody(installation), s.p.owing()},
		limit, holdOwed.Milliseconds(), installation).StringSlice()
	if err != nil {
		return nil, err
	}
	effects := make([]task.Owed, 0, len(flat)/4)
	for ; len(flat) >= 4; flat = flat[4:] {
		attempts, err := strconv.Atoi(flat[3])
		if err != nil {
			return nil, fmt.Errorf("take what is owed to installation %d: attempts %q: %w", installation, flat[3], err)
		}
		effects = append(effects, task.Owed{
			Effect:       task.Effect{Target: flat[0], Body: flat[1]},
			Installation: installation, Version: flat[2], Attempts: attempts,
		})
	}
	return effects, nil
}

// Settle closes an effect that was delivered. When a newer version came meanwhile, that one is due at once.
func (s *Store) Settle(ctx context.Context, o task.Owed) error { return s.settle(ctx, o, "") }

// PutOff has an effect that was not delivered come back after a time.
func (s *Store) PutOff(ctx context.Context, o task.Owed, after time.Duration) error {
	return s.settle(ctx, o, strconv.FormatInt(max(1, after.Milliseconds()), 10))
}

func (s *Store) settle(ctx context.Context, o task.Owed, after string) error {
	return s.run(ctx, "settle", []string{s.p.owed(o.Installation), s.p.owedBody(o.Installation)},
		o.Target, o.Version, after).Err()
}
