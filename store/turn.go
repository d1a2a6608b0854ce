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

// TakeTurn makes this process the one that does a job, for at most the lease, when no other is at it and nobody finished it
// within the last time. It returns Redis's clock.
func (s *Store) TakeTurn(ctx context.Context, job string, lease, every time.Duration) (time.Time, bool, error) {
	return s.turn(ctx, job, strconv.FormatInt(max(1, lease.Milliseconds()), 10), every)
}

// EndTurn says that the job is finished, when the turn is still this process's.
func (s *Store) EndTurn(ctx context.Context, job string) error {
	_, _, err := s.turn(ctx, job, "", 0)
	return err
}

func (s *Store) turn(ctx context.Context, job, lease string, every time.Duration) (time.Time, bool, error) {
	answer, err := s.run(ctx, "turn", []string{deskPartition.turn(job)}, s.process, lease, every.Milliseconds()).Slice()
	if err != nil {
		return time.Time{}, false, err
	}
	if len(answer) != 2 {
		return time.Time{}, false, fmt.Errorf("take the turn to %s: %d values", job, len(answer))
	}
	ms, err := strconv.ParseInt(fmt.Sprint(answer[0]), 10, 64)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("take the turn to %s: %w", job, err)
	}
	return time.UnixMilli(ms), fmt.Sprint(answer[1]) == "1", nil
}

// Seen reports whether a delivery was accepted, within the time that GUIDs are remembered.
func (s *Store) Seen(ctx context.Context, guid string) (bool, error) {
	n, err := s.rdb.Exists(ctx, s.partitions.delivery(guid).seen(guid)).Result()
	if err != nil {
		return false, fmt.Errorf("look for delivery %s: %w", guid, err)
	}
	return n == 1, nil
}

// MissedLog reads what SaveMissedLog wrote last; its zero before.
func (s *Store) MissedLog(ctx context.Context) (task.MissedLog, error) {
	var l task.MissedLog
	encoded, err := s.rdb.Get(ctx, deskPartition.missed()).Bytes()
	if errors.Is(err, redis.Nil) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("read the list of missed deliveries: %w", err)
	}
	if err := json.Unmarshal(encoded, &l); err != nil {
		return l, fmt.Errorf("read the list of missed deliveries: %w", err)
	}
	return l, nil
}

// SaveMissedLog keeps the list for the next look, whichever process takes it.
func (s *Store) SaveMissedLog(ctx context.Context, l task.MissedLog) error {
	encoded, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("keep the list of missed deliveries: %w", err)
	}
	if err := s.rdb.Set(ctx, deskPartition.missed(), encoded, 0).Err(); err != nil {
		return fmt.Errorf("keep the list of missed deliveries: %w", err)
	}
	return nil
}
