package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/task"
)

func TestWhatGitHubSaysIsNotWantedAnyMoreEndsThoughNoEventTold(t *testing.T) {
	closed := time.Date(2026, 11, 23, 10, 1, 0, 0, time.UTC)
	for name, try := range map[string]struct {
		state task.ThreadState
		want  string // in the reason; "" goes on
	}{
		"nothing happened":                   {task.ThreadState{}, ""},
		"the comment is deleted":             {task.ThreadState{CommentGone: true}, "The comment that asked was deleted."},
		"the issue is closed":                {task.ThreadState{ClosedAt: closed}, "Issue #1 was closed."},
		"it was closed before it was asked":  {task.ThreadState{ClosedAt: closed.Add(-time.Hour)}, ""},
		"SAM's own pull request closed it":   {task.ThreadState{ClosedAt: closed, ByMerge: true}, ""},
		"the issue is gone":                  {task.ThreadState{Gone: true}, "deleted or moved"},
		"the pull request is merged":         {task.ThreadState{Pull: task.PullMerged, ClosedAt: closed, ByMerge: true}, "was merged while SAM worked on its branch"},
		"the pull request is closed":         {task.ThreadState{Pull: task.PullClosed}, "was closed while SAM worked on its branch"},
		"the pull request is open as before": {task.ThreadState{Pull: task.PullOpen}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			c.link(t)
			id := c.ask(t, 1)
			c.hub.threads = map[task.ID]task.ThreadState{id: try.state}
			c.pass(5 * time.Minute)
			c.ReconcileOnce(t.Context(), 0)
			if got := c.read(t, id); (try.want == "") != (got.Cancel == "") || !strings.Contains(got.Cancel, try.want) {
				t.Errorf("cancelled because %q, want %q", got.Cancel, try.want)
			}
		})
	}
}

func TestACommentThatGitHubDeniesRightAfterItsEventIsNotTakenForDeleted(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	c.hub.threads = map[task.ID]task.ThreadState{id: {CommentGone: true}}
	c.pass(30 * time.Second)
	c.ReconcileOnce(t.Context(), 0)
	if got := c.read(t, id); got.Cancel != "" {
		t.Errorf("cancelled because %q", got.Cancel)
	}
}

func TestTheTasksOfAProjectThatIsGoneEnd(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	if err := c.RemoveProject(t.Context(), task.Project{ID: 7, Installation: 3}); err != nil {
		t.Fatal(err)
	}
	c.ReconcileOnce(t.Context(), 0)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Cancelled || !strings.Contains(got.Failure, "no longer installed") {
		t.Errorf("it is %s: %q", got.State, got.Failure)
	}
}

func TestOneReplicaReconcilesAndAnotherTakesOverWhenItIsGone(t *testing.T) {
	c := newClocked(t)
	if _, mine, err := c.TakeTurn(t.Context(), "reconcile", time.Minute, 0); err != nil || !mine {
		t.Fatalf("the first: %v, %v", mine, err)
	}
	other := c.again(t)
	if _, mine, err := other.TakeTurn(t.Context(), "reconcile", time.Minute, 0); err != nil || mine {
		t.Errorf("two at once: %v", err)
	}
	c.pass(61 * time.Second)
	at, mine, err := other.TakeTurn(t.Context(), "reconcile", time.Minute, 0)
	if err != nil || !mine || !at.Equal(c.now) {
		t.Errorf("after the lease: %v at %s, %v", mine, at, err)
	}
	if err := c.EndTurn(t.Context(), "reconcile"); err != nil { // the first comes back
		t.Fatal(err)
	}
	if err := other.EndTurn(t.Context(), "reconcile"); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Minute)
	if _, mine, err := c.TakeTurn(t.Context(), "reconcile", time.Minute, 2*time.Minute); err != nil || mine {
		t.Errorf("again though it was finished a minute ago: %v", err)
	}
	c.pass(time.Minute)
	if _, mine, err := c.TakeTurn(t.Context(), "reconcile", time.Minute, 2*time.Minute); err != nil || !mine {
		t.Errorf("not again after two minutes: %v", err)
	}
}

func TestAPlaceInFlightOfATaskThatIsOverIsGivenUp(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	now := c.read(t, id)
	if err := c.Move(t.Context(), now, task.Failed, task.Change{}); err != nil { // and the process died then
		t.Fatal(err)
	}
	c.ReconcileOnce(t.Context(), 0)
	if flying, err := c.InFlight(t.Context()); err != nil || len(flying) != 0 {
		t.Errorf("still in flight: %v, %v", flying, err)
	}
}

func TestAPlaceInFlightIsGivenUpThoughThereIsMoreToCompareThanTheTurnHasTimeFor(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 2)
	over := c.ask(t, 1)
	if err := c.Move(t.Context(), c.read(t, over), task.Failed, task.Change{}); err != nil {
		t.Fatal(err)
	}
	open := c.ask(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	c.hub.asked = cancel // the time is over at the first look
	c.ReconcileOnce(ctx, 0)
	if flying, err := c.InFlight(t.Context()); err != nil || !slices.Equal(flying, []task.ID{open}) {
		t.Errorf("in flight: %v, %v", flying, err)
	}
}

func TestATaskThatCannotBeAskedAboutHoldsUpNoOther(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	c.hub.down = errors.New("502 Bad Gateway")
	c.ReconcileOnce(t.Context(), 0)
	if got := c.read(t, id); got.Cancel != "" {
		t.Errorf("cancelled because %q", got.Cancel)
	}
	if _, mine, err := c.again(t).TakeTurn(t.Context(), "reconcile", time.Minute, 0); err != nil || !mine {
		t.Errorf("the turn was kept: %v", err)
	}
}

func TestAReadThatIsWrongForAMomentEndsNothing(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	c.hub.wrong = 1
	c.ReconcileOnce(t.Context(), 0)
	if got := c.read(t, id); got.Cancel != "" {
		t.Errorf("cancelled because %q", got.Cancel)
	}
}
