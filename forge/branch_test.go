package forge_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sam/task"
)

func TestAnIssuesBranchIsSharedUntilItsPullRequestIsMerged(t *testing.T) {
	w := newWorld(t)
	p, spec := w.project("hello"), w.issue()
	choose := func(want task.Branch) {
		t.Helper()
		var err error
		want.Tip, err = w.forge.Tip(t.Context(), p, want.Name)
		w.check(err)
		got, err := w.forge.Branch(t.Context(), p, spec)
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	}
	choose(task.Branch{Name: "sam/issue-1", Base: "main", Rewrite: true})
	if free, err := w.forge.Tip(t.Context(), p, "sam/issue-1"); err != nil || free != task.NoCommit {
		t.Errorf("a branch that does not exist points at %s, %v", free, err)
	}
	w.push("sam/issue-1", "origin/main", w.forge.Self().Email) // an attempt that failed left its commits
	choose(task.Branch{Name: "sam/issue-1", Base: "main", Rewrite: true})
	first, err := w.forge.Publish(t.Context(), p, task.Task{Spec: spec, Branch: "sam/issue-1", Base: "main", Headline: "Fast"})
	w.check(err)
	w.push("sam/issue-1", "origin/sam/issue-1", "ada@example.org") // a branch of SAM's all the same
	choose(task.Branch{Name: "sam/issue-1", Base: "main", Rewrite: true, Pull: first.Number, PullURL: w.url + "/octo/hello/pull/2"})
	w.check(w.hub.MergePullRequest("octo", "octo", "hello", first.Number))
	choose(task.Branch{Name: "sam/issue-1-2", Base: "main", Rewrite: true})
	second := w.pull("sam/issue-1-2")
	w.check(w.hub.CloseIssue("octo", "octo", "hello", second))
	choose(task.Branch{Name: "sam/issue-1-3", Base: "main", Rewrite: true})
}

func TestABranchOfThatNameThatAPersonMadeIsNotSAMsToRewrite(t *testing.T) {
	for name, made := range map[string]func(*world){
		"a branch":                     func(w *world) { w.branch("sam/issue-1") },
		"a branch, and a pull request": func(w *world) { w.pull("sam/issue-1") },
		"commits on SAM's": func(w *world) {
			w.push("sam/issue-1", "origin/main", w.forge.Self().Email)
			w.push("sam/issue-1", "origin/sam/issue-1", "ada@example.org")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			spec := w.issue()
			made(w)
			got, err := w.forge.Branch(t.Context(), w.project("hello"), spec)
			if err != nil || got.Name != "sam/issue-1" || got.Rewrite {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestOnItsOwnPullRequestSAMMayRewriteItsBranch(t *testing.T) {
	w := newWorld(t)
	p := w.project("hello")
	job := task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main", Headline: "Make it fast"}
	w.push(job.Branch, "origin/main", w.forge.Self().Email)
	pull, err := w.forge.Publish(t.Context(), p, job)
	w.check(err)
	got, err := w.forge.Branch(t.Context(), p, w.spec(pull.Number, true))
	if err != nil || got.Name != job.Branch || !got.Rewrite {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAProjectWhoseDefaultBranchIsNotKnownIsAskedFor(t *testing.T) {
	w := newWorld(t)
	p := w.project("hello")
	p.DefaultBranch = ""
	if got, err := w.forge.Branch(t.Context(), p, w.issue()); err != nil || got.Base != "main" {
		t.Errorf("got %+v, %v; want it to start from main", got, err)
	}
}

func TestOnAPullRequestTheBranchIsItsHead(t *testing.T) {
	w := newWorld(t)
	number := w.pull("ada/fast")
	got, err := w.forge.Branch(t.Context(), w.project("hello"), w.spec(number, true))
	want := task.Branch{Name: "ada/fast", Base: "main", Pull: number, PullURL: w.url + "/octo/hello/pull/1", Tip: w.tip("ada/fast")}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestAHeadThatSAMMustNotPushToIsRefusedWithWords(t *testing.T) {
	head := func(change func(head map[string]any)) func(*world, int) {
		return func(w *world, _ int) {
			w.between.altering(func(path string, body []byte) []byte {
				if !strings.HasPrefix(path, "GET /repos/octo/hello/pulls/") {
					return body
				}
				return edit(w.t, body, func(pull map[string]any) {
					if h, ok := pull["head"].(map[string]any); ok {
						change(h)
					}
				})
			})
		}
	}
	for name, c := range map[string]struct {
		branch string
		then   func(*world, int)
		want   string
	}{
		"a closed one": {"ada/fast", func(w *world, n int) { w.check(w.hub.CloseIssue("octo", "octo", "hello", n)) },
			"Pull request #1 is closed, so there is no branch to work on. Reopen it, or ask on an issue."},
		"a fork's": {"ada/fast", head(func(h map[string]any) {
			if r, ok := h["repo"].(map[string]any); ok {
				r["id"] = 999_999
			}
		}), "Pull request #1 comes from another repository, and SAM pushes only to its own. Ask on an issue instead, or push the branch here."},
		"that of a fork that is gone": {"ada/fast", head(func(h map[string]any) { h["repo"] = nil }),
			"Pull request #1 comes from another repository, and SAM pushes only to its own. Ask on an issue instead, or push the branch here."},
		"the default branch": {"ada/fast", head(func(h map[string]any) { h["ref"] = "main" }),
			"Pull request #1 has the default branch main as its head, and SAM never pushes there."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			number := w.pull(c.branch)
			spec, p := w.spec(number, true), w.project("hello")
			c.then(w, number)
			_, err := w.forge.Branch(t.Context(), p, spec)
			var unusable task.UnusableError
			if !errors.As(err, &unusable) || unusable.Reason != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAProtectedHeadIsRefused(t *testing.T) {
	w := newWorld(t)
	number := w.pull("ada/fast")
	spec, p := w.spec(number, true), w.project("hello")
	w.between.altering(func(path string, body []byte) []byte {
		if path != "GET /repos/octo/hello/branches/ada/fast" {
			return body
		}
		return edit(t, body, func(b map[string]any) { b["protected"] = true })
	})
	_, err := w.forge.Branch(t.Context(), p, spec)
	var unusable task.UnusableError
	if want := "Branch ada/fast is protected, and SAM never pushes to a protected branch."; !errors.As(err, &unusable) || unusable.Reason != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAPullRequestIsFoundBeforeItIsCreated(t *testing.T) {
	w := newWorld(t)
	p := w.project("hello")
	job := task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main", Headline: "Make it fast", Summary: "It is."}
	w.branch(job.Branch)
	first, err := w.forge.Publish(t.Context(), p, job)
	w.check(err)
	again, err := w.forge.Publish(t.Context(), p, job)
	if err != nil || again != first || first.URL != w.url+"/octo/hello/pull/2" {
		t.Errorf("first %+v, then %+v, %v", first, again, err)
	}
	if n := w.between.count("POST /repos/octo/hello/pulls"); n != 1 {
		t.Errorf("%d were asked for, want 1", n)
	}
	pull, err := w.hub.PullRequest("octo", "hello", first.Number)
	w.check(err)
	if pull.Title != "Make it fast" || pull.Author.Login != "sam[bot]" || pull.Base.Branch != "main" || !strings.Contains(pull.Body, "Closes #1") {
		t.Errorf("it is %+v", pull)
	}
	w.check(w.hub.MergePullRequest("octo", "octo", "hello", first.Number))
	if issue, err := w.hub.Issue("octo", "hello", 1); err != nil || issue.State != "closed" {
		t.Errorf("after the merge the issue is %s, %v", issue.State, err)
	}
}

func TestAPullRequestThatAnotherReplicaMadeMeanwhileIsFound(t *testing.T) {
	w := newWorld(t)
	p := w.project("hello")
	job := task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main"}
	w.branch(job.Branch)
	w.between.refusing(func(r *http.Request) *http.Response {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/pulls") {
			w.between.refusing(nil)
			if _, err := w.hub.CreatePullRequest("octo", "octo", "hello", "Faster", "", job.Branch, "main"); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	got, err := w.forge.Publish(t.Context(), p, job)
	if err != nil || got.Number != 2 {
		t.Errorf("got %+v, %v; want #2", got, err)
	}
}

func TestWhatGitHubWillNeverTakeIsSaidInItsWords(t *testing.T) {
	w := newWorld(t)
	job := task.Task{Spec: w.issue(), Branch: "no-such-branch", Base: "main"}
	_, err := w.forge.Publish(t.Context(), w.project("hello"), job)
	var unusable task.UnusableError
	if want := "GitHub refused the pull request: Validation Failed (head: invalid)"; !errors.As(err, &unusable) || unusable.Reason != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
