package runner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/goleak"

	"sam/runner"
	"sam/runner/cloud/local"
	"sam/store"
	"sam/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clocked is a runner on a Redis whose clock the test moves, so that leases end without waiting.
type clocked struct {
	*store.Store
	*runner.Runner
	redis *miniredis.Miniredis
	now   time.Time
	hub   *hub
}

// hub is a GitHub that has one free branch name and takes one pull request for it.
type hub struct {
	down      error // what every call fails with
	published int
}

func (h *hub) Branch(_ context.Context, p task.Project, s task.Spec) (task.Branch, error) {
	if h.down != nil {
		return task.Branch{}, h.down
	}
	return task.Branch{Name: "sam/issue-1", Base: p.DefaultBranch, Rewrite: true}, nil
}

func (h *hub) Publish(context.Context, task.Project, task.Task) (task.PullRequest, error) {
	if h.down != nil {
		return task.PullRequest{}, h.down
	}
	h.published++
	return task.PullRequest{Number: 2, URL: "https://example.com/pull/2"}, nil
}

func newClocked(t *testing.T) *clocked {
	t.Helper()
	m := miniredis.RunT(t)
	c := &clocked{redis: m, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), hub: &hub{}}
	m.SetTime(c.now)
	var err error
	if c.Store, err = store.Open(t.Context(), store.Options{Addresses: []string{m.Addr()}, AllowLossy: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	c.Runner = runner.New(c.Store, c.hub, local.Provider{Node: "local", Slots: 1})
	if err := c.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.SaveProject(t.Context(), task.Project{ID: 7, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside", DefaultBranch: "main"}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *clocked) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.redis.SetTime(c.now)
}

func (c *clocked) link(t *testing.T) {
	t.Helper()
	if err := c.NodeLinked(t.Context(), task.Node{Name: "local", Slots: 1, Workspace: "process"}); err != nil {
		t.Fatal(err)
	}
}

// ask makes a task and takes it a step on.
func (c *clocked) ask(t *testing.T, number int) task.ID {
	t.Helper()
	source := task.CommentSource(int64(number))
	spec := task.Spec{
		ID: task.NewID(7, source, 0), Project: 7, Installation: 3, Account: 5, Repository: "harbour/quayside",
		Thread: task.IssueThread(7, number), Number: number, Title: "Floods", Request: "add rate limiting", Requester: "ada",
		Source: source, Comment: int64(number), Agent: "demo", Created: c.now, Accepted: c.now,
	}
	if made, err := c.CreateTask(t.Context(), spec, task.Change{}); err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}
	c.Advance(t.Context(), spec.ID)
	return spec.ID
}

func (c *clocked) read(t *testing.T, id task.ID) task.Task {
	t.Helper()
	got, err := c.Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// ends reports the end of the present attempt, as its node does.
func (c *clocked) ends(t *testing.T, id task.ID, end task.End) {
	t.Helper()
	now := c.read(t, id)
	if err := c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{Started: true, Spoke: true, End: &end}, nil); err != nil {
		t.Fatal(err)
	}
	c.Advance(t.Context(), id)
}

func TestATaskIsPlacedRunAndPublished(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	got := c.read(t, id)
	if got.State != task.Preparing || got.Node != "local" || got.Branch != "sam/issue-1" || got.Base != "main" || !got.Rewrite {
		t.Fatalf("placed as %+v", got)
	}
	if err := c.RecordPush(t.Context(), id, got.Epoch, got.Branch, "abc"); err != nil {
		t.Fatal(err)
	}
	c.ends(t, id, task.End{Outcome: task.Done, Headline: "Limit uploads", Summary: "Because."})
	got = c.read(t, id)
	if got.State != task.Succeeded || got.Pull != 2 || got.Headline != "Limit uploads" || c.hub.published != 1 {
		t.Errorf("ended as %+v", got)
	}
}

func TestATaskWithoutANodeWaitsAndSaysWhyAndGoesOnWhenOneComes(t *testing.T) {
	c := newClocked(t)
	id := c.ask(t, 1)
	if got := c.read(t, id); got.State != task.Placing || !strings.Contains(got.Waits, "sam node") {
		t.Fatalf("without a node: %+v", got)
	}
	c.link(t)
	c.Advance(t.Context(), id) // the linking wakes it
	if got := c.read(t, id); got.State != task.Preparing || got.Waits != "" {
		t.Errorf("with a node: %+v", got)
	}
	second := c.ask(t, 2)
	if got := c.read(t, second); got.State != task.Placing || !strings.Contains(got.Waits, "at work") {
		t.Errorf("with no free slot: %+v", got)
	}
}

func TestALostNodeIsTriedOnceMoreThenTheTaskFailsAndSaysSo(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	first := c.read(t, id)
	c.pass(task.NodeSilence - time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.Epoch != first.Epoch {
		t.Fatalf("taken from a node that was silent for less than %s: %+v", task.NodeSilence, got)
	}
	c.pass(2 * time.Second)
	c.Advance(t.Context(), id)
	again := c.read(t, id)
	if again.State != task.Preparing || again.Epoch <= first.Epoch || again.Attempts != 2 {
		t.Fatalf("after the silence: %+v", again)
	}
	if _, err := c.AppendEvents(t.Context(), id, first.Epoch, "local", nil); !errors.Is(err, task.ErrStale) {
		t.Errorf("the lost attempt still writes: %v", err)
	}
	c.pass(task.NodeSilence + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "attempt 2 of 2") {
		t.Errorf("after the second silence: %+v", got)
	}
}

func TestAnAttemptThatItsNodeLostIsPlacedAgainAtOnce(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.ends(t, id, task.End{Outcome: task.Lost, Reason: "The node's agent process restarted."})
	if got := c.read(t, id); got.State != task.Preparing || got.Attempts != 2 {
		t.Errorf("after a restart of the node: %+v", got)
	}
}

func TestAPreparationThatFailsEndsTheTaskInTheNodesWords(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	now := c.read(t, id)
	if err := c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{End: &task.End{Outcome: task.GaveUp, Reason: "The repository is empty."}}, nil); err != nil {
		t.Fatal(err)
	}
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || got.Failure != "The repository is empty." {
		t.Errorf("ended as %+v", got)
	}
}

func TestWhatTheAgentSaysIsNotEnough(t *testing.T) {
	for name, try := range map[string]struct {
		end   task.End
		state task.State
		words string
	}{
		"done without a commit":         {task.End{Outcome: task.Done}, task.Failed, "committed nothing"},
		"done with changes left behind": {task.End{Outcome: task.Done, Left: true}, task.Failed, "kept in the workspace"},
		"died":                          {task.End{Outcome: task.Died, Reason: "It was killed."}, task.Failed, "It was killed."},
		"died without a word":           {task.End{Outcome: task.Died}, task.Failed, "without saying why"},
		"stopped":                       {task.End{Outcome: task.Stopped, Reason: "ada stopped it."}, task.Cancelled, "ada stopped it."},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			c.link(t)
			id := c.ask(t, 1)
			c.ends(t, id, try.end)
			if got := c.read(t, id); got.State != try.state || !strings.Contains(got.Failure, try.words) || c.hub.published != 0 {
				t.Errorf("ended as %+v", got)
			}
		})
	}
}

// unpublished is a task whose agent is done and whose commit is pushed, while GitHub is away.
func unpublished(t *testing.T) (*clocked, task.ID) {
	t.Helper()
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	now := c.read(t, id)
	if err := c.RecordPush(t.Context(), id, now.Epoch, now.Branch, "abc"); err != nil {
		t.Fatal(err)
	}
	c.hub.down = errors.New("502 Bad Gateway")
	c.ends(t, id, task.End{Outcome: task.Done})
	return c, id
}

func TestAResultWaitsForGitHub(t *testing.T) {
	c, id := unpublished(t)
	if got := c.read(t, id); got.State != task.Publishing {
		t.Fatalf("while GitHub is away: %+v", got)
	}
	c.hub.down = nil
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Publishing {
		t.Errorf("published under another's lease: %+v", got)
	}
	c.pass(task.Deadline(task.Publishing) + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Succeeded {
		t.Errorf("when GitHub is back: %+v", got)
	}
}

func TestAResultThatGitHubDoesNotTakeForAnHourEndsTheTask(t *testing.T) {
	c, id := unpublished(t)
	c.pass(time.Hour + time.Minute)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "from the branch") {
		t.Errorf("after an hour: %+v", got)
	}
}

func TestWhatGitHubNeverTakesEndsTheTask(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	c.hub.down = task.UnusableError{Reason: "The branch is protected."}
	id := c.ask(t, 1)
	if got := c.read(t, id); got.State != task.Failed || got.Failure != "The branch is protected." {
		t.Errorf("ended as %+v", got)
	}
}
