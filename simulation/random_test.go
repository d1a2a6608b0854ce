package simulation

import (
	"flag"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"sam/sandbox/github"
)

// struckKinds are the kinds of fault that are not GitHub's.
func struckKinds() []string {
	kinds := []string{string(killReplica), string(killNode), string(freezeNode), string(wakeAll), "delivery made once more",
		string(rename), string(transfer), string(uninstall)}
	for _, b := range blows() {
		kinds = append(kinds, "effect "+b.String())
	}
	return kinds
}

func TestWhateverPeopleDoAndWhateverFailsThePromisesAreKept(t *testing.T) {
	hits, cases := map[string]int{}, 0
	seed := flag.Lookup("rapid.seed")
	first, err := strconv.ParseUint(seed.Value.String(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("repeat these cases with -rapid.seed=%d", first)
	var missing []string
	for round := range uint64(rounds) {
		if err := seed.Value.Set(strconv.FormatUint(first+round<<20, 10)); err != nil { // the seeds of cases follow each other
			t.Fatal(err)
		}
		rapid.Check(t, func(rt *rapid.T) {
			p := drawPlan(rt)
			dir := t.TempDir()
			var wrong []string
			var err error
			synctest.Test(t, func(t *testing.T) { wrong, err = playPlan(t, dir, p, hits) })
			cases++
			if err != nil || len(wrong) > 0 {
				rt.Fatalf("%v\n  %s\n%s", err, strings.Join(wrong, "\n  "), p)
			}
		})
		if missing = neverStruck(hits); len(missing) == 0 {
			break
		}
	}
	t.Logf("%d cases; how often each fault struck: %v", cases, hits)
	if len(missing) > 0 {
		t.Errorf("nothing is known about what never struck: %s", strings.Join(missing, ", "))
	}
}

// rounds is how often as many cases again are tried while a kind of fault has not struck yet.
const rounds = 4

// neverStruck are the kinds of fault without a hit.
func neverStruck(hits map[string]int) []string {
	kinds := struckKinds()
	for _, kind := range github.FaultKinds() {
		kinds = append(kinds, string(kind))
	}
	return slices.DeleteFunc(kinds, func(kind string) bool { return hits[kind] > 0 })
}

// playPlan plays a plan in a world of its own, and adds to the hits of each kind of fault.
func playPlan(t *testing.T, dir string, p plan, hits map[string]int) (wrong []string, err error) {
	ctx := logged(t.Context())
	stage, err := newStage(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := stage.Close(); e != nil {
			t.Error(e)
		}
	}()
	s, err := newSession(ctx, stage, p)
	if err != nil {
		return nil, err
	}
	defer s.close()
	left, err := s.play(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range left {
		wrong = append(wrong, "still there: "+l)
	}
	wrong = append(wrong, s.check(ctx)...)
	for kind, n := range stage.Faults().Hits {
		hits[string(kind)] += n
	}
	for kind, n := range s.hits {
		hits[kind] += n
	}
	if soon := stage.Faults().TooSoon; soon > 0 {
		hits["calls made too soon"] += soon
	}
	return wrong, ctx.Err()
}
