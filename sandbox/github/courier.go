package github

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// patience is how long the next delivery waits for the one before it. Order is
	// kept for an app that answers; one that hangs must not hold up everything.
	patience = time.Second
	// inFlight is how many deliveries to one app may be unanswered at a time.
	inFlight = 50
)

// parcel is a webhook on its way to an app.
type parcel struct {
	seq          int64 // counts what happened, in its order
	guid         string
	event        string
	action       string
	installation int64 // 0: none
	repository   int64 // 0: none
	payload      []byte
	redelivery   bool
	twinOf       string    // the GUID of the delivery that it repeats under another
	struck       *Rule     // by which fault, until that is dealt with
	fault        FaultKind // one that concerns the attempt itself
}

// courier sends an app's webhooks in the order in which things happened, unless a
// fault wills otherwise, and keeps the log of it. A webhook is sent once.
type courier struct {
	app    *app
	server *Server
	cancel context.CancelFunc
	done   chan struct{}
	woken  chan struct{} // holds one token when there may be work
	slots  chan struct{} // one token for each delivery under way
	work   sync.WaitGroup

	mu      sync.Mutex
	posted  int64
	queue   []parcel
	held    []parcel      // to be reordered: each waits for a later one to pass
	open    int           // parcels that are not done with
	idle    chan struct{} // closed and replaced whenever there is nothing left to send
	log     []*delivered  // with payloads, as far back as the log goes
	past    []attempt     // without, for ever
	stopped bool
}

func startCourier(s *Server, a *app) *courier {
	ctx, cancel := context.WithCancel(context.Background())
	c := &courier{
		app: a, server: s, cancel: cancel, done: make(chan struct{}), woken: make(chan struct{}, 1),
		slots: make(chan struct{}, inFlight), idle: make(chan struct{}),
	}
	go c.run(ctx)
	return c
}

func (c *courier) run(ctx context.Context) {
	defer close(c.done)
	defer c.work.Wait()
	for {
		p, ok := c.next()
		if ok {
			c.dispatch(ctx, p)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-c.woken:
		}
	}
}

// dispatch sends one parcel, or does with it what a fault demands.
func (c *courier) dispatch(ctx context.Context, p parcel) {
	if p.struck != nil && c.befall(ctx, &p) {
		return
	}
	sent := c.begin(ctx, p)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-sent:
	case <-timer.C:
	case <-ctx.Done():
	}
	c.overtaken(p.seq)
}

// begin sends a parcel; the channel is closed when it has its place in the log.
func (c *courier) begin(ctx context.Context, p parcel) <-chan struct{} {
	sent := make(chan struct{})
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		close(sent)
		c.finish(nil)
		return sent
	}
	c.work.Go(func() {
		defer close(sent)
		d := c.send(ctx, p)
		<-c.slots
		c.finish(d)
	})
	return sent
}

func (c *courier) next() (parcel, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.stopped {
		return parcel{}, false
	}
	p := c.queue[0]
	c.queue = c.queue[1:]
	return p, true
}

func (c *courier) post(p parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.posted++
	p.seq = c.posted
	// Now, not when it is sent: what befalls an event depends on what happened before
	// it, not on how fast that was delivered.
	if p.event != "ping" {
		o := occasion{at: onDelivery, event: p.event, action: p.action}
		if rule, strikes := c.server.roll(o, func(Rule) bool { return true }); strikes {
			p.struck = &rule
		}
	}
	c.open++
	c.queue = append(c.queue, p)
	c.wake()
}

// wake is called with c.mu held.
func (c *courier) wake() {
	select {
	case c.woken <- struct{}{}:
	default:
	}
}

// finish puts an attempt into the log; nil is one that was given up.
func (c *courier) finish(d *delivered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d != nil {
		c.log = append(c.log, d)
		c.forgetOld()
		c.past = append(c.past, d.attempt())
	}
	c.open--
	if c.open == 0 {
		close(c.idle)
		c.idle = make(chan struct{})
	}
}

func (c *courier) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.cancel()
	<-c.done
}

// settled waits until nothing is left to send.
func (c *courier) settled(ctx context.Context) error {
	for {
		c.mu.Lock()
		idle, left := c.idle, c.open > 0
		c.mu.Unlock()
		if !left {
			return nil
		}
		select {
		case <-idle:
		case <-c.done:
			return errors.New("the server was closed with webhooks left to send")
		case <-ctx.Done():
			return fmt.Errorf("wait for the webhooks of %s: %w", c.app.slug, ctx.Err())
		}
	}
}

// forgetOld drops what the log no longer holds. With c.mu held.
func (c *courier) forgetOld() {
	oldest := c.server.now().Add(-c.server.keep)
	c.log = slices.DeleteFunc(c.log, func(d *delivered) bool { return d.at.Before(oldest) })
	if over := len(c.log) - keptDeliveries; over > 0 {
		c.log = slices.Delete(c.log, 0, over)
	}
}

// find looks an entry of the log up; nil when it is not there.
func (c *courier) find(id int64) *delivered {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetOld()
	for _, d := range c.log {
		if d.id == id {
			return d
		}
	}
	return nil
}

// entries copies the log, newest first.
func (c *courier) entries() []*delivered {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetOld()
	list := slices.Clone(c.log)
	slices.SortFunc(list, func(a, b *delivered) int { return int(b.id - a.id) })
	return list
}
