package runner_test

import (
	"context"
	"errors"
	"fmt"
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
	links map[string]int64 // by node: the newest
}

// hub is a GitHub that has one free branch name and takes one pull request for it.
type hub struct {
	down      error  // what every call fails with
	hangs     func() // called when a publication hangs, as from then on all do
	asked     func() // called when a thread is looked at
	published int
	wrong     int                           // how many reads of a thread say that it is gone
	landed    string                        // what is on the branch though no push of it was recorded
	threads   map[task.ID]task.ThreadState  // what has become of threads; none: nothing
	pulls     map[task.ThreadID]task.Branch // threads that work on a pull request's branch
}

func (h *hub) Branch(_ context.Context, p task.Project, s task.Spec) (task.Branch, error) {
	if h.down != nil {
		return task.Branch{}, h.down
	}
	if b, ok := h.pulls[s.Thread]; ok {
		return b, nil
	}
	return task.Branch{Name: fmt.Sprintf("sam/issue-%d", s.Number), Base: p.DefaultBranch, Rewrite: true, Tip: task.NoCommit}, nil
}

func (h *hub) Tip(context.Context, task.Project, string) (string, error) {
	return h.landed, h.down
}

func (h *hub) Landed(context.Context, task.Project, task.Task) (string, bool, error) {
	return h.landed, h.landed != "", h.down
}

func (h *hub) ThreadState(_ context.Context, _ task.Project, t task.Task) (task.ThreadState, error) {
	if h.asked != nil {
		h.asked()
	}
	if h.wrong > 0 {
		h.wrong--
		return task.ThreadState{Gone: true}, nil
	}
	return h.threads[t.ID], h.down
}

func (h *hub) Publish(ctx context.Context, _ task.Project, _ task.Task) (task.PullRequest, error) {
	if h.hangs != nil {
		h.hangs()
		<-ctx.Done()
		return task.PullRequest{}, ctx.Err()
	}
	if h.down != nil {
		return task.PullRequest{}, h.down
	}
	h.published++
	return task.PullRequest{Number: 2, URL: "https://example.com/pull/2"}, nil
}

func newClocked(t *testing.T) *clocked {
	t.Helper()
	m := miniredis.RunT(t)
	c := &clocked{redis: m, now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), hub: &hub{}, links: map[string]int64{}}
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

// again is another process on the same Redis.
func (c *clocked) again(t *testing.T) *store.Store {
	t.Helper()
	other, err := store.Open(t.Context(), store.Options{Addresses: []string{c.redis.Addr()}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
	return other
}

func (c *clocked) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.redis.SetTime(c.now)
}

func (c *clocked) link(t *testing.T) { t.Helper(); c.linkAs(t, "local", 1) }

// linkAs brings a node's link up, with a record of it.
func (c *clocked) linkAs(t *testing.T, name string, slots int) {
	t.Helper()
	n := task.Node{Name: name, Slots: slots, Workspace: "process"}
	if err := c.EnsureNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.links[name], err = c.NodeLinked(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// ask makes a task on an issue and takes it a step on.
func (c *clocked) ask(t *testing.T, number int) task.ID {
	t.Helper()
	return c.askOn(t, number, int64(number))
}

// askOn makes the task of a comment on an issue.
func (c *clocked) askOn(t *testing.T, number int, comment int64) task.ID {
	t.Helper()
	source := task.CommentSource(comment)
	spec := task.Spec{
		ID: task.NewID(7, source, 0), Project: 7, Installation: 3, Account: 5, Repository: "harbour/quayside",
		Thread: task.IssueThread(7, number), Number: number, Title: "Floods", Request: "add rate limiting", Requester: "ada",
		Source: source, Comment: comment, Agent: "demo", Created: c.now, Accepted: c.now,
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

func TestAPushThatWasNotRecordedIsFoundAndPublished(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.hub.landed = "def"
	c.ends(t, id, task.End{Outcome: task.Done})
	if got := c.read(t, id); got.State != task.Succeeded || got.Head != "def" || c.hub.published != 1 {
		t.Errorf("ended as %s with head %q: %q", got.State, got.Head, got.Failure)
	}
}

func TestOfAPushThatWasBegunGitHubKnowsWhatBecameOfIt(t *testing.T) {
	for name, one := range map[string]struct{ tip, head string }{
		"it landed":       {"def", "def"},
		"it did not land": {"abc", "abc"},
		"somebody's else": {"123", "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			c.link(t)
			id := c.ask(t, 1)
			now := c.read(t, id)
			if err := c.RecordPush(t.Context(), id, now.Epoch, now.Branch, "abc"); err != nil {
				t.Fatal(err)
			}
			if err := c.BeginPush(t.Context(), id, now.Epoch, now.Branch, "def"); err != nil {
				t.Fatal(err)
			}
			c.hub.landed = one.tip
			c.ends(t, id, task.End{Outcome: task.Done})
			if got := c.read(t, id); got.State != task.Succeeded || got.Head != one.head {
				t.Errorf("ended as %s with head %q, want %q: %q", got.State, got.Head, one.head, got.Failure)
			}
		})
	}
}

func TestGitHubIsAskedForAPushUntilItAnswers(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.hub.down = errors.New("502 Bad Gateway")
	c.ends(t, id, task.End{Outcome: task.Done})
	if got := c.read(t, id); got.State != task.Publishing {
		t.Fatalf("while GitHub is away: %s %q", got.State, got.Failure)
	}
	c.hub.down = nil
	c.pass(task.Deadline(task.Publishing) + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "committed nothing") {
		t.Errorf("when it says that there is none: %s %q", got.State, got.Failure)
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
