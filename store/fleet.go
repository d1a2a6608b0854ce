package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// An account's fleet is the machines that are made for it, or are to be made: who wants one enters it here first, with the
// money for its first hours, in one script with the account's caps. A machine counts until its deletion is certain.

// spendKept is for how long an account's spending is kept after the last of it: longer than any budget's month.
const spendKept = 62 * 24 * time.Hour

// Reserve pays a machine's hours ahead. Those that are paid already cost nothing again, so that a repeated call spends
// once. A CapError says what does not allow it; task.ErrNotFound when r is of a machine that is not in the fleet.
func (s *Store) Reserve(ctx context.Context, r task.Reservation, now time.Time) error {
	p := s.partitions.account(r.Account)
	answer, err := s.run(ctx, "pay", []string{p.fleet(r.Account), p.spend(r.Account), p.fleets()},
		r.Account, r.Node, flag(r.New), r.Hours, r.Hour, day(now), month(now), r.Caps.Machines, r.Caps.Daily, r.Caps.Monthly, spendKept.Milliseconds()).Text()
	if err != nil {
		return err
	}
	switch answer {
	case "ok":
		return nil
	case "gone":
		return fmt.Errorf("machine %s of account %d: %w", r.Node, r.Account, task.ErrNotFound)
	case "machines", "day", "month":
		return task.CapError{Cap: answer, Caps: r.Caps}
	}
	return fmt.Errorf("run pay.lua: %q", answer)
}

// Reprice has a machine's paid hours cost what an hour of it does: they were paid before it was known which machine it will be.
func (s *Store) Reprice(ctx context.Context, account int64, node string, hour int64) error {
	p := s.partitions.account(account)
	return s.run(ctx, "reprice", []string{p.fleet(account), p.spend(account)}, node, hour).Err()
}

// goneKept is for how long is remembered that a machine was let go: much longer than one whose creation was begun can be late.
const goneKept = 30 * 24 * time.Hour

// Unreserve takes a machine that is gone out of its account's fleet. Of its hours so many had begun; what was paid for the
// others is given back, and returned.
func (s *Store) Unreserve(ctx context.Context, account int64, node string, begun int) (back int64, err error) {
	p := s.partitions.account(account)
	answer, err := s.run(ctx, "unpay", []string{p.fleet(account), p.spend(account), p.fleets(), p.gone(account)}, account, node, begun, goneKept.Milliseconds()).Text()
	if err != nil {
		return 0, err
	}
	if back, err = strconv.ParseInt(answer, 10, 64); err != nil {
		return 0, fmt.Errorf("run unpay.lua: %w", err)
	}
	return back, nil
}

// Fleet reads an account's machines, by name, each with the hours that are paid of it; and what was spent, or is reserved, of
// this day's and this month's budgets.
func (s *Store) Fleet(ctx context.Context, account int64, now time.Time) (task.Fleet, error) {
	p := s.partitions.account(account)
	pipe := s.rdb.Pipeline()
	entries := pipe.HGetAll(ctx, p.fleet(account))
	spent := pipe.HMGet(ctx, p.spend(account), day(now), month(now))
	obstacle := pipe.Get(ctx, p.obstacle(account))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return task.Fleet{}, fmt.Errorf("read the machines of account %d: %w", account, err)
	}
	f := task.Fleet{Hours: map[string]int{}}
	if text := obstacle.Val(); text != "" {
		if err := json.Unmarshal([]byte(text), &f.Obstacle); err != nil {
			return f, fmt.Errorf("decode what keeps account %d from machines: %w", account, err)
		}
	}
	for node, text := range entries.Val() {
		var entry struct {
			Hours int `json:"hours"`
		}
		if err := json.Unmarshal([]byte(text), &entry); err != nil {
			return f, fmt.Errorf("decode machine %s of account %d: %w", node, account, err)
		}
		f.Hours[node] = entry.Hours
	}
	for i, to := range []*int64{&f.Day, &f.Month} {
		text, _ := spent.Val()[i].(string)
		if text == "" {
			continue
		}
		var err error
		if *to, err = strconv.ParseInt(text, 10, 64); err != nil {
			return f, fmt.Errorf("decode what account %d has spent: %w", account, err)
		}
	}
	return f, nil
}

// Fleets lists the accounts that have machines.
func (s *Store) Fleets(ctx context.Context) ([]int64, error) {
	members, err := s.members(ctx, partition.fleets)
	if err != nil {
		return nil, fmt.Errorf("list the accounts with machines: %w", err)
	}
	accounts := make([]int64, len(members))
	for i, text := range members {
		if accounts[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, fmt.Errorf("list the accounts with machines: %w", err)
		}
	}
	return accounts, nil
}

// Days and months are those of UTC, as the provider's bill has them.
func day(now time.Time) string   { return now.UTC().Format("2006-01-02") }
func month(now time.Time) string { return now.UTC().Format("2006-01") }
