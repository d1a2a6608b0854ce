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

// file is what a project's file says, or what is wrong with it.
type file struct {
	says task.Settings
	err  error
}

func (f *file) Settings(context.Context, task.Project) (task.Settings, error) { return f.says, f.err }

func TestATaskWaitsForABadProjectFileToBeMendedAndSaysWhatIsWrong(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 2)
	c.Bounds.InFlight = task.Limits{Account: 1, All: 5}
	f := &file{err: task.SettingsError{Reason: "`.github/sam.yml`, line 3, column 1: \"environments\" is no key."}}
	c.Files = f
	id := c.ask(t, 1)
	if got := c.read(t, id); got.State != task.Placing || !strings.Contains(got.Waits, "line 3, column 1") {
		t.Fatalf("with a bad file: %s %q", got.State, got.Waits)
	}
	c.Files = nil
	other := c.ask(t, 2) // the account's one place in flight is free meanwhile
	if got := c.read(t, other); got.State != task.Preparing {
		t.Fatalf("another task: %s %q", got.State, got.Waits)
	}
	c.ends(t, other, task.End{Outcome: task.Died, Reason: "It was killed."})
	f.err, f.says = nil, task.Settings{Environment: []string{"API_TOKEN"}, Agent: "claude", Network: "brokers"}
	c.Files = f
	c.Advance(t.Context(), id)
	got := c.read(t, id)
	if got.State != task.Preparing || got.Waits != "" {
		t.Fatalf("when it is mended: %s %q", got.State, got.Waits)
	}
	if !slices.Equal(got.Settings.Environment, []string{"API_TOKEN"}) || got.Agent != "claude" || got.Settings.Network != "brokers" {
		t.Errorf("placed with %+v for %s", got.Settings, got.Agent)
	}
}

func TestATaskWhoseProjectFileIsNeverMendedFailsWithWhatIsWrong(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	c.Files = &file{err: task.SettingsError{Reason: "`.github/sam.yml`, line 3: it is bad."}}
	id := c.ask(t, 1)
	c.pass(25 * time.Hour)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "line 3: it is bad.") {
		t.Errorf("after a day: %s %q", got.State, got.Failure)
	}
}

func TestWhenGitHubDoesNotTellAProjectsFileTheTaskIsNotStartedWithout(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	f := &file{err: errors.New("502 Bad Gateway"), says: task.Settings{Network: "brokers"}}
	c.Files = f
	id := c.ask(t, 1)
	if got := c.read(t, id); got.State != task.Placing || got.Waits != "" {
		t.Fatalf("while GitHub errs: %s %q", got.State, got.Waits)
	}
	f.err = nil
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Preparing || got.Settings.Network != "brokers" {
		t.Errorf("when it answers: %s %+v", got.State, got.Settings)
	}
}

func TestATaskOnAnUntrustedBranchIsMarkedSo(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 2)
	c.hub.pulls = map[task.ThreadID]task.Branch{task.IssueThread(7, 1): {Name: "theirs", Base: "main", Pull: 1, Untrusted: true}}
	c.Files = &file{says: task.Settings{Environment: []string{"API_TOKEN"}, Network: "brokers"}}
	if got := c.read(t, c.ask(t, 1)); got.State != task.Preparing || !got.Untrusted || got.Settings.Network != "brokers" {
		t.Errorf("placed as %s with %+v", got.State, got.Settings)
	}
	if got := c.read(t, c.ask(t, 2)); got.State != task.Preparing || got.Untrusted {
		t.Errorf("on SAM's own branch: %s, %v", got.State, got.Untrusted)
	}
}
