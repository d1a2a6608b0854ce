package forge_test

import (
	"testing"

	"sam/task"
)

func TestAPushThatWasNotRecordedIsFoundOnTheBranch(t *testing.T) {
	const branch, base = "sam/issue-1", "main"
	for name, c := range map[string]struct {
		before func(*world) string // what is on the branch when the task is placed, and its tip
		after  func(*world)        // what happens meanwhile
		want   bool
	}{
		"the first push of a new branch": {
			func(*world) string { return task.NoCommit },
			func(w *world) { w.push(branch, "origin/main", w.forge.Self().Email) }, true,
		},
		"a push on top of an earlier task's": {
			func(w *world) string { w.push(branch, "origin/main", w.forge.Self().Email); return w.tip(branch) },
			func(w *world) { w.push(branch, "origin/"+branch, w.forge.Self().Email) }, true,
		},
		"a push that rewrote the branch": {
			func(w *world) string { w.push(branch, "origin/main", "ada@example.org"); return w.tip(branch) },
			func(w *world) { w.push(branch, "origin/main", w.forge.Self().Email) }, true,
		},
		"nothing, and an earlier task's commits": {
			func(w *world) string { w.push(branch, "origin/main", w.forge.Self().Email); return w.tip(branch) },
			func(*world) {}, false,
		},
		"nothing, and no branch": {
			func(*world) string { return task.NoCommit },
			func(*world) {}, false,
		},
		"somebody else's push": {
			func(w *world) string { w.push(branch, "origin/main", w.forge.Self().Email); return w.tip(branch) },
			func(w *world) { w.push(branch, "origin/"+branch, "zoe@example.org") }, false,
		},
		"a push where it is not known what was there before": {
			func(*world) string { return "" },
			func(w *world) { w.push(branch, "origin/main", w.forge.Self().Email) }, false,
		},
		"a branch that was put back on its base": {
			func(w *world) string { w.push(branch, "origin/main", w.forge.Self().Email); return w.tip(branch) },
			func(w *world) {
				w.push(base, "origin/"+branch, w.forge.Self().Email)
				w.push(branch, "origin/main~1", "zoe@example.org")
				w.push(base, "origin/"+branch, "zoe@example.org")
			}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			job := task.Task{Spec: w.issue(), Branch: branch, Base: base, Tip: c.before(w)}
			c.after(w)
			head, ok, err := w.forge.Landed(t.Context(), w.project("hello"), job)
			if err != nil || ok != c.want {
				t.Fatalf("landed is %v, %v; want %v", ok, err, c.want)
			}
			if ok && head != w.tip(branch) {
				t.Errorf("the head is %s, want the branch's tip %s", head, w.tip(branch))
			}
		})
	}
}

func TestWhatLandedIsNotKnownWhenGitHubDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.branch("sam/issue-1")
	job, p := task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main", Tip: task.NoCommit}, w.project("hello")
	w.hub.SetRateLimit(0)
	if _, ok, err := w.forge.Landed(t.Context(), p, job); err == nil || ok {
		t.Errorf("got %v, %v; want an error", ok, err)
	}
}
