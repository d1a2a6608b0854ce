package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"sam/task"
)

// How the consumer reads. The waits only bound what an idle process costs: whatever comes wakes the reader at once.
const (
	group         = "sam"
	consumeBlock  = 5 * time.Second
	consumeCount  = 64
	consumeAtOnce = 32 // handlers that run at once in one process
)

// answerWithin is how much longer than it is asked to wait Redis may take to say that there is nothing. One that was frozen
// or cut off says nothing at all, and another may be the master by then.
const answerWithin = 2 * time.Second

// Handlers is what a process does with what it reads. Each may be called twice for the same thing, and by several
// goroutines at once.
type Handlers struct {
	// Delivery handles an accepted delivery. When it fails the delivery stays and comes again after claimIdle.
	Delivery func(context.Context, task.Delivery) error
	// Task looks at a task that may be claimed.
	Task func(context.Context, task.ID)
	// Owed delivers what is due to an installation.
	Owed func(context.Context, task.OwedTo)
}

// Consume reads what there is to do and hands it over until ctx ends; then it waits for the handlers that run. It has one
// reader for each partition, on a connection of its own. Beside the streams it looks every second at the deadlines and at
// what is owed, which are the truth.
func (s *Store) Consume(ctx context.Context, h Handlers) error {
	for _, p := range s.partitions.all() {
		err := s.createGroups(ctx, p)
		if err == nil {
			err = s.forgetConsumers(ctx, p, consumerForgotten)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
	client, err := s.reader(int(s.partitions))
	if err != nil {
		return err
	}
	defer s.closeReader(client)
	stop := context.AfterFunc(ctx, func() { s.closeReader(client) }) // ends the blocking reads
	defer stop()

	handlers := &errgroup.Group{}
	handlers.SetLimit(consumeAtOnce)
	c := &consumer{store: s, handlers: h, run: handlers, busy: map[string]bool{}}
	loops, ctx := errgroup.WithContext(ctx)
	for _, p := range s.partitions.all() {
		loops.Go(func() error { return c.readStreams(ctx, client, p) })
	}
	loops.Go(func() error { return c.sweep(ctx) })
	loops.Go(func() error { return c.takeOver(ctx) })
	loops.Go(func() error { return s.keepShelving(ctx) })
	loops.Go(func() error { return s.retain(ctx) })
	err = loops.Wait()
	return errors.Join(err, handlers.Wait())
}

// createGroups makes the consumer groups of a partition's streams where they are missing: at the first start, or because
// Redis was wiped.
func (s *Store) createGroups(ctx context.Context, p partition) error {
	for _, stream := range []string{p.intake(), p.work()} {
		err := s.rdb.XGroupCreateMkStream(ctx, stream, group, "0").Err()
		if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return fmt.Errorf("create the consumer group of %s: %w", stream, err)
		}
	}
	return nil
}

type consumer struct {
	store    *Store
	handlers Handlers
	run      *errgroup.Group

	mu   sync.Mutex
	busy map[string]bool // tasks and installations that a handler of this process is at
}

func (c *consumer) readStreams(ctx context.Context, client redis.UniversalClient, p partition) error {
	trouble := trouble{what: "reading what there is to do", partition: p}
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(ctx, consumeBlock+answerWithin)
		read, err := client.XReadGroup(within, &redis.XReadGroupArgs{
			Group: group, Consumer: c.store.process, Streams: []string{p.intake(), p.work(), ">", ">"},
			Count: consumeCount, Block: consumeBlock,
		}).Result()
		cancel()
		if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") {
			err = c.store.createGroups(ctx, p)
		}
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		if trouble.rest(ctx, err) {
			continue
		}
		for _, stream := range read {
			for _, m := range stream.Messages {
				if stream.Stream == p.intake() {
					c.deliver(ctx, p, m)
				} else {
					c.wake(ctx, p, m)
				}
			}
		}
	}
	return nil
}

// once runs f unless the same is running here already; then it runs once more after that, since what woke it may have
// come too late to be seen.
func (c *consumer) once(name string, f func()) {
	c.mu.Lock()
	_, running := c.busy[name]
	c.busy[name] = running
	c.mu.Unlock()
	if running {
		return
	}
	c.run.Go(func() error {
		for {
			f()
			c.mu.Lock()
			again := c.busy[name]
			c.busy[name] = false
			if !again {
				delete(c.busy, name)
			}
			c.mu.Unlock()
			if !again {
				return nil
			}
		}
	})
}
