package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"sam/store/blob"
	"sam/task"
)

// A task's events are one sequence from 1, wherever they lie: the older ones on the shelf, in chunks, the newer ones in
// the task's stream, and of a large one its head in the stream and the whole beside it.

// wholeKey names the object with an event whose head is in the stream. A later attempt may use the number again.
func wholeKey(id task.ID, epoch int64, seq int64) string {
	return fmt.Sprintf("whole/%s/%d-%d.json", id, epoch, seq)
}

// head is what the stream keeps of an event, and where the whole lies when that is less. An event that cannot be put aside
// stays in the stream as it is: it is not larger than task.MaxEvent.
func (s *Store) head(ctx context.Context, id task.ID, epoch int64, e task.Numbered) (head []byte, whole string) {
	if s.options.Blobs == nil || len(e.JSON) <= task.MaxHead {
		return e.JSON, ""
	}
	event, err := task.ParseEvent(e.JSON)
	if err != nil {
		return e.JSON, ""
	}
	head, err = task.Fit(event, task.MaxHead)
	if err != nil {
		return e.JSON, ""
	}
	key := wholeKey(id, epoch, e.Seq)
	if err := s.options.Blobs.Put(ctx, key, e.JSON); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("task", string(id)).Msg("a large event could not be put aside; it stays in Redis")
		return e.JSON, ""
	}
	return head, key
}

// event reads an entry of a task's stream. When the whole of it is gone its head has to do.
func (s *Store) event(ctx context.Context, id task.ID, entry string, values map[string]any) (task.Numbered, error) {
	seq, err := sequence(entry)
	if err != nil {
		return task.Numbered{}, fmt.Errorf("read events of task %s: %w", id, err)
	}
	text, ok := values["event"].(string)
	if !ok {
		return task.Numbered{}, fmt.Errorf("read events of task %s: entry %s has no event", id, entry)
	}
	e := task.Numbered{Seq: seq, JSON: []byte(text)}
	if key, ok := values["whole"].(string); ok && s.options.Blobs != nil {
		whole, err := s.options.Blobs.Get(ctx, key)
		if errors.Is(err, blob.ErrNotFound) { // it went to the shelf since the entry was read
			if some, chunkErr := s.chunk(ctx, id, seq-1); chunkErr == nil {
				return some[0], nil
			}
		}
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Str("task", string(id)).Int64("event", seq).Msg("only the head of a large event is left")
			return e, nil
		}
		e.JSON = whole
	}
	return e, nil
}

// sequence is the event's number in its entry's id.
func sequence(entry string) (int64, error) {
	var seq int64
	if _, err := fmt.Sscanf(entry, "%d-", &seq); err != nil {
		return 0, fmt.Errorf("entry %q: %w", entry, err)
	}
	return seq, nil
}

// shelved is the number up to which a task's events are on the shelf, 0 for none.
func (s *Store) shelved(ctx context.Context, id task.ID) (int64, error) {
	n, err := s.rdb.HGet(ctx, s.partitions.task(id).task(id), fieldShelved).Int64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read task %s: %w", id, err)
	}
	return n, nil
}

// chunk reads the events with numbers above after from the object that holds the next one.
func (s *Store) chunk(ctx context.Context, id task.ID, after int64) ([]task.Numbered, error) {
	if s.options.Blobs == nil {
		return nil, fmt.Errorf("events of task %s after %d are in the blob store, and none is configured", id, after)
	}
	packed, err := s.options.Blobs.Get(ctx, chunkKey(id, after+1))
	if err != nil {
		return nil, fmt.Errorf("read events of task %s after %d: %w", id, after, err)
	}
	events, err := decodeChunk(packed)
	if err != nil {
		return nil, fmt.Errorf("read events of task %s after %d: %w", id, after, err)
	}
	for len(events) > 0 && events[0].Seq <= after {
		events = events[1:]
	}
	if len(events) == 0 || events[0].Seq != after+1 {
		return nil, fmt.Errorf("read events of task %s after %d: its object does not hold the next one: %w", id, after, blob.ErrNotFound)
	}
	return events, nil
}

// Events reads up to limit of a task's events with numbers above after, in order.
func (s *Store) Events(ctx context.Context, id task.ID, after, limit int64) ([]task.Numbered, error) {
	var events []task.Numbered
	for int64(len(events)) < limit {
		entries, err := s.rdb.XRangeN(ctx, s.partitions.task(id).events(id), entryAfter(after), "+", limit-int64(len(events))).Result()
		if err != nil {
			return nil, fmt.Errorf("read events of task %s: %w", id, err)
		}
		if first := firstOf(entries); first != after+1 {
			// The next one is on the shelf, or there is none. The stream is asked first: what leaves it is on the shelf by then.
			shelved, err := s.shelved(ctx, id)
			if err != nil || shelved <= after {
				return events, err
			}
			some, err := s.chunk(ctx, id, after)
			if err != nil {
				return nil, err
			}
			events = append(events, some[:min(int64(len(some)), limit-int64(len(events)))]...)
			after = events[len(events)-1].Seq
			continue
		}
		for _, entry := range entries {
			e, err := s.event(ctx, id, entry.ID, entry.Values)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		break
	}
	return events, nil
}

func entryAfter(seq int64) string { return "(" + strconv.FormatInt(seq, 10) + "-0" }

func firstOf(entries []redis.XMessage) int64 {
	if len(entries) == 0 {
		return 0
	}
	seq, err := sequence(entries[0].ID)
	if err != nil {
		return 0
	}
	return seq
}

// EventsLeft is the number of the first and of the last of a task's events that can still be read; zeros when none can.
func (s *Store) EventsLeft(ctx context.Context, id task.ID) (first, last int64, err error) {
	a, b, err := s.ends(ctx, s.partitions.task(id).events(id))
	if err != nil {
		return 0, 0, err
	}
	if a != "" {
		if first, err = sequence(a); err != nil {
			return 0, 0, err
		}
		if last, err = sequence(b); err != nil {
			return 0, 0, err
		}
	}
	if first == 1 {
		return first, last, nil
	}
	shelved, err := s.shelved(ctx, id)
	if err == nil && shelved > 0 {
		first, last = 1, max(last, shelved)
	}
	return first, last, err
}

// errGap: a follower has fallen behind what is in the stream; what it lacks is on the shelf.
var errGap = errors.New("a gap in the stream")

// FollowEvents hands over a task's events with numbers above after, those that are there and those that come, until ctx
// ends (nil) or handle fails.
func (s *Store) FollowEvents(ctx context.Context, id task.ID, after int64, handle func(task.Numbered) error) error {
	p := s.partitions.task(id)
	for behind := false; ; {
		shelved, err := s.shelved(ctx, id)
		if err == nil && behind && shelved <= after {
			err = fmt.Errorf("event %d is nowhere", after+1)
		}
		for err == nil && after < shelved {
			var some []task.Numbered
			some, err = s.chunk(ctx, id, after)
			for i := 0; err == nil && i < len(some); i++ {
				err = handle(some[i])
				after = some[i].Seq
			}
		}
		if err == nil {
			err = s.tails[p].follow(ctx, p.events(id), strconv.FormatInt(after, 10)+"-0", func(entry string, values map[string]any) error {
				e, err := s.event(ctx, id, entry, values)
				if err != nil {
					return err
				}
				if e.Seq != after+1 {
					return errGap
				}
				after = e.Seq
				return handle(e)
			})
		}
		if behind = errors.Is(err, errGap); behind && ctx.Err() == nil {
			continue
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("follow events of task %s: %w", id, err)
		}
		return nil
	}
}
