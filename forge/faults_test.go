package forge_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

// Every fault that passes at once is drawn for every call; two processes deliver by turns, and at times one dies with an
// effect in its hand.
func TestHoweverGitHubFailsEveryCommentIsThereOnceAndSaysTheLast(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	d := newTimedDesk(t)
	other := d.desk(d.ledger.Store)
	var rules []github.Rule
	for _, kind := range []github.FaultKind{github.BadGateway, github.BadGatewayAfter, github.TokenForgotten, github.NotFoundYet} {
		rules = append(rules, github.Rule{Kind: kind, Probability: 0.15})
	}
	d.check(d.hub.SetFaults(github.Faults{Seed: seed, Rules: rules}))
	var specs []task.Spec
	for range 6 {
		d.check(d.hub.SetFaults(github.Faults{})) // what people do is not SAM's concern
		spec := d.task()
		d.check(d.hub.SetFaults(github.Faults{Seed: random.Uint64(), Rules: rules}))
		d.owe(task.ReactionEffect(spec.Project, spec.Number, spec.Comment, "eyes"), task.QuestionEffect(spec, "1", "Red or blue?"))
		specs = append(specs, spec)
	}
	step := func() {
		switch random.IntN(10) {
		case 0: // a process dies with what it has taken
			owing, err := d.ledger.Owing(t.Context())
			d.check(err)
			for _, to := range owing {
				_, _ = d.ledger.TakeOwed(t.Context(), to)
			}
		case 1, 2, 3, 4:
			other.deliver()
		default:
			d.deliver()
		}
		d.pass(time.Duration(random.IntN(3000)) * time.Millisecond)
	}
	for range 60 {
		step()
	}
	for _, spec := range specs {
		d.end(spec)
	}
	for range 60 {
		step()
	}
	hits := d.hub.Faults().Hits
	d.check(d.hub.SetFaults(github.Faults{}))
	for range 400 {
		d.deliver()
		d.pass(time.Second)
	}
	if owing, err := d.ledger.Owing(t.Context()); err != nil || len(owing) != 0 {
		t.Fatalf("still owed: %v, %v", owing, err)
	}
	for _, spec := range specs {
		bodies := strings.Join(d.ours(spec.Number), "")
		for mark, least := range map[string]int{"status:": 1, "closing:": 1, "question:": 0} { // a question may come too late
			if n := strings.Count(bodies, "<!-- sam:"+mark+string(spec.ID)); n < least || n > 1 {
				t.Errorf("%s%s is there %d times", mark, spec.ID, n)
			}
		}
		if !strings.Contains(bodies, "**SAM could not finish**") {
			t.Errorf("the status of #%d does not tell the end: %q", spec.Number, bodies)
		}
		if got := d.comments(spec.Number)[0].Reactions["eyes"]; got != 1 {
			t.Errorf("#%d has %d eyes", spec.Number, got)
		}
	}
	for _, kind := range []github.FaultKind{github.BadGateway, github.BadGatewayAfter, github.TokenForgotten} {
		if hits[kind] == 0 {
			t.Errorf("%s never struck: %v", kind, hits)
		}
	}
}
