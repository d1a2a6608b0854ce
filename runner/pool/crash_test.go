package pool

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"sam/runner/policy"
	"sam/task"
)

// errKilled is what a process that was killed gets of everything.
var errKilled = errors.New("the process was killed")

// life ends at a step: before it, or after it and before its answer.
type life struct {
	mu    sync.Mutex
	steps int
	last  int
	ended bool
}

// step does something that somebody else can see, unless the process is dead.
func (l *life) step(do func() error) error {
	if l.dies() {
		return errKilled
	}
	err := do()
	if l.dies() {
		return errKilled
	}
	return err
}

func (l *life) dies() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps++
	l.ended = l.ended || l.steps == l.last
	return l.ended
}

// mortal is a store that a process of a life writes to.
type mortal struct {
	Store
	*life
}

func (m mortal) EnsureNode(ctx context.Context, n task.Node) error {
	return m.step(func() error { return m.Store.EnsureNode(ctx, n) })
}

func (m mortal) NoteMachine(ctx context.Context, node string, machine task.Machine) error {
	return m.step(func() error { return m.Store.NoteMachine(ctx, node, machine) })
}

func (m mortal) Reserve(ctx context.Context, r task.Reservation, now time.Time) error {
	return m.step(func() error { return m.Store.Reserve(ctx, r, now) })
}

func (m mortal) Reprice(ctx context.Context, account int64, node string, hour int64) error {
	return m.step(func() error { return m.Store.Reprice(ctx, account, node, hour) })
}

func (m mortal) NoteObstacle(ctx context.Context, account int64, o task.Obstacle) error {
	return m.step(func() error { return m.Store.NoteObstacle(ctx, account, o) })
}

func (m mortal) Abandon(ctx context.Context, node, why string) error {
	return m.step(func() error { return m.Store.Abandon(ctx, node, why) })
}

func (m mortal) RemoveNode(ctx context.Context, node string) error {
	return m.step(func() error { return m.Store.RemoveNode(ctx, node) })
}

func (m mortal) Count(ctx context.Context) (n int64, err error) {
	return n, m.step(func() error { n, err = m.Store.Count(ctx); return err })
}

func (m mortal) Tend(ctx context.Context, node string, lease time.Duration) (mine bool, err error) {
	return mine, m.step(func() error { mine, err = m.Store.Tend(ctx, node, lease); return err })
}

func (m mortal) Drain(ctx context.Context, node, why string, waiting []task.ID) (going bool, err error) {
	return going, m.step(func() error { going, err = m.Store.Drain(ctx, node, why, waiting); return err })
}

func (m mortal) Unreserve(ctx context.Context, account int64, node string, begun int) (back int64, err error) {
	return back, m.step(func() error { back, err = m.Store.Unreserve(ctx, account, node, begun); return err })
}

// RoundTrip makes a call of Hetzner's that may be the last.
type dialled struct {
	*life
	http.RoundTripper
}

func (d dialled) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	err = d.step(func() error { answer, err = d.RoundTripper.RoundTrip(r); return err })
	if err != nil && answer != nil {
		_ = answer.Body.Close()
		answer = nil
	}
	return answer, err
}

// killedEverywhere has a process do something and be killed at its first step, at its second, and so on until it was not killed; each
// time in a world of its own, where check is called then.
func killedEverywhere(t *testing.T, least int, prepare func(*world) time.Time, check func(w *world, second *Pool, now time.Time)) {
	t.Helper()
	for last := 1; ; last++ {
		w := newWorld(t)
		now := prepare(w)
		l := &life{last: last}
		w.heard(now)
		alive := w.way.Provider
		w.way.Provider = w.provider("writes", func(way http.RoundTripper) http.RoundTripper { return dialled{l, way} })
		live(t, w.replica(mortal{w.store, l}), now)
		w.way.Provider = alive
		w.forgetTenders()
		check(w, w.replica(w.connect()), now)
		if t.Failed() {
			t.Fatalf("that was with a process that was killed at its step %d", last)
		}
		if !l.ended {
			if last <= least {
				t.Errorf("there were %d steps to be killed at only", last-1)
			}
			return
		}
	}
}

func TestWhereverAProcessIsKilledWhileItMakesAMachineThereIsOne(t *testing.T) {
	t.Parallel()
	killedEverywhere(t, 20, func(w *world) time.Time {
		w.wanted()
		return time.Now()
	}, func(w *world, second *Pool, now time.Time) {
		w.once(second, now)
		w.once(second, now)
		if why := w.differ(1); why != "" {
			t.Error(why)
		}
	})
}

func TestWhereverAProcessIsKilledWhileItLetsAMachineGoThereIsNone(t *testing.T) {
	t.Parallel()
	killedEverywhere(t, 10, func(w *world) time.Time {
		one, p := w.wanted(), w.replica(w.store)
		w.once(p, time.Now())
		made := w.nodes()[0]
		w.link(made.Name)
		w.place(p, one, time.Now())
		w.ended(one.ID)
		return made.Machine.Created.Add(policy.BillingPeriod - time.Second)
	}, func(w *world, second *Pool, now time.Time) {
		w.once(second, now)
		w.once(second, now)
		if why := w.differ(0); why != "" {
			t.Error(why)
		}
		if w.spent() <= 0 {
			t.Error("the hour that was begun is given back")
		}
	})
}

// live has a process that may be killed make a pass and see to what it says.
func live(t *testing.T, p *Pool, now time.Time) {
	t.Helper()
	chores, _, err := p.pass(t.Context(), now)
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	for _, c := range chores {
		p.tend(t.Context(), c)
	}
	p.tenders.Wait()
}

// forgetTenders has the leases of processes that were killed be over.
func (w *world) forgetTenders() {
	w.t.Helper()
	for _, n := range w.nodes() {
		if _, err := w.redis.Do(w.t.Context(), "HDEL", "{0}:node:"+n.Name, "tender", "tended"); err != nil {
			w.t.Fatal(err)
		}
	}
}
