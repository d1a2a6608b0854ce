package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"sam/task"
)

// deliver handles one delivery and forgets it when that went well.
func (c *consumer) deliver(ctx context.Context, p partition, m redis.XMessage) {
	d := task.Delivery{ID: text(m, "id"), Event: text(m, "event"), Body: []byte(text(m, "body")), At: entryTime(m.ID)}
	c.run.Go(func() error {
		log := zerolog.Ctx(ctx).With().Str("delivery", d.ID).Str("event", d.Event).Logger()
		// A delivery that was begun is finished though SAM is stopping, if that does not take long: another process handles it
		// else.
		stopping := ctx
		ctx, cancel := context.WithTimeout(log.WithContext(context.WithoutCancel(ctx)), handleWithin)
		defer cancel()
		defer context.AfterFunc(stopping, func() {
			if wait(ctx, lastWithin) {
				cancel()
			}
		})()
		defer c.keep(ctx, p, m.ID)()
		if !protects("ack") {
			_ = c.store.forgetDelivery(ctx, p, m.ID) // before it is handled: if that fails nobody knows of it any more
		}
		if err := c.handlers.Delivery(ctx, d); err != nil {
			log.Error().Err(err).Msg("handling a delivery failed; it will be tried again")
			return nil
		}
		if err := c.store.forgetDelivery(ctx, p, m.ID); err != nil {
			log.Error().Err(err).Msg("a handled delivery could not be removed; it will be handled again, to no effect")
		}
		return nil
	})
}

// keep tells that a delivery is being handled here, so that no other process takes it over, until what it returns is called.
func (c *consumer) keep(ctx context.Context, p partition, entry string) (release func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait(ctx, claimIdle/3) {
			err := c.store.rdb.XClaimJustID(ctx, &redis.XClaimArgs{
				Stream: p.intake(), Group: group, Consumer: c.store.process, Messages: []string{entry},
			}).Err()
			if err != nil && ctx.Err() == nil {
				zerolog.Ctx(ctx).Debug().Err(err).Msg("telling that a delivery is being handled failed; another process may handle it too")
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (s *Store) forgetDelivery(ctx context.Context, p partition, entry string) error {
	_, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.XAck(ctx, p.intake(), group, entry)
		pipe.XDel(ctx, p.intake(), entry)
		return nil
	})
	return err
}

func (c *consumer) wake(ctx context.Context, p partition, m redis.XMessage) {
	// The entry is forgotten before it is acted on: if this process dies the sweep finds the same work.
	if err := c.store.rdb.XAck(ctx, p.work(), group, m.ID).Err(); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("acknowledging a wake-up failed")
	}
	switch kind, name := text(m, "kind"), text(m, "id"); kind {
	case "task":
		c.task(ctx, task.ID(name))
	case "owed":
		if n, err := strconv.ParseInt(name, 10, 64); err == nil {
			c.owed(ctx, task.OwedTo{Partition: string(p), Installation: n})
		}
	}
}

func (c *consumer) task(ctx context.Context, id task.ID) {
	c.once("task "+string(id), func() { c.handlers.Task(ctx, id) })
}

func (c *consumer) owed(ctx context.Context, to task.OwedTo) {
	c.once("owed "+to.Partition+" "+id(to.Installation), func() { c.handlers.Owed(ctx, to) })
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
