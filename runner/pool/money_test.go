package pool

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	standin "sam/sandbox/hetzner"
	"sam/sandbox/redis"
	"sam/task"
)

// spent is what the account has spent in all days together: a test may run at midnight.
func (w *world) spent() (sum int64) {
	w.t.Helper()
	all, err := w.redis.Do(w.t.Context(), "HGETALL", "{0}:spend:5")
	if err != nil {
		w.t.Fatal(err)
	}
	words := redis.Words(all)
	for i := 0; i+1 < len(words); i += 2 {
		if len(words[i]) != len("2026-11-24") {
			continue
		}
		n, err := strconv.ParseInt(words[i+1], 10, 64)
		if err != nil {
			w.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

func TestHoursThatBeganThoughNobodyPaidThemAheadAreCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	one := w.wanted()
	w.once(p, now)
	n := w.nodes()[0]
	w.link(n.Name)
	w.place(p, one, now)
	w.way.Caps.Daily = 0 // it costs what it costs
	w.once(p, n.Machine.Created.Add(3*time.Hour+30*time.Minute))
	if got, want := w.spent(), 4*n.Machine.Hour; got != want {
		t.Errorf("four of its hours have begun, and %d is counted of %d", got, want)
	}
}

func TestAMachineThatCannotBeDeletedCostsUntilItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	n := w.linked(p, now)
	if err := w.store.Abandon(t.Context(), n.Name, "a test"); err != nil {
		t.Fatal(err)
	}
	w.goWrong(standin.Rule{Kind: standin.Protected, Method: http.MethodDelete, Path: "/servers/*", Probability: 1})
	w.try(p, n.Machine.Created.Add(90*time.Minute))
	if got, want := w.spent(), 2*n.Machine.Hour; got != want {
		t.Errorf("it is there in its second hour, and %d is counted of %d", got, want)
	}
	w.goWrong()
	w.forgetTries(p)
	for _, one := range w.hub.History().Servers {
		if one.DeletedAt != nil {
			t.Fatal("it is deleted, and should be protected")
		}
	}
	c := p.chores(&desk{Account: w.way, id: acme, now: n.Machine.Created.Add(2*time.Hour - time.Second), nodes: w.nodes()})
	if len(c) != 1 {
		t.Fatalf("there are %d chores", len(c))
	}
	c[0].since = c[0].since.Add(-time.Minute) // it took a minute to delete
	p.tend(t.Context(), c[0])
	p.tenders.Wait()
	w.agree(0)
	if got, want := w.spent(), 3*n.Machine.Hour; got != want {
		t.Errorf("its third hour began while it was deleted, and %d is counted of %d", got, want)
	}
}

func TestWhatIsNotSoldAnyMoreIsNotFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.linked(p, now)
	w.agree(1)
	if _, err := w.redis.Do(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	if !w.hub.RemoveType("cx33") {
		t.Fatal("there is no such type")
	}
	w.store = w.connect()
	w.way.Provider = w.provider("writes", nil) // that has asked for no price yet
	p = w.replica(w.store)
	if err := p.ReconcileOnce(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	w.agree(1)
	_, dearest, err := p.offer(t.Context(), &desk{Account: w.way, id: acme})
	if err != nil {
		t.Fatal(err)
	}
	if n := w.nodes()[0]; n.Machine.Hour != int64(dearest) || w.spent() != int64(dearest) {
		t.Errorf("its hour costs %d, %d is spent, and the dearest that is sold costs %d", n.Machine.Hour, w.spent(), dearest)
	}
}

func TestAMachineThatIsAdoptedWhenItsTypeIsSoldNoMoreIsNotFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.wanted()
	w.ensure("sam-late", nil) // by a process that died before it could note that
	if err := p.store.Reserve(t.Context(), task.Reservation{Account: acme, Node: "sam-late", New: true, Hours: 1, Hour: 1, Caps: w.way.Caps}, now); err != nil {
		t.Fatal(err)
	}
	if !w.hub.RemoveType("cx33") {
		t.Fatal("there is no such type")
	}
	w.way.Provider = w.provider("writes", nil)
	w.once(p, now)
	w.agree(1)
	if n := w.nodes()[0]; n.Machine.Hour == 0 || w.spent() != n.Machine.Hour {
		t.Errorf("its hour costs %d, and %d is spent", n.Machine.Hour, w.spent())
	}
}

func TestAMachineThatWentWhileAPassLookedIsNotEnteredAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	one := w.wanted()
	w.once(p, now)
	n := w.nodes()[0]
	w.link(n.Name)
	if _, err := w.store.Cancel(t.Context(), one.ID, "a test"); err != nil {
		t.Fatal(err)
	}
	h, err := p.look(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	h.queue = nil
	if err := w.store.Abandon(t.Context(), n.Name, "a test"); err != nil {
		t.Fatal(err)
	}
	c := chore{account: w.way, id: acme, node: n, now: now, since: time.Now()}
	p.tend(t.Context(), c)
	p.tenders.Wait()
	w.agree(0)
	d, err := p.desk(t.Context(), h, acme)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.settle(t.Context(), h, d); err != nil {
		t.Error(err)
	}
	w.agree(0)
	for _, c := range p.chores(d) {
		p.tend(t.Context(), c)
	}
	p.tenders.Wait()
	w.agree(0)
}

func TestAnAnswerThatComesWhileAPassLooksKeepsItsMachine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	one := w.wanted()
	w.once(p, now)
	n := w.nodes()[0]
	w.link(n.Name)
	w.place(p, one, now)
	state := func(s task.State) {
		t.Helper()
		for field, value := range map[string]string{"state": string(s), "progressed": strconv.FormatInt(now.UnixMilli(), 10)} {
			if _, err := w.redis.Do(t.Context(), "HSET", "{0}:task:"+string(one.ID), field, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	state(task.Waiting)
	end := n.Machine.Created.Add(time.Hour - time.Second)
	w.heard(end)
	h, err := p.look(t.Context(), end)
	if err != nil || len(h.rest) != 1 {
		t.Fatal(h.rest, err)
	}
	d, err := p.desk(t.Context(), h, acme)
	if err != nil {
		t.Fatal(err)
	}
	state(task.Running)
	if _, err := p.settle(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	if n := w.nodes()[0]; n.State == task.NodeGoing || n.Draining {
		t.Errorf("somebody works on it, and it is %+v", n)
	}
}
