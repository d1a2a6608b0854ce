package runner_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sam/task"
)

func TestATaskThatLooksForANodeForADayFailsAndSaysWhy(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	c.pass(24*time.Hour - time.Minute)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Placing {
		t.Fatalf("given up early: %+v", got)
	}
	c.pass(2 * time.Minute)
	c.Advance(t.Context(), id)
	got := c.read(t, id)
	if got.State != task.Failed || !strings.Contains(got.Failure, "could not be started within 24h") || !strings.Contains(got.Failure, "sam node") {
		t.Errorf("ended as %s: %q", got.State, got.Failure)
	}
}

func TestATaskThatFindsANodeAtTheLastMomentRuns(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	c.pass(25 * time.Hour) // nobody looked meanwhile: SAM was down
	c.link(t)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Preparing {
		t.Errorf("it is %s: %q", got.State, got.Failure)
	}
}

func TestTheTimeToFindANodeBeginsAnewWithTheSecondAttempt(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.beats(t, id, 2*time.Minute)
	c.Bounds.Place = time.Minute
	c.pass(task.NodeSilence + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Placing {
		t.Fatalf("it is %s: %q", got.State, got.Failure)
	}
	c.pass(2 * time.Minute)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "within 1m") {
		t.Errorf("it is %s: %q", got.State, got.Failure)
	}
}

func TestATaskSaysSoWhenGitHubErrsForLong(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	c.hub.down = errors.New("502 Bad Gateway")
	id := c.ask(t, 1)
	if got := c.read(t, id); got.State != task.Placing || got.Waits != "" {
		t.Fatalf("at the first error: %+v", got)
	}
	c.pass(3 * time.Minute)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Placing || !strings.Contains(got.Waits, "GitHub does not answer") || strings.Contains(got.Waits, "502") {
		t.Fatalf("after three minutes: %+v", got)
	}
	c.hub.down = nil
	c.link(t)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Preparing || got.Waits != "" {
		t.Errorf("when GitHub is back: %+v", got)
	}
}

func TestAnIssueAndItsPullRequestDoNotWorkOnOneBranchAtOnce(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 2)
	c.hub.pulls = map[task.ThreadID]task.Branch{task.IssueThread(7, 2): {Name: "sam/issue-1", Base: "main", Pull: 2}}
	issue := c.ask(t, 1)
	pull := c.ask(t, 2)
	got := c.read(t, pull)
	if got.State != task.Placing || !strings.Contains(got.Waits, string(issue)) || !strings.Contains(got.Waits, "sam/issue-1") {
		t.Fatalf("while the issue's task works on the branch: %+v", got)
	}
	c.ends(t, issue, task.End{Outcome: task.Died, Reason: "It was killed."})
	c.Advance(t.Context(), pull)
	if got := c.read(t, pull); got.State != task.Preparing || got.Branch != "sam/issue-1" {
		t.Errorf("after it: %+v", got)
	}
}

func TestATaskThatWaitsForABranchLeavesItsPlaceToTheTaskThatHasTheBranch(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 2)
	c.Bounds.InFlight = task.Limits{Account: 1, All: 5}
	c.hub.pulls = map[task.ThreadID]task.Branch{task.IssueThread(7, 2): {Name: "sam/issue-1", Base: "main", Pull: 2}}
	issue := c.ask(t, 1)
	now := c.read(t, issue)
	if err := c.Ask(t.Context(), now, now.Epoch, task.Question{ID: "q", Seq: 1, Text: "which?"}, task.Change{}); err != nil {
		t.Fatal(err)
	}
	c.pass(task.NodeSilence + time.Second) // its node is lost: it waits without one, and without a place
	c.Advance(t.Context(), issue)
	c.linkAs(t, "local", 2)
	pull := c.ask(t, 2)
	if got := c.read(t, pull); got.State != task.Placing || !strings.Contains(got.Waits, string(issue)) {
		t.Fatalf("while the other has the branch: %s %q", got.State, got.Waits)
	}
	waits := c.read(t, issue)
	if given, err := c.Answer(t.Context(), waits, task.Answer{Text: "green"}, task.NewID(7, task.CommentSource(9), 0), c.now, task.Change{}); err != nil || !given {
		t.Fatalf("answer: %v, %v", given, err)
	}
	c.Advance(t.Context(), issue)
	if got := c.read(t, issue); got.State != task.Preparing {
		t.Errorf("the one that has the branch: %s %q", got.State, got.Waits)
	}
}

func TestAnAccountsTasksBeyondItsLimitWaitAndSayTheirPlace(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 3)
	c.Bounds.InFlight = task.Limits{Account: 1, All: 5}
	first := c.ask(t, 1)
	second := c.ask(t, 2)
	if got := c.read(t, second); got.State != task.Placing || !strings.Contains(got.Waits, "1 of this account's tasks") {
		t.Fatalf("beyond the limit: %s %q", got.State, got.Waits)
	}
	c.ends(t, first, task.End{Outcome: task.Died, Reason: "It was killed."})
	c.Advance(t.Context(), second) // the leaving wakes it
	if got := c.read(t, second); got.State != task.Preparing {
		t.Errorf("when there is a place: %s %q", got.State, got.Waits)
	}
}
