package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// What is noted of an account's fleet beside its machines. Each note lasts for a time after it was last written: of an account that
// has left nothing stays.

const (
	obstacleKept = 24 * time.Hour // after it may be tried again
	doubtsKept   = 24 * time.Hour // a comparison is due every few minutes
)

// NoteObstacle notes why no machine can be made for an account; its zero that one can.
func (s *Store) NoteObstacle(ctx context.Context, account int64, o task.Obstacle) error {
	key := s.partitions.account(account).obstacle(account)
	if o.Why == "" && o.Mute == 0 {
		if err := s.rdb.Del(ctx, key).Err(); err != nil {
			return fmt.Errorf("note that account %d may have machines: %w", account, err)
		}
		return nil
	}
	text, err := json.Marshal(o)
	if err == nil {
		err = s.rdb.Set(ctx, key, text, max(0, time.Until(o.Until))+obstacleKept).Err()
	}
	if err != nil {
		return fmt.Errorf("note what keeps account %d from machines: %w", account, err)
	}
	return nil
}

// LetGoBefore says which of an account's machines were let go, of those that are named, within the last month.
func (s *Store) LetGoBefore(ctx context.Context, account int64, names []string) (map[string]bool, error) {
	gone := map[string]bool{}
	if len(names) == 0 {
		return gone, nil
	}
	scores, err := s.rdb.ZMScore(ctx, s.partitions.account(account).gone(account), names...).Result()
	if err != nil {
		return nil, fmt.Errorf("read which machines of account %d were let go: %w", account, err)
	}
	for i, name := range names {
		gone[name] = i < len(scores) && scores[i] > 0
	}
	return gone, nil
}

// Doubt notes what looks wrong about an account's machines now, by names of the caller's, and returns since when each did at
// every look. What is not named looks right again.
func (s *Store) Doubt(ctx context.Context, account int64, names []string, now time.Time) (map[string]time.Time, error) {
	key := s.partitions.account(account).doubts(account)
	before, err := s.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("read what was doubted of account %d: %w", account, err)
	}
	since := make(map[string]time.Time, len(names))
	fields := make([]any, 0, 2*len(names))
	for _, name := range names {
		at := now
		if text := before[name]; text != "" {
			ms, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("decode since when %s of account %d is doubted: %w", name, account, err)
			}
			at = time.UnixMilli(ms)
		}
		since[name] = at
		fields = append(fields, name, at.UnixMilli())
	}
	if len(before) == 0 && len(fields) == 0 {
		return since, nil
	}
	if _, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Del(ctx, key)
		if len(fields) > 0 {
			pipe.HSet(ctx, key, fields...)
			pipe.Expire(ctx, key, doubtsKept)
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("note what is doubted of account %d: %w", account, err)
	}
	return since, nil
}

// arrivalsKept is how far back arrivals are kept, and how many at most: what a policy learns from.
const (
	arrivalsKept = 28 * 24 * time.Hour
	arrivalsMost = 10_000
)

// NoteArrival notes when a task came, once, for the policies that learn from it.
func (s *Store) NoteArrival(ctx context.Context, t task.Spec, now time.Time) error {
	key := s.partitions.account(t.Account).arrivals(t.Account)
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.ZAddNX(ctx, key, redis.Z{Score: float64(t.Accepted.UnixMilli()), Member: string(t.ID)})
		pipe.ZRemRangeByScore(ctx, key, "-inf", id(now.Add(-arrivalsKept).UnixMilli()))
		pipe.ZRemRangeByRank(ctx, key, 0, -arrivalsMost-1)
		pipe.Expire(ctx, key, arrivalsKept)
		return nil
	}); err != nil {
		return fmt.Errorf("note when task %s came: %w", t.ID, err)
	}
	return nil
}

// Arrivals lists when an account's tasks of the last four weeks came, oldest first.
func (s *Store) Arrivals(ctx context.Context, account int64) ([]time.Time, error) {
	all, err := s.rdb.ZRangeWithScores(ctx, s.partitions.account(account).arrivals(account), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("read when the tasks of account %d came: %w", account, err)
	}
	times := make([]time.Time, len(all))
	for i, one := range all {
		times[i] = time.UnixMilli(int64(one.Score))
	}
	return times, nil
}
