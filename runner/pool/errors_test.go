package pool

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sam/runner/cloud"
	standin "sam/sandbox/hetzner"
	"sam/task"
)

// Each thing that keeps a machine from being made is told to whoever waits, in words that say what helps, and leaves nothing behind.
func TestWhoWaitsIsToldWhyThereIsNoMachine(t *testing.T) {
	t.Parallel()
	onServers := func(kind standin.FaultKind) func(*world) {
		return func(w *world) {
			w.goWrong(standin.Rule{Kind: kind, Method: http.MethodPost, Path: "/servers", Probability: 1})
		}
	}
	for name, row := range map[string]struct {
		wrong func(*world)
		words []string
	}{
		"no capacity": {onServers(standin.ResourceUnavailable), []string{"SAM cannot make a machine", "cx33 in fsn1", "cpx32 in hel1", "tried again by itself", "`hetzner.machines`"}},
		"quota":       {onServers(standin.LimitExceeded), []string{"limit at the provider is reached", "ask the provider for a higher limit"}},
		"wrong token": {func(w *world) { w.hub.RevokeToken("writes") }, []string{"refuses the token", "`sam account set`"}},
		"read-only token": {func(w *world) { w.way.Provider = w.provider("reads", nil) },
			[]string{"may only read", "read and write access"}},
		"a type that is gone": {func(w *world) {
			w.way.Candidates = []cloud.Candidate{{Type: "cx9000", Location: "fsn1"}}
		}, []string{"do not exist", "cx9000 in fsn1", "`hetzner.machines`"}},
		"user data too large": {func(w *world) {
			w.way.UserData = func(string, time.Time) func(cloud.Architecture) (string, error) {
				return func(cloud.Architecture) (string, error) { return strings.Repeat("x", cloud.MaxUserData+1), nil }
			}
		}, []string{"first boot has 32769 bytes and may have 32768", "Shorten"}},
		"no program for the architecture": {func(w *world) {
			w.way.Candidates = []cloud.Candidate{{Type: "cax21", Location: "fsn1"}}
			w.way.UserData = func(string, time.Time) func(cloud.Architecture) (string, error) {
				return func(a cloud.Architecture) (string, error) { return "", ProgramError{noProgramError(a)} }
			}
		}, []string{"there is no `sam` for arm64"}},
		"a name that is another's": {onServers(standin.UniquenessError), []string{"does not answer as it should"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p, now := w.replica(w.store), time.Now()
			row.wrong(w)
			one := w.wanted()
			w.try(p, now)
			_, wait := w.place(p, one, now)
			contains(t, wait, row.words...)
			if strings.Contains(wait, "..") || strings.Contains(wait, ". (") {
				t.Errorf("the words are not well put: %q", wait)
			}
		})
	}
}

type noProgramError cloud.Architecture

func (e noProgramError) Error() string {
	return "there is no `sam` for " + string(e) + " to give to a machine"
}

// try makes a pass of which parts may fail.
func (w *world) try(p *Pool, now time.Time) {
	w.t.Helper()
	w.heard(now)
	chores, _, _ := p.pass(w.t.Context(), now)
	for _, c := range chores {
		p.tend(w.t.Context(), c)
	}
	p.tenders.Wait()
}

func TestWhatKeptMachinesFromBeingMadeIsTriedAgainAndLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	w.goWrong(standin.Rule{Kind: standin.ResourceUnavailable, Method: http.MethodPost, Path: "/servers", Next: 3})
	one := w.wanted()
	w.once(p, now) // three candidates, none to be had
	if _, wait := w.place(p, one, now); !strings.Contains(wait, "no machine is to be had now") {
		t.Errorf("it waits for %q", wait)
	}
	w.once(p, now) // what was entered for it goes
	w.agree(0)
	if f := w.fleet(now); f.Day != 0 {
		t.Errorf("nothing was had, and %d is spent", f.Day)
	}
	w.once(p, now.Add(p.Timing.Again+time.Second))
	w.agree(1)
	if f := w.fleet(now); f.Obstacle.Why != "" {
		t.Errorf("there is a machine, and %q keeps it from being made", f.Obstacle.Why)
	}
}

func TestCapsAreToldAndNeverPassed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		caps task.Caps
		made int
		says string
	}{
		"a budget of zero":  {task.Caps{Machines: 5, Daily: 0, Monthly: -1}, 0, "The daily budget for machines is 0, so SAM may not create one. An owner of the account can raise it"},
		"a budget for one":  {task.Caps{Machines: 5, Daily: 25_000, Monthly: -1}, 1, "The daily budget for machines, 0.03, is used up or reserved"},
		"no machines":       {task.Caps{Machines: 0, Daily: -1, Monthly: -1}, 0, "The account may have no machines"},
		"two machines":      {task.Caps{Machines: 2, Daily: -1, Monthly: -1}, 2, "All of the account's machines are at work, and it may have no more than 2"},
		"the month's is up": {task.Caps{Machines: 5, Daily: -1, Monthly: 1000}, 0, "The monthly budget for machines"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.way.Caps = row.caps
			p, now := w.replica(w.store), time.Now()
			var all []task.Task
			for range 3*slots + 1 {
				all = append(all, w.wanted())
			}
			for range 3 {
				w.once(p, now)
			}
			w.agree(row.made)
			for _, n := range w.nodes() {
				w.link(n.Name)
			}
			said := ""
			for _, one := range all {
				if _, wait := w.place(p, one, now); wait != "" {
					said = wait
				}
			}
			contains(t, said, row.says)
			if f := w.fleet(now); row.caps.Daily >= 0 && f.Day > row.caps.Daily || row.caps.Monthly >= 0 && f.Month > row.caps.Monthly {
				t.Errorf("%+v is over %+v", f, row.caps)
			}
		})
	}
}

func TestAMachineThatNeverCallsHomeIsGivenUpAndAnotherIsTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	one := w.wanted()
	w.once(p, now)
	mute := w.nodes()[0].Name
	w.once(p, now.Add(p.Timing.CallHome-time.Minute))
	w.agree(1)
	late := now.Add(p.Timing.CallHome + time.Minute)
	w.once(p, late)
	_, wait := w.place(p, one, late)
	contains(t, wait, mute, "did not call home within 15m0s", "`public.url`", "Hetzner's console")
	w.once(p, late)
	w.agree(0)
	w.once(p, late.Add(2*time.Minute))
	w.agree(1)
	if again := w.nodes()[0].Name; again == mute {
		t.Error("the same was made again")
	}
}

func TestAMachineThatWasRefusedIsGivenUpSoonerAndWhyIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, now := w.replica(w.store), time.Now()
	one := w.wanted()
	w.once(p, now)
	name := w.nodes()[0].Name
	if err := w.store.NoteMachineTrouble(t.Context(), name, "its token was shown from 192.0.2.7, which is not one of its own addresses."); err != nil {
		t.Fatal(err)
	}
	w.once(p, now.Add(2*time.Minute))
	w.agree(1)
	late := now.Add(4 * time.Minute)
	w.once(p, late)
	_, wait := w.place(p, one, late)
	contains(t, wait, name, "was made and is given up: its token was shown from 192.0.2.7")
	w.once(p, late)
	w.agree(0)
}
