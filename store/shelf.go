package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// How events leave Redis for the blob store, where there is one.
const (
	fieldShelved  = "shelved"        // of a task: the number up to which its events are on the shelf
	shelveAfter   = 10 * time.Minute // a finished task's events stay in Redis for this long: its page is looked at now
	streamKeeps   = 5 * chunkEvents  // a task that is under way keeps at least so many of its newest in Redis
	shelfEvery    = 15 * time.Second
	shelfAtOnce   = 8           // tasks of one partition in one round
	shelfWithin   = time.Minute // for one task; then another process may take it
	shelfAttempts = 1000        // chunks of one task in one round
)

// keepEvents is append.lua's limit, shelveIn move.lua's time; both empty without a blob store.
func (s *Store) keepEvents() string {
	if s.options.Blobs == nil {
		return ""
	}
	return strconv.Itoa(streamKeeps)
}

func (s *Store) shelveIn() string {
	if s.options.Blobs == nil {
		return ""
	}
	return strconv.FormatInt(shelveAfter.Milliseconds(), 10)
}

// keepShelving shelves what is due, until ctx ends.
func (s *Store) keepShelving(ctx context.Context) error {
	trouble := trouble{what: "shelving old events"}
	for s.options.Blobs != nil && wait(ctx, shelfEvery) {
		for _, p := range s.partitions.all() {
			trouble.note(ctx, s.sweepShelf(ctx, p))
		}
	}
	return nil
}

// sweepShelf shelves the events of a partition's tasks that are due for it.
func (s *Store) sweepShelf(ctx context.Context, p partition) error {
	ids, err := s.run(ctx, "shelf", []string{p.shelf()}, shelfAtOnce, shelfWithin.Milliseconds()).StringSlice()
	if err != nil {
		return err
	}
	for _, name := range ids {
		within, cancel := context.WithTimeout(ctx, shelfWithin)
		err := s.shelve(within, task.ID(name))
		cancel()
		if err != nil && ctx.Err() == nil {
			zerolog.Ctx(ctx).Warn().Err(err).Str("task", name).Msg("shelving a task's events failed; trying again in a minute")
		}
	}
	return nil
}

// shelve moves a task's oldest events into the blob store, a chunk at a time: all of them when the task is over, else as
// many whole chunks as leave streamKeeps in the stream. It may be repeated, and by two processes at once.
func (s *Store) shelve(ctx context.Context, id task.ID) error {
	p := s.partitions.task(id)
	t, err := s.Task(ctx, id)
	if errors.Is(err, task.ErrNotFound) { // Redis has lost it, and this entry of it is left
		return s.rdb.ZRem(ctx, p.shelf(), string(id)).Err()
	}
	if err != nil {
		return err
	}
	over := t.State.Final()
	for range shelfAttempts {
		from, err := s.shelved(ctx, id)
		if err != nil {
			return err
		}
		to := min(from-from%chunkEvents+chunkEvents, t.Last)
		if !over && (to%chunkEvents != 0 || t.Last-to < streamKeeps) || from >= t.Last {
			return s.run(ctx, "shelve", []string{p.task(id), p.events(id), p.shelf()}, string(id), from+1, from, flag(over)).Err()
		}
		if err := s.shelveChunk(ctx, id, from, to); err != nil {
			return err
		}
	}
	return nil
}

// shelveChunk puts the events above from, up to to, on the shelf. A chunk of a task that was thought to be over, and went on,
// is put again with what came since.
func (s *Store) shelveChunk(ctx context.Context, id task.ID, from, to int64) error {
	first := from - from%chunkEvents
	events, err := s.Events(ctx, id, first, to-first)
	if err != nil {
		return err
	}
	if int64(len(events)) != to-first {
		return fmt.Errorf("shelve events %d to %d of task %s: %d are there", first+1, to, id, len(events))
	}
	packed, err := encodeChunk(events)
	if err != nil {
		return fmt.Errorf("shelve events of task %s: %w", id, err)
	}
	if err := s.options.Blobs.Put(ctx, chunkKey(id, to), packed); err != nil {
		return err
	}
	p := s.partitions.task(id)
	heads, err := s.rdb.XRangeN(ctx, p.events(id), entryAfter(from), strconv.FormatInt(to, 10)+"-0", to-from).Result()
	if err != nil {
		return fmt.Errorf("read events of task %s: %w", id, err)
	}
	// The large ones are in the chunk now, where whoever reads their heads looks for them when they are gone. They go first: the
	// heads are all that names them, and a process that dies before it has taken those out finds them again.
	for _, entry := range heads {
		if key, ok := entry.Values["whole"].(string); ok {
			if err := s.options.Blobs.Delete(ctx, key); err != nil {
				return err
			}
		}
	}
	return s.runKept(ctx, p, "shelve", []string{p.task(id), p.events(id), p.shelf()}, string(id), from+1, to, "0").Err()
}
