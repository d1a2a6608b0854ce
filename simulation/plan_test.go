package simulation

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"sam/sandbox/github"
)

// act is one kind of step.
type act string

const (
	askFor     act = "ask"         // somebody comments a request
	edit       act = "edit"        // a request's author changes it
	remove     act = "delete"      // and deletes it
	closeIssue act = "close"       // an issue is closed, and reopened a while later
	label      act = "label"       // a maintainer labels an issue
	again      act = "again"       // GitHub makes a delivery once more
	rename     act = "renamed"     // a repository gets another name, and its own again a while later
	transfer   act = "transferred" // it goes to the other account, and comes back
	uninstall  act = "uninstalled" // the App is removed from an account, and installed there again

	killReplica act = "replica killed"
	killNode    act = "node killed"
	freezeNode  act = "node silent"
	wakeAll     act = "all woken" // workers are told to look at every open task: a wake-up is a hint, and may come at any time
	strike      act = "strike"    // one of the next effects of a replica is struck
)

// step is one thing that happens. What a number means depends on the act.
type step struct {
	Act   act
	After time.Duration // since the step before
	Which int           // comment, delivery, replica or node, from the newest or the first
	Place int
	Issue int
	Who   string
	Words string
	For   time.Duration // how long something is off
	Blow  blow
	Skip  int // effects that are let pass before the blow
}

// plan is a case: all that rapid decides about it, so that it can be made smaller when it fails.
type plan struct {
	Seed  uint64
	Rules []github.Rule
	Steps []step
}

// wordings are what people ask for, and how the simulated agents take it.
func wordings() []string {
	return []string{"add a lamp", "add a lamp", "add a lamp", "ask me about a lamp", "give up", "change nothing"}
}

// issuesOfPlace is how many issues each repository has.
const issuesOfPlace = 2

// blows are all that can befall an effect.
func blows() []blow { return []blow{killBefore, killAfter, cutBefore, cutAfter, holdUp, mute} }

// ruleOf has a kind of fault strike a few times. Those that seldom can do, because SAM seldom reads what it has just made,
// strike at the first occasion.
func ruleOf(kind github.FaultKind, times int) github.Rule {
	switch kind {
	case github.NotFoundYet:
		return github.Rule{Kind: kind, Next: times, Method: "PATCH"}
	case github.StaleList, github.Reordered:
		return github.Rule{Kind: kind, Next: 2 * times}
	default:
		return github.Rule{Kind: kind, Next: times, Probability: 0.4}
	}
}

// drawPlan draws a case.
func drawPlan(t *rapid.T) plan {
	p := plan{Seed: rapid.Uint64().Draw(t, "seed")}
	for _, kind := range github.FaultKinds() {
		p.Rules = append(p.Rules, ruleOf(kind, rapid.IntRange(1, 2).Draw(t, string(kind))))
	}
	seconds := func(from, to int, name string) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, name)) * time.Second
	}
	// All that can fail does so in every case, somewhere between what people do.
	acts := []act{killReplica, killNode, freezeNode, wakeAll, again, rename}
	for range blows() {
		acts = append(acts, strike)
	}
	acts = append(acts, rapid.SliceOfN(rapid.SampledFrom([]act{
		askFor, askFor, askFor, askFor, askFor, edit, remove, closeIssue, label, again, killReplica, killNode, freezeNode, wakeAll, strike, strike,
		transfer, uninstall,
	}), 8, 20).Draw(t, "acts")...)
	next := 0
	for _, act := range rapid.Permutation(acts).Draw(t, "order") {
		s := step{Act: act, After: time.Duration(rapid.IntRange(0, 8_000).Draw(t, "after")) * time.Millisecond}
		switch s.Act {
		case askFor:
			s.Who = rapid.SampledFrom([]string{maintainer, maintainer, maintainer, maintainer, triager, stranger}).Draw(t, "who")
			s.Words = rapid.SampledFrom(wordings()).Draw(t, "words")
			s.Place, s.Issue = rapid.IntRange(0, len(places())-1).Draw(t, "place"), rapid.IntRange(0, issuesOfPlace-1).Draw(t, "issue")
		case closeIssue, label:
			s.Place, s.Issue = rapid.IntRange(0, len(places())-1).Draw(t, "place"), rapid.IntRange(0, issuesOfPlace-1).Draw(t, "issue")
			s.For = seconds(5, 60, "for")
		case rename, transfer:
			s.Place, s.For = rapid.IntRange(0, len(places())-1).Draw(t, "place"), seconds(5, 100, "for")
		case uninstall:
			s.Place, s.For = len(places())-1, seconds(5, 100, "for") // of the other account what is promised holds without an if
		case edit, remove, again:
			s.Which = rapid.IntRange(0, 5).Draw(t, "which")
		case killReplica:
			s.Which, s.For = rapid.IntRange(0, 1).Draw(t, "replica"), seconds(1, 40, "for")
		case killNode:
			s.Which, s.For = rapid.IntRange(0, 3).Draw(t, "node"), seconds(1, 120, "for")
		case freezeNode:
			s.Which, s.For = rapid.IntRange(0, 3).Draw(t, "node"), seconds(10, 120, "for")
		case strike:
			s.Which, s.Skip = rapid.IntRange(0, 1).Draw(t, "replica"), rapid.IntRange(0, 20).Draw(t, "skip")
			s.Blow = blows()[next%len(blows())]
			next++
			s.For = seconds(5, 90, "for")
		}
		p.Steps = append(p.Steps, s)
	}
	return p
}

func (p plan) String() string {
	text := fmt.Sprintf("seed %d, rules %+v\n", p.Seed, p.Rules)
	for _, s := range p.Steps {
		text += fmt.Sprintf("  %+v\n", s)
	}
	return text
}
