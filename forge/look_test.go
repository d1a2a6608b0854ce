package forge_test

import (
	"errors"
	"testing"
	"time"

	"sam/task"
)

// long makes a task as old as a task whose comment would have been seen by now.
func long(s task.Spec) task.Task {
	s.Created = s.Created.Add(-time.Hour)
	return task.Task{Spec: s}
}

func TestWhatATaskStandsOnIsAskedOfGitHub(t *testing.T) {
	for name, c := range map[string]struct {
		then func(*world, *task.Task)
		want func(task.ThreadState) bool
	}{
		"an open issue": {func(*world, *task.Task) {}, func(s task.ThreadState) bool { return s == task.ThreadState{} }},
		"a closed issue": {func(w *world, t *task.Task) { w.check(w.hub.CloseIssue("octo", "octo", "hello", t.Number)) },
			func(s task.ThreadState) bool { return !s.ClosedAt.IsZero() && !s.ByMerge && !s.Gone }},
		"a deleted issue": {func(w *world, t *task.Task) { w.check(w.hub.DeleteIssue("octo", "octo", "hello", t.Number)) },
			func(s task.ThreadState) bool { return s.Gone }},
		"a deleted comment": {func(w *world, t *task.Task) { w.check(w.hub.DeleteComment("octo", "octo", "hello", t.Comment)) },
			func(s task.ThreadState) bool { return s.CommentGone && !s.Gone }},
		"a comment that was made a moment ago and is not found": {func(w *world, t *task.Task) {
			w.check(w.hub.DeleteComment("octo", "octo", "hello", t.Comment))
			t.Created = time.Now()
		}, func(s task.ThreadState) bool { return s == task.ThreadState{} }},
		"a label that asked": {func(_ *world, t *task.Task) { t.Comment = 0 }, func(s task.ThreadState) bool { return s == task.ThreadState{} }},
		"an issue that SAM's merged pull request closed": {func(w *world, t *task.Task) {
			w.branch("sam/issue-1")
			pull, err := w.hub.CreatePullRequest("octo", "octo", "hello", "Fast", "Closes #1", "sam/issue-1", "main")
			w.check(err)
			w.check(w.hub.MergePullRequest("octo", "octo", "hello", pull.Number))
			t.Pull = pull.Number
		}, func(s task.ThreadState) bool { return !s.ClosedAt.IsZero() && s.ByMerge && s.Pull == task.PullMerged }},
		"an issue that SAM's second pull request closed": {func(w *world, _ *task.Task) {
			w.check(w.hub.CloseIssue("octo", "octo", "hello", w.pull("sam/issue-1")))
			w.branch("sam/issue-1-2")
			pull, err := w.hub.CreatePullRequest("octo", "octo", "hello", "Faster", "Closes #1", "sam/issue-1-2", "main")
			w.check(err)
			w.check(w.hub.MergePullRequest("octo", "octo", "hello", pull.Number))
		}, func(s task.ThreadState) bool { return !s.ClosedAt.IsZero() && s.ByMerge }},
		"an issue that another's merged pull request closed": {func(w *world, _ *task.Task) {
			w.branch("sam/issue-12")
			pull, err := w.hub.CreatePullRequest("octo", "octo", "hello", "Fast", "Closes #1", "sam/issue-12", "main")
			w.check(err)
			w.check(w.hub.MergePullRequest("octo", "octo", "hello", pull.Number))
		}, func(s task.ThreadState) bool { return !s.ClosedAt.IsZero() && !s.ByMerge }},
		"an open pull request": {func(w *world, t *task.Task) { t.Pull = w.pull("sam/issue-1") }, func(s task.ThreadState) bool { return s.Pull == task.PullOpen }},
		"a pull request that was closed": {func(w *world, t *task.Task) {
			t.Pull = w.pull("sam/issue-1")
			w.check(w.hub.CloseIssue("octo", "octo", "hello", t.Pull))
		}, func(s task.ThreadState) bool { return s.Pull == task.PullClosed && s.ClosedAt.IsZero() }},
		"a repository that was renamed": {func(w *world, _ *task.Task) {
			_, err := w.hub.RenameRepository("octo", "octo", "hello", "goodbye")
			w.check(err)
		}, func(s task.ThreadState) bool { return s == task.ThreadState{} }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job, p := long(w.issue()), w.project("hello")
			c.then(w, &job)
			got, err := w.forge.ThreadState(t.Context(), p, job)
			if err != nil || !c.want(got) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestAThreadOfAProjectThatIsGoneIsNotTakenForADeletedOne(t *testing.T) {
	w := newWorld(t)
	job, p := long(w.issue()), w.project("hello")
	w.check(w.hub.RemoveRepositories(w.install.ID, "hello"))
	p.Name = "nowhere" // and nothing leads on from its old name
	if got, err := w.forge.ThreadState(t.Context(), p, job); !errors.Is(err, task.ErrNotFound) || got.Gone {
		t.Errorf("got %+v, %v; want that the project is not found", got, err)
	}
}

func TestAProjectIsFoundWhereverItWent(t *testing.T) {
	w := newWorld(t)
	before := w.project("hello")
	look := func() task.Project {
		t.Helper()
		p, err := w.forge.Whereabouts(t.Context(), before)
		w.check(err)
		return p
	}
	if got := look(); got != before {
		t.Errorf("where it was: %+v, want %+v", got, before)
	}
	_, err := w.hub.RenameRepository("octo", "octo", "hello", "goodbye")
	w.check(err)
	if got := look(); got.FullName() != "octo/goodbye" || got.ID != before.ID || got.Installation != before.Installation {
		t.Errorf("renamed: %+v", got)
	}
	there, err := w.hub.Install(w.app.ID, "ada")
	w.check(err)
	_, err = w.hub.TransferRepository("octo", "octo", "goodbye", "ada")
	w.check(err)
	if got := look(); got.FullName() != "ada/goodbye" || got.Installation != there.ID || got.Account != there.Account.ID {
		t.Errorf("transferred: %+v, want ada's, of installation %d", got, there.ID)
	}
	w.check(w.hub.Suspend(there.ID))
	if _, err := w.forge.Whereabouts(t.Context(), before); !errors.Is(err, task.ErrSuspended) {
		t.Errorf("suspended: %v", err)
	}
	w.check(w.hub.Unsuspend(there.ID))
	w.check(w.hub.Uninstall(there.ID))
	if _, err := w.forge.Whereabouts(t.Context(), before); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("where SAM is not installed: %v", err)
	}
	if _, err := w.forge.Whereabouts(t.Context(), task.Project{ID: before.ID + 1000}); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestAnInstallationIsThereSuspendedOrGone(t *testing.T) {
	w := newWorld(t)
	if err := w.forge.Installation(t.Context(), w.install.ID); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	w.check(w.hub.Suspend(w.install.ID))
	if err := w.forge.Installation(t.Context(), w.install.ID); !errors.Is(err, task.ErrSuspended) {
		t.Errorf("a suspended one: %v", err)
	}
	if _, err := w.forge.Projects(t.Context(), w.install.ID); !errors.Is(err, task.ErrSuspended) {
		t.Errorf("the projects of a suspended one: %v", err)
	}
	w.check(w.hub.Uninstall(w.install.ID))
	if err := w.forge.Installation(t.Context(), w.install.ID); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("one that is gone: %v", err)
	}
}
