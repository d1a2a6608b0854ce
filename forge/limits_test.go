package forge_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

// strike has the next calls of a kind fail.
func (w *world) strike(rules ...github.Rule) {
	w.t.Helper()
	w.check(w.hub.SetFaults(github.Faults{Rules: rules}))
}

func TestALimitOfGitHubsIsObeyedByEveryReplica(t *testing.T) {
	const path = "/repos/*/*/issues/comments/*/reactions"
	for name, c := range map[string]struct {
		rule github.Rule
		want time.Duration
	}{
		"the primary by 403":                     {github.Rule{Kind: github.Primary403, For: 20 * time.Minute}, 20 * time.Minute},
		"the primary by 429":                     {github.Rule{Kind: github.Primary429, For: 20 * time.Minute}, 20 * time.Minute},
		"the secondary by 403":                   {github.Rule{Kind: github.Secondary403, For: 37 * time.Second}, 37 * time.Second},
		"the secondary by 429":                   {github.Rule{Kind: github.Secondary429, For: 41 * time.Second}, 41 * time.Second},
		"the secondary that does not say":        {github.Rule{Kind: github.Secondary403Bare}, time.Minute},
		"the secondary by 429 that does not say": {github.Rule{Kind: github.Secondary429Bare}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			spec := d.task() // its status comment is owed too
			p := d.project("hello")
			c.rule.Path, c.rule.Next = path, 1
			d.strike(c.rule)
			d.owe(task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes"))
			d.deliver()
			if len(d.ledger.settled) != 0 || len(d.ledger.putOff) != 0 || len(d.ledger.givenBack) != 1 {
				t.Errorf("settled %v, put off %v, given back %v; want one given back and the other not taken", d.ledger.settled, d.ledger.putOff, d.ledger.givenBack)
			}
			held, err := d.ledger.Held(t.Context(), d.install.ID)
			// Time has passed since then, on a slow machine some of it; the stand-in counts in whole seconds.
			if err != nil || held > c.want+2*time.Second || held < c.want-18*time.Second {
				t.Errorf("held for %s, %v; want %s", held, err, c.want)
			}
			other := d.desk(d.ledger.Store) // another process on the same Redis
			before := d.between.total()
			other.deliver()
			if _, err := other.forge.Branch(t.Context(), p, spec); !errors.As(err, new(task.LaterError)) {
				t.Errorf("another replica reads meanwhile: %v", err)
			}
			if calls := d.between.total() - before; calls != 0 || len(other.ledger.givenBack) != 1 {
				t.Errorf("another replica made %d calls and gave back %v", calls, other.ledger.givenBack)
			}
			if n := d.hub.Faults().TooSoon; n != 0 {
				t.Errorf("GitHub was called %d times too soon", n)
			}
		})
	}
}

func TestWhatALimitHeldUpIsDeliveredWhenItIsOver(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	d.strike(github.Rule{Kind: github.Secondary429Bare, Method: http.MethodPost, Path: "/repos/*/*/issues/*/comments", Next: 1, For: time.Millisecond})
	d.owe(task.ReplyEffect(spec.Project, 1, "k", "Say more."))
	d.deliver()
	d.pass(59 * time.Second)
	d.deliver()
	if len(d.ours(1)) != 0 {
		t.Fatal("it was delivered before the minute was over")
	}
	d.pass(2 * time.Second)
	d.deliver()
	if got := d.ours(1); len(got) != 1 || len(d.ledger.putOff) != 0 {
		t.Errorf("got %q, put off %v", got, d.ledger.putOff)
	}
}

func TestWhatIsOwedGoesAtItsPace(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	for urgency := range 3 {
		for {
			wait, err := d.ledger.Pace(t.Context(), d.install.ID, urgency)
			d.check(err)
			if wait > 0 {
				break
			}
		}
	}
	d.owe(task.ReplyEffect(spec.Project, 1, "k", "Say more."))
	d.deliver()
	if len(d.ours(1)) != 0 || len(d.ledger.givenBack) != 1 || d.between.count("GET /repos/octo/hello/issues/1/comments") != 0 {
		t.Errorf("with nothing left of the minute: %q, given back %v", d.ours(1), d.ledger.givenBack)
	}
	job := task.Task{Spec: spec, Branch: "sam/issue-1", Base: "main"}
	d.branch(job.Branch)
	var later task.LaterError
	if _, err := d.forge.Publish(t.Context(), d.project("hello"), job); !errors.As(err, &later) || later.After <= 0 || later.After > time.Minute {
		t.Errorf("a pull request meanwhile: %v", err)
	}
	d.pass(61 * time.Second)
	d.deliver()
	if len(d.ours(1)) != 1 || len(d.ledger.settled) != 1 {
		t.Errorf("a minute later: %q, settled %v", d.ours(1), d.ledger.settled)
	}
	if pull, err := d.forge.Publish(t.Context(), d.project("hello"), job); err != nil || pull.Number != 2 {
		t.Errorf("a pull request then: %+v, %v", pull, err)
	}
}

func TestAForgottenTokenIsMintedAnewOnce(t *testing.T) {
	d := newDesk(t)
	spec := d.issue()
	d.owe(task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes"))
	d.deliver()
	d.strike(github.Rule{Kind: github.TokenForgotten, Method: http.MethodPost, Path: "/repos/*/*/issues/*/comments", Next: 1})
	d.owe(task.ReplyEffect(spec.Project, 1, "k", "Say more."))
	mints := func() int { return d.between.count("POST /app/installations/" + id(d.install.ID) + "/access_tokens") }
	before := mints()
	d.deliver()
	if got := d.ours(1); len(got) != 1 || len(d.ledger.putOff) != 0 || mints() != before+1 {
		t.Errorf("got %q, put off %v, %d tokens minted; want it made at once with one new token", got, d.ledger.putOff, mints()-before)
	}
	d.strike(github.Rule{Kind: github.TokenForgotten, Method: http.MethodPost, Path: "/repos/*/*/issues/*/comments", Next: 2})
	again := task.ReplyEffect(spec.Project, 1, "k2", "Say even more.")
	d.owe(again)
	d.deliver()
	if d.ledger.putOff[again.Target] != time.Second {
		t.Errorf("when the new one is forgotten as well: put off %v, want a second", d.ledger.putOff)
	}
}

func TestAnOutageIsTriedAgainAfterGrowingTimes(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	d.strike(github.Rule{Kind: github.BadGateway, Path: "/repos/*/*/issues/comments/*/reactions", Next: 3})
	effect := task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes")
	d.owe(effect)
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		d.deliver()
		if got := d.ledger.putOff[effect.Target]; got != want {
			t.Fatalf("put off for %s, want %s", got, want)
		}
		d.pass(want)
	}
	d.deliver()
	if len(d.ledger.settled) != 1 || d.comments(1)[0].Reactions["eyes"] != 1 {
		t.Errorf("settled %v", d.ledger.settled)
	}
}

func TestWhatIsNotFoundRightAfterItsCreationIsTriedAgain(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	d.strike(github.Rule{Kind: github.NotFoundYet, Method: http.MethodPost, Path: "/repos/*/*/issues/comments/*/reactions", Next: 1})
	d.owe(task.ReactionEffect(spec.Project, 1, spec.Comment, "eyes"))
	d.deliver()
	if len(d.ledger.settled) != 0 || d.hub.Faults().Hits[github.NotFoundYet] != 1 {
		t.Fatalf("settled %v after %v", d.ledger.settled, d.hub.Faults().Hits)
	}
	d.pass(time.Second)
	d.deliver()
	if d.comments(1)[0].Reactions["eyes"] != 1 {
		t.Error("it was not left")
	}
}

func TestWhatGitHubRefusesForGoodOrDoesNotFindIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		effect   func(task.Spec) task.Effect
		attempts int
	}{
		"a comment that is gone":           {func(s task.Spec) task.Effect { return task.ReactionEffect(s.Project, 1, s.Comment+1000, "eyes") }, 5},
		"a repository it may not write to": {func(s task.Spec) task.Effect { return task.ReplyEffect(s.Project, 1, "forbidden", "Say more.") }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			d := newTimedDesk(t)
			owed := c.effect(d.issue())
			d.between.refusing(func(r *http.Request) *http.Response {
				if r.Method == http.MethodPost && r.URL.Path == "/api/v3/repos/octo/hello/issues/1/comments" {
					return answer(http.StatusForbidden, `{"message":"Resource not accessible by integration"}`)
				}
				return nil
			})
			d.owe(owed)
			attempts := 0
			for !slices.Contains(d.ledger.settled, owed.Target) && attempts < 10 {
				d.deliver()
				attempts++
				d.pass(time.Minute)
			}
			if attempts != c.attempts {
				t.Errorf("given up after %d attempts, want %d", attempts, c.attempts)
			}
		})
	}
}
