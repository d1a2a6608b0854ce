package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/runner"
	"sam/runner/cloud/local"
	"sam/store"
	"sam/task"
)

const unwanted = "The comment that asked was deleted."

// told lists the commands that a node has not confirmed.
func (c *clocked) told(t *testing.T, node string) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all []string
	seen := 0
	entries, err := c.redis.Stream("{0}:cmd:" + node)
	if err != nil {
		return nil
	}
	if err := c.FollowCommands(ctx, node, func(command task.Command) error {
		all = append(all, string(command.Kind))
		if seen++; seen == len(entries) {
			cancel()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func (c *clocked) cancel(t *testing.T, id task.ID, in ...task.State) bool {
	t.Helper()
	done, err := c.Cancel(t.Context(), id, unwanted, in...)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestATaskThatNobodyIsAtIsCancelledAtOnce(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *clocked) task.ID{
		"queued behind another": func(t *testing.T, c *clocked) task.ID {
			c.link(t)
			c.ask(t, 1)
			return c.askOn(t, 1, 2)
		},
		"waiting for a node": func(t *testing.T, c *clocked) task.ID { return c.ask(t, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			id := prepare(t, c)
			if !c.cancel(t, id) || c.cancel(t, id) {
				t.Error("not cancelled once")
			}
			c.Advance(t.Context(), id)
			if got := c.read(t, id); got.State != task.Cancelled || got.Failure != unwanted {
				t.Errorf("it is %s: %q", got.State, got.Failure)
			}
			if flying, err := c.InFlight(t.Context()); err != nil || slices.Contains(flying, id) {
				t.Errorf("it still has a place in flight: %v, %v", flying, err)
			}
		})
	}
}

func TestACancelledAttemptIsStoppedBeforeItEnds(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.says(t, id, task.Event{Kind: task.Said, Text: "I begin."})
	c.cancel(t, id)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Running {
		t.Fatalf("ended under its node's hands: %+v", got)
	}
	if got := c.told(t, "local"); !slices.Equal(got, []string{"start", "stop"}) {
		t.Errorf("the node was told %v", got)
	}
	c.ends(t, id, task.End{Outcome: task.Stopped, Reason: unwanted})
	if got := c.read(t, id); got.State != task.Cancelled || got.Failure != unwanted {
		t.Errorf("it is %s: %q", got.State, got.Failure)
	}
}

func TestACancelledAttemptThatSaysItIsDoneIsNotPublished(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	now := c.read(t, id)
	if err := c.RecordPush(t.Context(), id, now.Epoch, now.Branch, "abc"); err != nil {
		t.Fatal(err)
	}
	c.cancel(t, id)
	c.ends(t, id, task.End{Outcome: task.Done})
	got := c.read(t, id)
	if got.State != task.Cancelled || c.hub.published != 0 || !strings.Contains(got.Failure, "on the branch `sam/issue-1`") {
		t.Errorf("it is %s with %d pull requests: %q", got.State, c.hub.published, got.Failure)
	}
}

func TestANodeThatDoesNotStopWhatIsCancelledLosesIt(t *testing.T) {
	for name, alive := range map[string]bool{"though it lives": true, "because it is lost": false} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			c.link(t)
			id := c.ask(t, 1)
			c.says(t, id, task.Event{Kind: task.Said, Text: "I begin."})
			c.cancel(t, id)
			if alive {
				c.beats(t, id, task.StopWithin+task.NodeBeat)
			} else {
				c.pass(task.NodeSilence + time.Second)
				c.Advance(t.Context(), id)
			}
			if got := c.read(t, id); got.State != task.Cancelled || got.Failure != unwanted {
				t.Errorf("it is %s: %q", got.State, got.Failure)
			}
		})
	}
}

func TestWhatIsCancelledOnlyWhileItIsQueuedGoesOnOnceItHasBegun(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	if c.cancel(t, id, task.Queued) {
		t.Error("cancelled though it has begun")
	}
	if got := c.read(t, id); got.Cancel != "" || got.State != task.Preparing {
		t.Errorf("it is %+v", got)
	}
}

func TestACancelledTaskEndsWhateverHappensToItMeanwhile(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := newClocked(t)
		defer c.redis.Close()
		c.link(t)
		id := c.ask(t, 1)
		steps := []func(){
			func() { c.Advance(t.Context(), id) },
			func() { c.pass(time.Duration(rapid.IntRange(1, 50).Draw(r, "seconds")) * time.Second) },
			func() { c.link(t) },
			func() {
				if now := c.read(t, id); now.State == task.Preparing || now.State == task.Running {
					_ = c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{Started: true}, nil)
				}
			},
			func() {
				if now := c.read(t, id); now.State == task.Preparing || now.State == task.Running {
					outcome := rapid.SampledFrom([]task.Outcome{task.Done, task.Died, task.Lost, task.Stopped}).Draw(r, "outcome")
					_ = c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{End: &task.End{Outcome: outcome, Reason: "."}}, nil)
				}
			},
			func() {
				if now := c.read(t, id); now.State == task.Preparing || now.State == task.Running {
					_ = c.RenewFor(t.Context(), now.Node, id, now.Epoch)
				}
			},
		}
		step := func(n int) {
			for range n {
				steps[rapid.IntRange(0, len(steps)-1).Draw(r, "step")]()
			}
		}
		step(rapid.IntRange(0, 6).Draw(r, "steps before"))
		cancelled := c.cancel(t, id)
		step(rapid.IntRange(0, 6).Draw(r, "steps after"))
		for range 3 { // then nothing happens but time
			c.pass(task.StopWithin + task.NodeSilence)
			c.Advance(t.Context(), id)
		}
		got := c.read(t, id)
		if cancelled && (got.State != task.Cancelled || got.Failure != unwanted || c.hub.published != 0) {
			r.Fatalf("cancelled, and it is %s: %q, with %d pull requests", got.State, got.Failure, c.hub.published)
		}
		if !cancelled && !got.State.Final() {
			r.Fatalf("not cancelled although it is %s", got.State)
		}
	})
}

func TestWhatIsCancelledWhileItsResultIsPublishedIsLeftToThePublisherWhileThatLives(t *testing.T) {
	c, id := unpublished(t)
	before := c.read(t, id)
	c.cancel(t, id)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Publishing || got.Epoch != before.Epoch {
		t.Fatalf("taken from a publisher that lives: %+v", got)
	}
	c.hub.down = nil
	c.pass(task.Deadline(task.Publishing) + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Cancelled || c.hub.published != 0 || !strings.Contains(got.Failure, "on the branch") {
		t.Errorf("it is %s: %q, with %d pull requests", got.State, got.Failure, c.hub.published)
	}
}

func TestATaskThatIsCancelledAfterItsPublisherMadeThePullRequestNamesIt(t *testing.T) {
	c, id := unpublished(t)
	if done, err := c.Cancel(t.Context(), id, unwanted); err != nil || !done {
		t.Fatalf("cancel: %v, %v", done, err)
	}
	c.pass(task.Deadline(task.Publishing) + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State.Final() {
		t.Fatalf("it ended, as %s, without asking GitHub for its pull request", got.State)
	}
	c.hub.down = nil
	now := c.read(t, id)
	c.hub.pulls = map[task.ThreadID]task.Branch{now.Thread: {Name: now.Branch, Base: "main", Rewrite: true, Pull: 2, PullURL: "https://example.com/pull/2"}}
	c.pass(task.Deadline(task.Publishing) + time.Second)
	c.Advance(t.Context(), id)
	got := c.read(t, id)
	if got.State != task.Cancelled || got.Pull != 2 || !strings.Contains(got.Failure, "in pull request #2") || c.hub.published != 0 {
		t.Errorf("ended as %+v", got)
	}
}

// unread is a store whose blob store is away.
type unread struct{ *store.Store }

func (unread) WholeBody(context.Context, task.Spec) (string, error) {
	return "", errors.New("the bucket does not answer")
}

func TestATaskWhoseTextCannotBeReadSaysSoAndGoesOnWhenItCan(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	away := runner.New(unread{c.Store}, c.hub, local.Provider{Node: "local", Slots: 1})
	right := c.Runner
	c.Runner = away
	id := c.ask(t, 1)
	if got := c.read(t, id); got.State != task.Placing || !strings.Contains(got.Waits, "cannot be read") {
		t.Fatalf("while the text is away: %+v", got)
	}
	c.Runner = right
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Preparing || got.Waits != "" {
		t.Errorf("when it is back: %+v", got)
	}
}

func TestATaskWhoseRepositoryWentToAnotherAccountGoesNoFurther(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *clocked) task.ID{
		"before it is placed": func(t *testing.T, c *clocked) task.ID { return c.ask(t, 1) },
		"before it is published": func(t *testing.T, c *clocked) task.ID {
			c.link(t)
			return c.ask(t, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			id := prepare(t, c)
			if err := c.SaveProject(t.Context(), task.Project{ID: 7, Installation: 4, Account: 6, Owner: "quay", Name: "quayside", DefaultBranch: "main"}); err != nil {
				t.Fatal(err)
			}
			if now := c.read(t, id); now.State == task.Preparing {
				if err := c.RecordPush(t.Context(), id, now.Epoch, now.Branch, "abc"); err != nil {
					t.Fatal(err)
				}
				c.ends(t, id, task.End{Outcome: task.Done})
			} else {
				c.link(t)
				c.Advance(t.Context(), id)
			}
			got := c.read(t, id)
			if got.State != task.Cancelled || !strings.Contains(got.Failure, "went from harbour/quayside to quay/quayside, to another account. Ask again there.") {
				t.Errorf("it is %s: %q", got.State, got.Failure)
			}
			if c.hub.published != 0 || got.Attempts != 0 && name == "before it is placed" {
				t.Errorf("it was published %d times, and placed %d times", c.hub.published, got.Attempts)
			}
		})
	}
}
