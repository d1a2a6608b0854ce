package forge_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sam/sandbox/github"
	"sam/task"
)

func TestAPullRequestWhoseAnswerWasLostIsNotMadeTwice(t *testing.T) {
	w := newWorld(t)
	p, job := w.project("hello"), task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main"}
	w.branch(job.Branch)
	w.strike(github.Rule{Kind: github.BadGatewayAfter, Method: http.MethodPost, Path: "/repos/*/*/pulls", Next: 1})
	if _, err := w.forge.Publish(t.Context(), p, job); err == nil || errors.As(err, new(task.UnusableError)) {
		t.Fatalf("got %v, want an error that may pass", err)
	}
	lists := 0 // and the list does not show it at once
	w.between.altering(func(path string, body []byte) []byte {
		if path == "GET /repos/octo/hello/pulls" {
			if lists++; lists <= 2 {
				return []byte("[]")
			}
		}
		return body
	})
	if _, err := w.forge.Publish(t.Context(), p, job); err == nil || errors.As(err, new(task.UnusableError)) {
		t.Fatalf("while the list lags: %v, want an error that may pass", err)
	}
	got, err := w.forge.Publish(t.Context(), p, job)
	if err != nil || got.Number != 2 {
		t.Errorf("got %+v, %v; want #2", got, err)
	}
	if all, err := w.hub.PullRequests("octo", "hello"); err != nil || len(all) != 1 {
		t.Errorf("there are %d, %v", len(all), err)
	}
}

func TestOfTwoPullRequestsOfABranchSAMClosesItsOwnYoungerOne(t *testing.T) {
	w := newWorld(t)
	p, job := w.project("hello"), task.Task{Spec: w.issue(), Branch: "sam/issue-1", Base: "main"}
	w.branch(job.Branch)
	w.push("next", "origin/main", "ada@example.org")
	first, err := w.forge.Publish(t.Context(), p, job)
	w.check(err)
	other, err := w.hub.CreatePullRequest("octo", "octo", "hello", "By hand", "<!-- sam:pull:x -->", job.Branch, "next")
	w.check(err)
	w.push("later", "origin/main", "ada@example.org")
	hidden := true // as when the default branch changes between two attempts
	w.between.altering(func(path string, body []byte) []byte {
		if path == "GET /repos/octo/hello/pulls" && hidden {
			hidden = false
			return []byte("[]")
		}
		return body
	})
	job.Base = "later"
	twin, err := w.forge.Publish(t.Context(), p, job)
	w.check(err)
	if twin == first {
		t.Fatal("there is no twin")
	}
	got, err := w.forge.Publish(t.Context(), p, job)
	if err != nil || got != first {
		t.Errorf("got %+v, %v; want the first, %+v", got, err, first)
	}
	for number, want := range map[int]string{first.Number: "open", other.Number: "open", twin.Number: "closed"} {
		pull, err := w.hub.PullRequest("octo", "hello", number)
		if err != nil || pull.State != want {
			t.Errorf("#%d is %s, %v; want %s", number, pull.State, err, want)
		}
	}
}

func TestAPullRequestThatWasClosedMeanwhileIsNotMadeAnew(t *testing.T) {
	w := newWorld(t)
	number := w.pull("ada/fast")
	job := task.Task{Spec: w.spec(number, true), Branch: "ada/fast", Base: "main"}
	w.check(w.hub.CloseIssue("octo", "octo", "hello", number))
	_, err := w.forge.Publish(t.Context(), w.project("hello"), job)
	var unusable task.UnusableError
	if !errors.As(err, &unusable) || !strings.HasPrefix(unusable.Reason, "Pull request #1 was closed meanwhile.") {
		t.Errorf("got %v", err)
	}
}
