package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"sam/task"
)

// DefaultKeep is how long a task is kept after its end, unless Options say otherwise: half a year, in which somebody may still
// want to see what was done and said.
const DefaultKeep = 180 * 24 * time.Hour

// How what is kept no longer is let go of.
const (
	retainFirst  = time.Minute // after the start
	retainEvery  = time.Hour
	retainWithin = 10 * time.Minute // in one go; what is left then is for the next
	retainAtOnce = 100              // tasks that are listed at a time
	servedTurns  = 10_000           // after which it does not matter any more when an account was served
)

// keepFor is how long a task is kept after its end.
func (s *Store) keepFor() time.Duration {
	if s.options.Keep <= 0 {
		return DefaultKeep
	}
	return s.options.Keep
}

// retain lets go of what is kept no longer, until ctx ends. One process does it at a time.
func (s *Store) retain(ctx context.Context) error {
	trouble := trouble{what: "letting go of old tasks"}
	for pause := retainFirst; wait(ctx, pause); pause = retainEvery {
		now, mine, err := s.TakeTurn(ctx, "retain", retainWithin, retainEvery/2)
		if err == nil && mine {
			within, cancel := context.WithTimeout(ctx, retainWithin)
			err = errors.Join(s.pruneOlder(within, now.Add(-s.keepFor())), s.EndTurn(ctx, "retain"))
			cancel()
		}
		trouble.note(ctx, err)
	}
	return nil
}

// pruneOlder lets go of the tasks that ended before a time, of commands that no node has taken since, and of what else would
// only grow. What stays for ever is the conversation, and of each request its ID.
func (s *Store) pruneOlder(ctx context.Context, before time.Time) error {
	gone := 0
	defer func() {
		if gone > 0 {
			zerolog.Ctx(ctx).Info().Int("tasks", gone).Time("ended_before", before).Msg("tasks that ended long ago are kept no longer")
		}
	}()
	for _, p := range s.partitions.all() {
		for {
			ids, err := s.rdb.ZRangeByScore(ctx, p.ended(), &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(before.UnixMilli(), 10), Count: retainAtOnce}).Result()
			if err != nil {
				return fmt.Errorf("list the tasks that ended before %s: %w", before, err)
			}
			for _, name := range ids {
				if err := s.prune(ctx, task.ID(name)); err != nil {
					return fmt.Errorf("let go of task %s: %w", name, err)
				}
			}
			if gone += len(ids); len(ids) < retainAtOnce {
				break
			}
		}
	}
	if err := s.pruneCommands(ctx, before); err != nil {
		return err
	}
	desk := deskPartition.desk()
	return s.run(ctx, "unserve", []string{desk[2], desk[3]}, servedTurns).Err()
}

// prune lets go of one task that is over. Its objects go first: the record is all that names them.
func (s *Store) prune(ctx context.Context, id task.ID) error {
	p := s.partitions.task(id)
	t, err := s.Task(ctx, id)
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	if err == nil && t.State.Final() {
		if err := s.deleteObjects(ctx, t); err != nil {
			return err
		}
	}
	return s.run(ctx, "prune",
		[]string{p.task(id), p.events(id), p.changed(id), p.ended(), p.shelf(), p.spent(), p.branches(t.Project)},
		string(id), p.answeredPrefix()).Err()
}

// deleteObjects removes what a task has in the blob store.
func (s *Store) deleteObjects(ctx context.Context, t task.Task) error {
	if s.options.Blobs == nil {
		return nil
	}
	var keys []string
	if t.BodyCut {
		keys = append(keys, bodyKey(t.ID))
	}
	for seq := int64(1); seq <= t.Last; seq += chunkEvents { // those that are not on the shelf have no chunk, which is no error
		keys = append(keys, chunkKey(t.ID, seq))
	}
	left, err := s.rdb.XRange(ctx, s.partitions.task(t.ID).events(t.ID), "-", "+").Result() // none with a shelf that works
	if err != nil {
		return fmt.Errorf("read events of task %s: %w", t.ID, err)
	}
	for _, entry := range left {
		if key, ok := entry.Values["whole"].(string); ok {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if err := s.options.Blobs.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// pruneCommands forgets commands from before a time: a node that lives has confirmed them, and one that comes back after that
// long is told anew what it is to do.
func (s *Store) pruneCommands(ctx context.Context, before time.Time) error {
	names, err := s.members(ctx, partition.nodes)
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	for _, name := range names {
		for _, p := range s.partitions.all() {
			if err := s.run(ctx, "trim", []string{p.commands(name)}, before.UnixMilli()).Err(); err != nil {
				return fmt.Errorf("forget old commands to node %s: %w", name, err)
			}
		}
	}
	return nil
}

// isSpent reports whether what would ask for the task with that ID has made a task, or answered a question, that is kept no
// longer.
func (s *Store) isSpent(ctx context.Context, id task.ID) (bool, error) {
	spent, err := s.rdb.SIsMember(ctx, s.partitions.task(id).spent(), string(id)).Result()
	if err != nil {
		return false, fmt.Errorf("look whether request %s is spent: %w", id, err)
	}
	return spent, nil
}
