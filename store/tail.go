package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// tailBlock is how long the tail waits in one read. It is woken sooner when the set of streams changes, so it only
// bounds how many commands an idle process makes.
const tailBlock = 5 * time.Second

// errClosed ends followers when the store is closed.
var errClosed = errors.New("the store is closed")

// tail tells any number of followers that a stream of its partition has grown, with one blocking reader for the process: a
// reader each would cost a connection each. It has a reader only once somebody follows. go-redis cannot interrupt a
// blocking read when the set of streams changes, so the set has one more stream in it, the process's own, and whoever
// changes the set writes there.
type tail struct {
	store *Store
	p     partition
	wg    sync.WaitGroup

	mu      sync.Mutex
	watched map[string]*watched
	reading bool
	stopped chan struct{} // closed with the store
}

// watched is one stream: how far the reader has seen it, and who wants to know. A signal says only that there is more;
// what there is each follower reads for itself, so a slow one holds nobody up and nothing is kept twice.
type watched struct {
	seen    string
	signals map[chan struct{}]struct{}
}

func newTail(s *Store, p partition) *tail {
	return &tail{store: s, p: p, watched: map[string]*watched{}, stopped: make(chan struct{})}
}

// follow hands over a stream's entries after the given id, those that are there and those that come, until ctx ends
// (nil) or handle fails.
func (t *tail) follow(ctx context.Context, stream, after string, handle func(id string, values map[string]any) error) error {
	signal, stop, err := t.subscribe(ctx, stream)
	if ctx.Err() != nil && err != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	defer stop()
	for {
		entries, err := t.store.rdb.XRangeN(ctx, stream, "("+after, "+", 100).Result()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		for _, e := range entries {
			if err := handle(e.ID, e.Values); err != nil {
				return err
			}
			after = e.ID
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-signal:
			if !open {
				return errClosed
			}
		}
	}
}

// subscribe returns a channel that holds a signal when the stream has grown since, and is closed with the store.
func (t *tail) subscribe(ctx context.Context, stream string) (<-chan struct{}, func(), error) {
	// The reader starts at the end as it is now. What comes between this and the follower's own first read is in both.
	last, err := t.store.rdb.XRevRangeN(ctx, stream, "+", "-", 1).Result()
	if err != nil {
		return nil, nil, err
	}
	seen := "0-0"
	if len(last) > 0 {
		seen = last[0].ID
	}
	signal := make(chan struct{}, 1)
	stop := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.forget(stream, signal)
	}
	read, err := t.add(ctx, stream, seen, signal)
	if err == nil && read { // without the lock, under which the reader tells of what has come
		err = t.poke(ctx)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return signal, stop, nil
}

// add has a signal told of a stream, from the entry after seen on if nobody follows it yet, and starts the reader where
// there is none. It reports whether there was one, which may be in a wait for other streams.
func (t *tail) add(ctx context.Context, stream, seen string, signal chan struct{}) (read bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isClosed() {
		return false, errClosed
	}
	w := t.watched[stream]
	if w == nil {
		w = &watched{seen: seen, signals: map[chan struct{}]struct{}{}}
		t.watched[stream] = w
	}
	w.signals[signal] = struct{}{}
	if t.reading {
		return true, nil
	}
	client, err := t.store.followReader()
	if err != nil {
		return false, err
	}
	t.reading = true // it outlives its first follower and ends with the store, or when nobody follows any more
	t.wg.Add(1)
	go t.read(context.WithoutCancel(ctx), client)
	return false, nil
}

func (t *tail) forget(stream string, signal chan struct{}) {
	w := t.watched[stream]
	if w == nil {
		return
	}
	delete(w.signals, signal)
	if len(w.signals) == 0 {
		delete(t.watched, stream)
	}
}

// poke ends the reader's present wait.
func (t *tail) poke(ctx context.Context) error {
	wake := t.p.wake(t.store.process)
	_, err := t.store.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: wake, MaxLen: 1, Values: []any{"w", "1"}})
		pipe.Expire(ctx, wake, time.Hour) // what a killed process leaves behind
		return nil
	})
	return err
}

func (t *tail) read(ctx context.Context, client redis.UniversalClient) {
	defer t.wg.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends a rest; a blocking read ends with its client
		select {
		case <-t.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	wake, woken := t.p.wake(t.store.process), "0-0"
	trouble := trouble{what: "reading streams that are followed", partition: t.p}
	for !t.isClosed() {
		names, ids := []string{wake}, []string{woken}
		t.mu.Lock()
		if len(t.watched) == 0 {
			t.reading = false // the next follower starts another
			t.mu.Unlock()
			break
		}
		for name, w := range t.watched {
			names, ids = append(names, name), append(ids, w.seen)
		}
		t.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, tailBlock+answerWithin)
		grown, err := client.XRead(within, &redis.XReadArgs{Streams: append(names, ids...), Count: 100, Block: tailBlock}).Result()
		cancel()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		if trouble.rest(ctx, err) {
			continue
		}
		t.mu.Lock()
		for _, stream := range grown {
			last := stream.Messages[len(stream.Messages)-1].ID
			if stream.Stream == wake {
				woken = last
				continue
			}
			w := t.watched[stream.Stream]
			if w == nil {
				continue // its last follower left while we read
			}
			w.seen = last
			for signal := range w.signals {
				select {
				case signal <- struct{}{}:
				default: // it has one already
				}
			}
		}
		t.mu.Unlock()
	}
}

func (t *tail) isClosed() bool {
	select {
	case <-t.stopped:
		return true
	default:
		return false
	}
}

// close ends the followers; the reader ends when its client is closed.
func (t *tail) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.stopped)
	for _, w := range t.watched {
		for signal := range w.signals {
			close(signal)
		}
	}
	t.watched = map[string]*watched{}
}
