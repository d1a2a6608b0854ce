package pool

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sam/runner/policy"
	standin "sam/sandbox/hetzner"
	"sam/task"
)

// stuck answers no question for prices until it is let go on.
type stuck struct {
	http.RoundTripper
	on <-chan struct{}
}

func (s stuck) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/server_types") {
		<-s.on // whatever r's context says
	}
	return s.RoundTripper.RoundTrip(r)
}

// several are the ways of several accounts.
type several map[int64]*Account

func (s several) Account(_ context.Context, id int64) (*Account, error) { return s[id], nil }

func (s several) Known(context.Context) (ids []int64, err error) {
	for id := range s {
		ids = append(ids, id)
	}
	return ids, nil
}

func TestAProviderThatDoesNotAnswerHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	on := make(chan struct{})
	letOn := sync.OnceFunc(func() { close(on) })
	defer letOn()
	const within, soon = 3 * time.Second, 20 * time.Second // who answers needs some time too; one after the other they would take longer than that
	ways := several{}
	for id := range acme + 10 { // some come before acme, more after it
		slow := *w.way
		slow.Provider = w.provider("writes", func(way http.RoundTripper) http.RoundTripper { return stuck{way, on} })
		slow.Schedule = policy.Schedule{Windows: []policy.Window{{To: 24 * time.Hour, Machines: 1}}}
		ways[id+1] = &slow
	}
	ways[acme] = w.way
	p := w.replica(w.store)
	p.accounts = ways
	p.Timing.Answer = within
	one, now, began := w.wanted(), time.Now(), time.Now()
	chores, _, err := p.pass(t.Context(), now)
	if took := time.Since(began); took > soon {
		t.Errorf("the pass took %s", took)
	}
	if err == nil || strings.Contains(err.Error(), fmt.Sprintf("account %d:", acme)) {
		t.Errorf("what fails in part is %v", err)
	}
	if len(chores) != 1 || chores[0].node.Account != acme {
		t.Errorf("to be seen to are %+v", chores)
	}
	f, err := w.store.Fleet(t.Context(), 1, now)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, f.Obstacle.Why, "SAM cannot make a machine", "it has not answered within 3s", "tried again by itself")

	// Nor does it hold up the worker that looks for a node for a task.
	ways[acme] = ways[1]
	began = time.Now()
	_, wait := w.place(p, one, now)
	contains(t, wait, "it has not answered within 3s")
	if took := time.Since(began); took > soon {
		t.Errorf("to look for a node took %s", took)
	}
	letOn()
	p.tenders.Wait()
}

// asked counts the servers that were asked for.
func (w *world) asked() (n int) {
	for _, c := range w.hub.History().Calls {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/servers") {
			n++
		}
	}
	return n
}

func TestWhileNoMachineIsToBeHadOneIsTriedAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.goWrong(standin.Rule{Kind: standin.ResourceUnavailable, Method: http.MethodPost, Path: "/servers", Probability: 1})
	for range 4 * slots {
		w.wanted()
	}
	w.try(p, now)
	w.once(p, now)
	w.agree(0)
	before := w.asked()
	again := now.Add(time.Minute)
	w.try(p, again)
	if n := w.asked() - before; n != len(w.way.Candidates) {
		t.Errorf("%d servers were asked for, and one machine has %d candidates", n, len(w.way.Candidates))
	}
	w.goWrong()
	w.once(p, again)
	again = again.Add(time.Minute)
	w.once(p, again)
	w.agree(1)
	w.once(p, again)
	w.agree(4)
}

func TestWhatFailsAgainAndAgainIsTriedSeldomAndForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	var last try
	var pauses []time.Duration
	for range 12 {
		last = last.after()
		pauses = append(pauses, time.Until(last.again).Round(10*time.Second)) // some time may have passed
	}
	if want := []time.Duration{10e9, 10e9, 10e9, 20e9, 40e9, 80e9, 160e9, 300e9, 300e9, 300e9, 300e9, 300e9}; !slices.Equal(pauses, want) {
		t.Errorf("it is tried again after %v, want %v", pauses, want)
	}
	p := New(nil, nil)
	p.tries["sam-now"] = last
	p.tries["sam-long-ago"] = try{failed: 3, again: time.Now().Add(-2 * triesKept)}
	p.sightings["sam-here"], p.sightings["sam-gone"] = sighting{}, sighting{}
	p.forget(house{nodes: []task.Node{{Name: "sam-here"}}})
	if len(p.tries) != 1 || len(p.sightings) != 1 {
		t.Errorf("remembered are %v and %v", p.tries, p.sightings)
	}
}

func TestATokenIsNotForgottenWhileThereIsAMachineThatNoRecordKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	late := w.ensure("sam-late", nil)
	forgotten := 0
	w.way.Withdrawn = true
	w.way.Gone = func(context.Context) error {
		forgotten++
		return nil
	}
	w.once(p, now)
	if forgotten > 0 {
		t.Fatal("nobody can delete it any more")
	}
	if err := w.way.Provider.Delete(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	w.forgetTries(p)
	w.once(p, now)
	if forgotten != 1 {
		t.Errorf("the token was forgotten %d times", forgotten)
	}
	w.hub.RevokeToken("writes") // by somebody who did not wait
	w.once(p, now)
	if forgotten != 2 {
		t.Error("a token that is of no use is kept for ever")
	}
}

func TestAMachineWhoseLabelSomebodyTookIsLeftAloneAndForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	n := w.linked(p, now)
	w.ask(http.MethodPut, "/servers/"+n.Machine.ID, `{"labels":{"mine":"yes"}}`, &struct{}{})
	if err := w.store.Abandon(t.Context(), n.Name, "a test"); err != nil {
		t.Fatal(err)
	}
	w.once(p, now)
	if len(w.nodes()) > 0 && w.nodes()[0].Name == n.Name || w.fleet(now).Hours[n.Name] > 0 {
		t.Error("it is still one of the account's")
	}
	if !slices.Contains(w.servers(), n.Name) {
		t.Error("it is deleted")
	}
}

func TestTwoComparisonsAtOnceSeeAnOrphanOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.ensure("sam-late", nil)
	w.letGoBefore("sam-late")
	for _, at := range []time.Duration{20 * time.Minute, 20*time.Minute + time.Second} {
		w.compare(p, now.Add(at))
		if got := w.servers(); len(got) != 1 {
			t.Fatalf("after %s there are %v", at, got)
		}
	}
	w.compare(p, now.Add(25*time.Minute))
	if got := w.servers(); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

func TestMachinesForWhichThereIsNoTokenAnyMoreAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	n := w.linked(p, now)
	p.accounts = several{acme: nil}
	err := p.ReconcileOnce(t.Context(), now)
	if err == nil {
		t.Fatal("nobody is told")
	}
	contains(t, fmt.Sprint(err), n.Name, "stay on the bill", "`hetzner.token_file`", "`sam account set`")
	w.agree(1)
}
