package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/policy"
	"sam/task"
)

// sighting is the newest beat of a node that this process has seen, and since when it has seen no other.
type sighting struct{ beat, since time.Time }

// unheard is since when this process has seen no new beat of a node. A beat's time alone says too little: it is as old as the
// backup in a Redis that was restored, and as the outage in one that could not be written, though the node is well.
func (p *Pool) unheard(n task.Node, now time.Time) time.Time {
	s, known := p.sightings[n.Name]
	if !known || !s.beat.Equal(n.Seen) {
		s = sighting{n.Seen, now}
		p.sightings[n.Name] = s
	}
	return s.since
}

// forget forgets what was noted of nodes that are gone, and of tries that are long over.
func (p *Pool) forget(h house) {
	names := map[string]bool{}
	for _, n := range h.nodes {
		names[n.Name] = true
	}
	for name := range p.sightings {
		if !names[name] {
			delete(p.sightings, name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, t := range p.tries {
		if !t.underWay && time.Since(t.again) > triesKept {
			delete(p.tries, name)
		}
	}
}

// dismiss has machines go that are of no use: those that never called home, and those that are silent.
func (p *Pool) dismiss(ctx context.Context, d *desk) error {
	var errs []error
	for i := range d.nodes {
		n := &d.nodes[i]
		if n.State == task.NodeGoing {
			continue
		}
		unheard := d.now.Sub(p.unheard(*n, d.now))
		var why string
		switch {
		case n.State == task.NodeBooting && p.overdue(*n, d.now) && unheard >= min(p.patience(*n), relink):
			why = mute(*n, p.Timing.CallHome)
		case n.State != task.NodeBooting && d.now.Sub(n.Seen) >= p.Timing.Lost && unheard >= p.Timing.Lost:
			why = fmt.Sprintf("it has been silent for %s", p.Timing.Lost)
		default:
			continue
		}
		if err := p.store.Abandon(ctx, n.Name, why); err != nil {
			errs = append(errs, err)
			continue
		}
		zerolog.Ctx(ctx).Warn().Str("node", n.Name).Int64("account", d.id).Str("why", why).Msg("a machine is given up")
		switch {
		case n.State != task.NodeBooting:
		case n.Machine == nil:
			errs = append(errs, p.hinder(ctx, d, why))
		default:
			errs = append(errs, p.muted(ctx, d, *n, why))
		}
		n.State = task.NodeGoing
	}
	return errors.Join(errs...)
}

// mutePause is the longest pause after a machine that never called home. The first is Timing.Again, for one may be bad luck; each
// further one is four times as long, since each machine costs an hour.
const mutePause = 6 * time.Hour

// muted notes that a machine never called home, and when another is made.
func (p *Pool) muted(ctx context.Context, d *desk, n task.Node, why string) error {
	o := task.Obstacle{Mute: d.fleet.Obstacle.Mute + 1, Made: later(n.Made, d.fleet.Obstacle.Made)}
	if n.Made.Equal(d.fleet.Obstacle.Made) {
		o.Mute-- // they were made at once, and nobody could know better
	}
	pause := p.Timing.Again
	for i := 1; i < o.Mute && pause < mutePause; i++ {
		pause *= 4
	}
	o.Until = d.now.Add(min(pause, max(mutePause, p.Timing.Again)))
	o.Why = again(why, o)
	d.fleet.Obstacle = o
	return p.store.NoteObstacle(ctx, d.id, o)
}

// listen forgets that machines did not call home when one has that was made no earlier; and when this process has only started, for
// then the reason may be gone: it was perhaps started anew with another address.
func (p *Pool) listen(ctx context.Context, d *desk) error {
	o := d.fleet.Obstacle
	called := func(n task.Node) bool {
		return n.State == task.NodeReady && !n.Made.Before(o.Made)
	}
	if o.Mute == 0 || p.at && !slices.ContainsFunc(d.nodes, called) {
		return nil
	}
	d.fleet.Obstacle = task.Obstacle{}
	return p.store.NoteObstacle(ctx, d.id, task.Obstacle{})
}

// relink is how long a node whose record says that it boots has for its link, when this process first sees that: a restored Redis
// says so of a machine that has been at work since, and whose link comes up anew within seconds.
const relink = time.Minute

// overdue reports whether a machine should have called home by now.
func (p *Pool) overdue(n task.Node, now time.Time) bool {
	asked := n.Made
	if n.Machine != nil {
		asked = later(asked, n.Machine.Created) // it may have been had at the tenth try only
	}
	return now.Sub(asked) >= p.patience(n)
}

// patience is how long a machine may take until its first link: less when it has called home in a way that cannot be right.
func (p *Pool) patience(n task.Node) time.Duration {
	if n.Trouble != "" {
		return p.Timing.CallHome / 5
	}
	return p.Timing.CallHome
}

// replace has idle machines go that take no task though somebody waits for one: another costs the same, and works.
func (p *Pool) replace(ctx context.Context, h house, d *desk) error {
	if !slices.ContainsFunc(h.queue, func(t task.Task) bool { return t.Account == d.id }) {
		return nil
	}
	var errs []error
	for i := range d.nodes {
		n := &d.nodes[i]
		ill := policy.Healthy(n.Vitals)
		if n.State != task.NodeReady || len(n.Tasks) > 0 || ill == "" {
			continue
		}
		going, err := p.store.Drain(ctx, n.Name, "it "+ill, nil)
		if errs = append(errs, err); going {
			zerolog.Ctx(ctx).Warn().Str("node", n.Name).Int64("account", d.id).Msg("a machine is let go, and replaced if need be: it " + ill)
			n.State = task.NodeGoing
		}
	}
	return errors.Join(errs...)
}
