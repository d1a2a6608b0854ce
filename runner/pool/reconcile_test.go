package pool

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"sam/runner/cloud"
	standin "sam/sandbox/hetzner"
	"sam/task"
)

// compare compares once at a time, and has the pool see to it.
func (w *world) compare(p *Pool, now time.Time) {
	w.t.Helper()
	if err := p.ReconcileOnce(w.t.Context(), now); err != nil {
		w.t.Fatal(err)
	}
	for _, n := range w.nodes() { // Redis's clock says now
		if _, err := w.redis.Do(w.t.Context(), "HSET", "{0}:node:"+n.Name, "made", strconv.FormatInt(now.UnixMilli(), 10)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.once(p, now)
}

// ensure makes a machine past the pool.
func (w *world) ensure(name string, labels map[string]string) cloud.Machine {
	w.t.Helper()
	m, err := w.way.Provider.Ensure(w.t.Context(), cloud.Spec{
		Name: name, Image: "docker-ce", Candidates: w.way.Candidates, Labels: labels, UserData: w.way.UserData(name, time.Now()),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// letGoBefore has names be those of machines that were let go.
func (w *world) letGoBefore(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := w.store.Reserve(w.t.Context(), task.Reservation{Account: acme, Node: name, New: true, Caps: task.Caps{Machines: 100, Daily: -1, Monthly: -1}}, time.Now()); err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.store.Unreserve(w.t.Context(), acme, name, 0); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestAnOrphanIsDeletedWhenItIsOldAndWasSeenTwiceAndAtMostFiveAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	var names []string
	for i := range 7 {
		name := fmt.Sprintf("sam-late%d", i)
		names = append(names, name)
		w.ensure(name, map[string]string{labelCounter: "1"})
	}
	w.letGoBefore(names...)
	// Another installation's, and one without a label.
	other := w.provider("writes", nil)
	other.Installation = "app-2"
	if _, err := other.Ensure(t.Context(), cloud.Spec{Name: "theirs", Image: "docker-ce", Candidates: w.way.Candidates, UserData: w.way.UserData("theirs", now)}); err != nil {
		t.Fatal(err)
	}
	for at, left := range map[time.Duration]int{time.Minute: 8, 6 * time.Minute: 8} {
		w.compare(p, now.Add(at)) // seen twice, but young
		if got := w.servers(); len(got) != left {
			t.Fatalf("after %s there are %v", at, got)
		}
	}
	w.compare(p, now.Add(20*time.Minute))
	if got := w.servers(); len(got) != 3 {
		t.Fatalf("five at most are deleted at once, and left are %v", got)
	}
	w.compare(p, now.Add(25*time.Minute))
	if got := w.servers(); !slices.Equal(got, []string{"theirs"}) {
		t.Fatalf("left are %v", got)
	}
}

func TestAnOrphanThatWasSeenOnceOnlyStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.ensure("sam-late", nil)
	w.letGoBefore("sam-late")
	w.compare(p, now.Add(20*time.Minute)) // old, and seen for the first time
	if got := w.servers(); len(got) != 1 {
		t.Fatalf("it is deleted at first sight: %v", got)
	}
	w.compare(p, now.Add(25*time.Minute))
	if got := w.servers(); len(got) != 0 {
		t.Fatalf("it is still there: %v", got)
	}
}

func TestWhatRedisHasForgottenIsAdoptedAndNothingIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	for range 2 * slots {
		w.wanted()
	}
	w.once(p, now)
	w.agree(2)
	before := w.servers()
	w.letGoBefore("sam-late") // which must not go either, as long as Redis is younger than its machines
	if _, err := w.redis.Do(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	// A process that starts on the empty Redis.
	s := w.connect()
	w.store = s
	p = w.replica(s)
	for _, at := range []time.Duration{20 * time.Minute, 25 * time.Minute, 26 * time.Minute} {
		w.compare(p, now.Add(at))
		if got := w.servers(); !slices.Equal(got, before) {
			t.Fatalf("after %s there are %v, and there were %v", at, got, before)
		}
	}
	w.agree(2)
	for _, n := range w.nodes() {
		if n.Machine == nil || n.Machine.ID == "" || n.Account != acme || n.State != task.NodeBooting {
			t.Errorf("adopted is %+v", n)
		}
	}
	if w.spent() == 0 {
		t.Error("what is adopted costs nothing")
	}
	// They call home, and are let go in their time.
	for _, n := range w.nodes() {
		w.link(n.Name)
	}
	w.once(p, now.Add(59*time.Minute+30*time.Second))
	w.once(p, now.Add(59*time.Minute+30*time.Second))
	w.agree(0)
}

func TestARedisFromYesterdayAdoptsWhatIsNewerAndForgetsWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.wanted()
	w.once(p, now)
	yesterday := w.nodes()[0]
	dump := w.dump()

	// Since then that machine went, and two were made, one of which was let go and is an orphan by today's Redis.
	if err := w.store.Abandon(t.Context(), yesterday.Name, "a test"); err != nil {
		t.Fatal(err)
	}
	for range slots {
		w.wanted()
	}
	w.once(p, now)
	w.once(p, now)
	w.agree(2)
	today := w.servers()

	w.restore(dump)
	for _, at := range []time.Duration{16 * time.Minute, 21 * time.Minute, 26 * time.Minute} {
		if err := p.ReconcileOnce(t.Context(), now.Add(at)); err != nil {
			t.Fatal(err)
		}
		if got := w.servers(); !slices.Equal(got, today) {
			t.Fatalf("after %s there are %v, and there were %v", at, got, today)
		}
	}
	w.silent = true
	w.once(p, now.Add(2*time.Minute)) // the one of yesterday goes, as far as it has not
	var names []string
	for _, n := range w.nodes() {
		if n.State != task.NodeGoing {
			names = append(names, n.Name)
		}
	}
	if !slices.Equal(names, today) {
		t.Errorf("the records are %v, and there are %v", names, today)
	}
}

func TestAMachineThatSomebodyDeletedHasNoRecordForLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.wanted()
	w.once(p, now)
	n := w.nodes()[0]
	if err := w.way.Provider.Delete(t.Context(), cloud.Machine{ID: n.Machine.ID, Name: n.Name}); err != nil {
		t.Fatal(err)
	}
	w.compare(p, now.Add(time.Minute))
	if len(w.nodes()) != 1 {
		t.Fatal("it is believed at once")
	}
	w.once(p, now)
	w.compare(p, now.Add(6*time.Minute))
	w.once(p, now.Add(6*time.Minute))
	if nodes := w.nodes(); len(nodes) > 0 && nodes[0].Name == n.Name {
		t.Errorf("its record is still there: %+v", nodes[0])
	}
}

func TestWhatOutlivesMachinesIsDeletedLikewise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.volume("left", map[string]string{"sam-installation": "app-1", "sam-account": "5"})
	w.volume("theirs", map[string]string{"sam-installation": "app-2", "sam-account": "5"})
	w.compare(p, now.Add(20*time.Minute))
	if got := w.volumes(); len(got) != 2 {
		t.Fatalf("left are %v", got)
	}
	w.compare(p, now.Add(25*time.Minute))
	if got := w.volumes(); !slices.Equal(got, []string{"theirs"}) {
		t.Fatalf("left are %v", got)
	}
}

func TestACreationWhoseAnswerIsLateOrLostMakesOneMachine(t *testing.T) {
	t.Parallel()
	for _, kind := range []standin.FaultKind{standin.AnswerLost, standin.BadGatewayAfter, standin.TimeoutAfter, standin.Locked, standin.ServerError} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p, now := w.replica(w.store), time.Now()
			w.goWrong(standin.Rule{Kind: kind, Method: http.MethodPost, Path: "/servers", Next: 2})
			w.wanted()
			for range 5 {
				w.try(p, now)
				w.forgetTries(p)
			}
			w.agree(1)
		})
	}
}

// forgetTries has what failed be tried again at once.
func (w *world) forgetTries(p *Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.tries)
}
