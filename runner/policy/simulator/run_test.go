package simulator

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/runner/policy"
	"sam/task"
)

// trace is tasks of one account and repository: after how many minutes, in which thread, for how many minutes.
type asked struct {
	at     int
	thread task.ThreadID
	run    int
}

func traceOf(all ...asked) Trace {
	t := Trace{Name: "test"}
	for _, a := range all {
		t.Arrivals = append(t.Arrivals, Arrival{
			At: modelStart.Add(time.Duration(a.at) * time.Minute), Account: 1, Repository: 1, Thread: a.thread,
			Run: time.Duration(a.run) * time.Minute,
		})
	}
	return t
}

func options(t testing.TB, name string) Options {
	k, err := policy.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	o := Defaults()
	o.Policy, o.Slots = k, 2
	return o
}

func run(t testing.TB, trace Trace, o Options) Result {
	r, err := Run(t.Context(), trace, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestARunCountsColdStartsCreationsAndBegunHours(t *testing.T) {
	window := policy.Schedule{Windows: []policy.Window{{From: 0, To: 2 * time.Hour, Machines: 1}}}
	for name, c := range map[string]struct {
		policy                 string
		schedule               policy.Schedule
		machines               int
		tasks                  []asked
		cold, creations, hours int
	}{
		"one task":                                   {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}}, 1, 1, 1},
		"a follow-up finds it warm":                  {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}, {50, "a", 5}}, 1, 1, 1},
		"not after its hour":                         {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}, {62, "a", 5}}, 2, 2, 2},
		"renewed when it was used":                   {"hour-renew", policy.Schedule{}, 9, []asked{{0, "a", 5}, {45, "a", 5}, {110, "a", 5}}, 1, 1, 3},
		"thirty minutes end within the hour":         {"fixed-30m", policy.Schedule{}, 9, []asked{{0, "a", 5}, {45, "a", 5}}, 2, 2, 2},
		"a machine at work goes on into the next":    {"hour", policy.Schedule{}, 9, []asked{{0, "a", 70}, {100, "b", 5}}, 1, 1, 2},
		"two slots take two tasks":                   {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}, {0, "b", 5}}, 2, 1, 1},
		"a third needs another machine":              {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}, {0, "b", 5}, {0, "c", 5}}, 3, 2, 2},
		"unless there may be none, so it waits":      {"hour", policy.Schedule{}, 1, []asked{{0, "a", 5}, {0, "b", 5}, {0, "c", 5}}, 3, 1, 1},
		"a thread needs no two slots":                {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}, {1, "a", 5}, {2, "a", 5}}, 1, 1, 1},
		"one that boots is waited for":               {"hour", policy.Schedule{}, 9, []asked{{0, "a", 5}, {0, "b", 5}}, 2, 1, 1},
		"a schedule has one ready for the next task": {"hour", window, 9, []asked{{0, "a", 1}, {118, "b", 1}}, 1, 1, 3},
	} {
		o := options(t, c.policy)
		o.Machines, o.Schedule = c.machines, c.schedule
		r := run(t, traceOf(c.tasks...), o)
		if r.Cold != c.cold || r.Creations != c.creations || r.Hours != c.hours || r.Tasks != len(c.tasks) || r.Cost != int64(c.hours)*o.Hourly {
			t.Errorf("%s: %d cold, %d creations, %d hours; want %d, %d, %d", name, r.Cold, r.Creations, r.Hours, c.cold, c.creations, c.hours)
		}
	}
}

func TestWaitsAreFromATasksTurnUntilItsAgentCanBegin(t *testing.T) {
	o := options(t, "hour")
	r := run(t, traceOf(asked{0, "a", 5}, asked{10, "b", 20}, asked{12, "b", 5}), o)
	boot := r.Waits[0] - o.Fetch
	if boot < 10*time.Second || boot > 5*time.Minute {
		t.Errorf("a machine boots in %s", boot)
	}
	if r.Waits[1] != 0 || r.Waits[2] != 0 {
		t.Errorf("on a warm machine that has the repository one waits %s, and %s when a thread's turn comes", r.Waits[1], r.Waits[2])
	}
	if want := 30*time.Minute + o.Fetch; r.Worked != want {
		t.Errorf("worked %s, want %s", r.Worked, want)
	}
}

func TestARunIsTheSameEachTimeAndEndsWithItsContext(t *testing.T) {
	o := options(t, "hour-renew")
	o.Seed = 7
	trace := Synthetic(17, 7)
	if a, b := run(t, trace, o), run(t, trace, o); !reflect.DeepEqual(a, b) {
		t.Errorf("%+v\nand then\n%+v", a, b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, trace, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWhateverComesCapsThreadsAndBoundsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(what string, least, most int) int { return rapid.IntRange(least, most).Draw(t, what) }
		name := rapid.SampledFrom(append(policy.Names(), "fixed-5m", "hour-renew-30m")).Draw(t, "policy")
		k, err := policy.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		o := Defaults()
		o.Policy, o.Slots, o.Machines, o.Seed = k, number("slots", 1, 3), number("machines", 1, 4), uint64(number("seed", 0, 9))
		trace := Trace{Name: "drawn"}
		at := modelStart
		for range number("tasks", 1, 40) {
			at = at.Add(time.Duration(number("pause", 0, 90)) * time.Minute)
			trace.Arrivals = append(trace.Arrivals, Arrival{
				At: at, Account: int64(number("account", 1, 2)), Repository: int64(number("repository", 1, 2)),
				Thread: task.ThreadID(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "thread")),
				Run:    time.Duration(number("run", 1, 100)) * time.Minute,
			})
		}
		w := newWorld(trace, o)
		for w.events.heap.Len() > 0 {
			e := w.events.pop()
			if e.at.Before(w.now) {
				t.Fatalf("time goes back from %s to %s", w.now, e.at)
			}
			w.now = e.at
			w.happen(e)
			alive := map[int64]int{}
			for _, m := range w.machines {
				alive[m.Account]++
				if len(m.Tasks) > m.Slots || alive[m.Account] > o.Machines {
					t.Fatalf("%d tasks on a machine of %d slots, %d of %d machines", len(m.Tasks), m.Slots, alive[m.Account], o.Machines)
				}
				for _, id := range m.Tasks {
					if w.byID[id].Account != m.Account {
						t.Fatalf("a task of account %d on a machine of account %d", w.byID[id].Account, m.Account)
					}
				}
			}
		}
		last := map[task.ThreadID]*job{}
		for i := range w.jobs {
			j := &w.jobs[i]
			if before := last[j.Thread]; before != nil && j.start.Before(before.end) {
				t.Fatalf("task %s of thread %s began before the one before it had ended", j.ID, j.Thread)
			}
			last[j.Thread] = j
		}
		r, err := w.result()
		if err != nil {
			t.Fatal(err)
		}
		if r.Bound > r.Cost || r.ColdBound > r.Cold || r.Creations > r.Cold || r.Bound <= 0 || r.ColdBound < 1 || r.Worked > r.Paid {
			t.Fatalf("%+v", r)
		}
	})
}
