package github

import (
	"context"
	"slices"
	"time"
)

// befall does with a parcel what the fault demands that has struck it. gone means
// that it is dealt with for now; what concerns the attempt alone is noted in the
// parcel.
func (c *courier) befall(ctx context.Context, p *parcel) (gone bool) {
	dice, rule := &c.server.dice, *p.struck
	p.struck = nil
	switch rule.Kind {
	case Late:
		dice.Hit(Late)
		c.after(ctx, rule.lasts(), func() { c.back(*p) })
		return true
	case Reordered:
		c.mu.Lock()
		c.held = append(c.held, *p)
		c.mu.Unlock()
		c.after(ctx, rule.lasts(), func() { c.release(p.seq) })
		return true
	case Duplicate, Twin:
		dice.Hit(rule.Kind)
		again := *p
		if rule.Kind == Twin {
			again.guid, again.twinOf = newGUID(), p.guid
		}
		c.mu.Lock()
		c.open++
		c.mu.Unlock()
		c.begin(ctx, again)
	default:
		p.fault = rule.Kind
	}
	return false
}

// after does something later, unless the courier is stopped first.
func (c *courier) after(ctx context.Context, d time.Duration, do func()) {
	c.work.Go(func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			do()
		case <-ctx.Done():
		}
	})
}

// back puts a parcel at the head of the queue.
func (c *courier) back(parcels ...parcel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(parcels, c.queue...)
	c.wake()
}

// release gives up waiting for something to overtake a parcel.
func (c *courier) release(seq int64) {
	c.mu.Lock()
	i := slices.IndexFunc(c.held, func(p parcel) bool { return p.seq == seq })
	var p parcel
	if i >= 0 {
		p = c.held[i]
		c.held = slices.Delete(c.held, i, i+1)
	}
	c.mu.Unlock()
	if i >= 0 {
		c.back(p)
	}
}

// overtaken lets those parcels go that a later one has passed.
func (c *courier) overtaken(by int64) {
	var free, still []parcel
	c.mu.Lock()
	for _, p := range c.held {
		if p.seq < by {
			free = append(free, p)
		} else {
			still = append(still, p)
		}
	}
	c.held = still
	c.mu.Unlock()
	for range free {
		c.server.dice.Hit(Reordered)
	}
	if len(free) > 0 {
		c.back(free...)
	}
}
