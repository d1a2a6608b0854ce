package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sam/task"
)

// run is one run of a scenario, with a crash at one of the effects or, with index 0, with none.
type run struct {
	scenario
	index int
	blow  blow

	place  place
	number int // of the issue

	mu      sync.Mutex
	effects []string // that the first replica has had
	struck  string
}

// strike counts the first replica's effects, and strikes one.
func (r *run) strike(effect string) (blow, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.effects = append(r.effects, effect)
	if len(r.effects) != r.index {
		return unhurt, 0
	}
	r.struck = effect
	return r.blow, 0
}

// patience is how long after the request all must be quiet: a missed delivery is asked for within five minutes.
const patience = 10 * time.Minute

// play plays a run and says what is wrong with its end, and how long after the request all was quiet.
func (r *run) play(ctx context.Context, s *stage) (wrong []string, took time.Duration, err error) {
	w, err := newWorld(ctx, s, r.nodes...)
	if err != nil {
		return nil, 0, err
	}
	defer w.close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := newOutside(r.strike)
	w.over.Go(func() { // the other begins as soon as the first is dead
		select {
		case <-ctx.Done():
			return
		case <-first.died:
		}
		if _, e := w.begin(ctx, "second", newOutside(spared)); e != nil && ctx.Err() == nil {
			err = e
		}
	})
	if _, e := w.begin(ctx, "first", first); e != nil && !first.dead() {
		return nil, 0, e
	}
	for _, n := range w.nodes {
		n.turnOn(ctx)
	}
	pause(ctx, 3*time.Second)
	r.place = places()[0]
	at := r.place
	issue, e := w.hub.CreateIssue(stranger, at.owner, at.name, "It is dark", "One sees nothing at night.")
	if e != nil {
		return nil, 0, e
	}
	r.number = issue.Number
	if _, e = w.hub.CreateComment(maintainer, at.owner, at.name, issue.Number, "/sam "+r.request); e != nil {
		return nil, 0, e
	}
	asked := time.Now()
	if r.befalls != nil {
		w.over.Go(func() { r.befalls(ctx, w, r) })
	}
	var left []string
	for quiet := 0; quiet < 2 && time.Since(asked) < patience; {
		pause(ctx, time.Second)
		if left, e = w.busy(ctx); e != nil {
			return nil, 0, e
		}
		if done, e := w.finished(ctx); e != nil {
			return nil, 0, e
		} else if done && len(left) == 0 {
			quiet++ // a second look, for what was between two hands at the first
		} else {
			quiet = 0
		}
	}
	took = time.Since(asked)
	for _, l := range left {
		wrong = append(wrong, "still there: "+l)
	}
	wrong = append(wrong, r.check(ctx, w)...)
	return wrong, took, err
}

// finished reports whether the one task is there and over.
func (w *world) finished(ctx context.Context) (bool, error) {
	tasks, err := w.tasks(ctx)
	return err == nil && len(tasks) > 0 && !slices.ContainsFunc(tasks, func(t task.Task) bool { return !t.State.Final() }), err
}

// tasks are all tasks that were ever made.
func (w *world) tasks(ctx context.Context) ([]task.Task, error) {
	var tasks []task.Task
	for _, key := range w.redis.Keys() {
		_, id, ok := strings.Cut(key, ":task:")
		if !ok {
			continue
		}
		t, err := w.observer.Task(ctx, task.ID(id))
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// check says what differs from the end that every run must have.
func (r *run) check(ctx context.Context, w *world) (wrong []string) {
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	tasks, err := w.tasks(ctx)
	expect(err == nil, "%v", err)
	expect(len(tasks) == 1, "%d tasks", len(tasks))
	told := w.hub.told(r.place, r.number)
	for kind, want := range map[string]int{"status": 1, "closing": 1, "question": r.asks, "reply": 0, "unmarked": 0} {
		expect(len(told.comments[kind]) == want, "%d %s comments, want %d", len(told.comments[kind]), kind, want)
	}
	expect(len(told.pulls) == 1, "%d pull requests", len(told.pulls))
	expect(len(told.reactions) == 1+r.asks && told.reactions[0].Content == "eyes", "reactions %v", told.reactions)
	for _, t := range tasks {
		expect(t.State == task.Succeeded, "the task is %s: %s%s", t.State, t.Failure, t.Cancel)
		expect(t.Attempts == r.attempts, "%d attempts, want %d", t.Attempts, r.attempts)
		expect(len(t.Answers) == r.asks, "%d answers, want %d", len(t.Answers), r.asks)
		expect(len(told.pulls) == 1 && told.pulls[0].Number == t.Pull && told.pulls[0].HeadSHA == t.Head,
			"the task's pull request is %d at %s, and there are %v", t.Pull, t.Head, told.pulls)
		for _, c := range told.comments["status"] {
			expect(c.ID == t.StatusComment, "the status comment is %d, and the task says %d", c.ID, t.StatusComment)
			expect(strings.Contains(c.Body, "#"+strconv.Itoa(t.Pull)) || strings.Contains(c.Body, "/pull/"+strconv.Itoa(t.Pull)),
				"the status comment does not tell of the end: %q", c.Body)
		}
		wrong = append(wrong, w.stream(ctx, t)...)
	}
	return wrong
}

// crashes are the runs with a crash before and after each of so many effects.
func crashes(s scenario, effects int) []*run {
	var runs []*run
	for index := 1; index <= effects; index++ {
		runs = append(runs, &run{scenario: s, index: index, blow: killBefore}, &run{scenario: s, index: index, blow: killAfter})
	}
	return runs
}

// sampled is how many of a scenario's crashes `go test` tries, unless all are wanted.
const sampled = 16

func TestAReplicaMayDieBeforeAndAfterAnyOfItsEffectsAndTheEndIsTheSame(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			clean := &run{scenario: s}
			synctest.Test(t, func(t *testing.T) { playAll(t, []*run{clean}) })
			if t.Failed() {
				return
			}
			runs := crashes(s, len(clean.effects))
			t.Logf("a clean run has %d effects: %s", len(clean.effects), counted(clean.effects))
			if !all() {
				seed := seedOf(t)
				random := rand.New(rand.NewPCG(seed, 0))
				random.Shuffle(len(runs), func(i, j int) { runs[i], runs[j] = runs[j], runs[i] })
				t.Logf("of %d crashes %d are tried, seed %d (SAM_SIMULATION_SEED=%d repeats them, SAM_SIMULATION=all tries all)", len(runs), sampled, seed, seed)
				runs = runs[:min(sampled, len(runs))]
			}
			if one := os.Getenv("SAM_SIMULATION_INDEX"); one != "" {
				runs = slices.DeleteFunc(crashes(s, len(clean.effects)), func(r *run) bool { return strconv.Itoa(r.index) != one })
			}
			const lanes = 2
			for lane := range lanes {
				t.Run(fmt.Sprintf("lane %d", lane+1), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { playAll(t, every(runs, lane, lanes)) })
				})
			}
		})
	}
}

// every is each n-th of a list, from one on.
func every[T any](list []T, from, n int) []T {
	var some []T
	for i := from; i < len(list); i += n {
		some = append(some, list[i])
	}
	return some
}

// playAll plays runs on one stage, one after the other.
func playAll(t *testing.T, runs []*run) {
	ctx := logged(t.Context())
	s, err := newStage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	const enough = 4 // failures, to see what they have in common
	bad, missed, longest := 0, 0, time.Duration(0)
	defer func() {
		t.Logf("%d runs; in %d there were fewer effects than that; at the latest all was quiet after %s", len(runs), missed, longest)
	}()
	pause(ctx, 2*logAge) // the installations were told to nobody
	for _, r := range runs {
		wrong, took, err := r.play(ctx, s)
		if err != nil || len(wrong) > 0 {
			bad++
			t.Errorf("%s: %s effect %d, %s (all was quiet after %s): %v\n  %s", r.name, r.blow, r.index, r.struck, took, err, strings.Join(wrong, "\n  "))
		}
		if bad == enough {
			return
		}
		if r.index > 0 && r.struck == "" {
			missed++
		}
		longest = max(longest, took)
		pause(ctx, 2*logAge)
	}
}

// counted is a list's members with how often each is in it.
func counted(list []string) string {
	n := map[string]int{}
	for _, one := range list {
		n[one]++
	}
	var parts []string
	for one, times := range n {
		parts = append(parts, fmt.Sprintf("%d× %s", times, one))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// seedOf is the seed of what is drawn: SAM_SIMULATION_SEED, else everySeed.
func seedOf(t *testing.T) uint64 {
	if given := os.Getenv("SAM_SIMULATION_SEED"); given != "" {
		seed, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("SAM_SIMULATION_SEED: %v", err)
		}
		return seed
	}
	return everySeed
}
