package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/task"
)

// How the consumer reads.
const (
	group         = "sam"
	consumeBlock  = 2 * time.Second
	consumeCount  = 64
	consumeAtOnce = 32               // handlers that run at once in one process
	claimIdle     = 30 * time.Second // a delivery whose consumer has been silent for this long is taken over
	claimEvery    = 10 * time.Second
	sweepEvery    = time.Second
)

// Handlers is what a process does with what it reads. Each may be called twice for the same thing, and by several
// goroutines at once.
type Handlers struct {
	// Delivery handles an accepted delivery. When it fails the delivery stays and comes again after claimIdle.
	Delivery func(context.Context, task.Delivery) error
	// Task looks at a task that may be claimed.
	Task func(context.Context, task.ID)
	// Owed delivers what is due to an installation.
	Owed func(context.Context, int64)
}

// Consume reads what there is to do and hands it over until ctx ends; then it waits for the handlers that run. It is
// this process's one reader of the partition, on a connection of its own. Beside the streams it looks every second at
// the deadlines and at what is owed, which are the truth.
func (s *Store) Consume(ctx context.Context, h Handlers) error {
	for _, stream := range []string{s.p.intake(), s.p.work()} {
		err := s.rdb.XGroupCreateMkStream(ctx, stream, group, "0").Err()
		if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
			return fmt.Errorf("create the consumer group of %s: %w", stream, err)
		}
	}
	client := s.reader()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() }) // ends the blocking read
	defer stop()

	handlers := &errgroup.Group{}
	handlers.SetLimit(consumeAtOnce)
	c := &consumer{store: s, handlers: h, run: handlers, busy: map[string]bool{}}
	loops, ctx := errgroup.WithContext(ctx)
	loops.Go(func() error { return c.readStreams(ctx, client) })
	loops.Go(func() error { return c.sweep(ctx) })
	loops.Go(func() error { return c.takeOver(ctx) })
	err := loops.Wait()
	return errors.Join(err, handlers.Wait())
}

type consumer struct {
	store    *Store
	handlers Handlers
	run      *errgroup.Group

	mu   sync.Mutex
	busy map[string]bool // tasks and installations that a handler of this process is at
}

func (c *consumer) readStreams(ctx context.Context, client *redis.Client) error {
	intake, work := c.store.p.intake(), c.store.p.work()
	for ctx.Err() == nil {
		read, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: group, Consumer: c.store.process, Streams: []string{intake, work, ">", ">"},
			Count: consumeCount, Block: consumeBlock,
		}).Result()
		switch {
		case ctx.Err() != nil || errors.Is(err, redis.Nil):
			continue
		case err != nil:
			zerolog.Ctx(ctx).Warn().Err(err).Msg("reading what there is to do failed; trying again")
			wait(ctx, 200*time.Millisecond)
			continue
		}
		for _, stream := range read {
			for _, m := range stream.Messages {
				if stream.Stream == intake {
					c.deliver(ctx, m)
				} else {
					c.wake(ctx, m)
				}
			}
		}
	}
	return nil
}

// deliver handles one delivery and forgets it when that went well.
func (c *consumer) deliver(ctx context.Context, m redis.XMessage) {
	d := task.Delivery{ID: text(m, "id"), Event: text(m, "event"), Body: []byte(text(m, "body")), At: entryTime(m.ID)}
	c.run.Go(func() error {
		log := zerolog.Ctx(ctx).With().Str("delivery", d.ID).Str("event", d.Event).Logger()
		// A delivery that was begun is finished though SAM is stopping: what it makes is one script.
		ctx := log.WithContext(context.WithoutCancel(ctx))
		ctx, cancel := context.WithTimeout(ctx, claimIdle)
		defer cancel()
		if err := c.handlers.Delivery(ctx, d); err != nil {
			log.Error().Err(err).Msg("handling a delivery failed; it will be tried again")
			return nil
		}
		if err := c.store.forgetDelivery(ctx, m.ID); err != nil {
			log.Error().Err(err).Msg("a handled delivery could not be removed; it will be handled again, to no effect")
		}
		return nil
	})
}

func (s *Store) forgetDelivery(ctx context.Context, entry string) error {
	_, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.XAck(ctx, s.p.intake(), group, entry)
		pipe.XDel(ctx, s.p.intake(), entry)
		return nil
	})
	return err
}

func (c *consumer) wake(ctx context.Context, m redis.XMessage) {
	// The entry is forgotten before it is acted on: if this process dies the sweep finds the same work.
	if err := c.store.rdb.XAck(ctx, c.store.p.work(), group, m.ID).Err(); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("acknowledging a wake-up failed")
	}
	switch kind, name := text(m, "kind"), text(m, "id"); kind {
	case "task":
		c.task(ctx, task.ID(name))
	case "owed":
		if n, err := strconv.ParseInt(name, 10, 64); err == nil {
			c.owed(ctx, n)
		}
	}
}

func (c *consumer) task(ctx context.Context, id task.ID) {
	c.once("task "+string(id), func() { c.handlers.Task(ctx, id) })
}

func (c *consumer) owed(ctx context.Context, installation int64) {
	c.once("owed "+strconv.FormatInt(installation, 10), func() { c.handlers.Owed(ctx, installation) })
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

// sweep acts on deadlines and on what is owed: what the streams did not wake anybody for.
func (c *consumer) sweep(ctx context.Context) error {
	for wait(ctx, sweepEvery) {
		ids, err := c.store.Due(ctx, 100)
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the sweep failed; trying again")
			continue
		}
		for _, id := range ids {
			c.task(ctx, id)
		}
		installations, err := c.store.Owing(ctx)
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("the sweep failed; trying again")
			continue
		}
		for _, installation := range installations {
			c.owed(ctx, installation)
		}
	}
	return nil
}

// takeOver handles deliveries that a consumer took and did not finish: it died, or handling failed.
func (c *consumer) takeOver(ctx context.Context) error {
	for wait(ctx, claimEvery) {
		start := "0-0"
		for {
			messages, next, err := c.store.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
				Stream: c.store.p.intake(), Group: group, Consumer: c.store.process,
				MinIdle: claimIdle, Start: start, Count: consumeCount,
			}).Result()
			if err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("taking over deliveries failed; trying again")
				break
			}
			for _, m := range messages {
				c.deliver(ctx, m)
			}
			if start = next; start == "0-0" {
				break
			}
		}
	}
	return nil
}

// wait returns false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func text(m redis.XMessage, field string) string {
	s, _ := m.Values[field].(string)
	return s
}

// entryTime is when Redis appended an entry: the milliseconds before the dash of its id.
func entryTime(id string) time.Time {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}
