package github_test

import (
	"strings"
	"testing"

	"sam/sandbox/github"
)

func TestGitIsRefusedAtItsFirstRequest(t *testing.T) {
	for kind, words := range map[github.FaultKind]string{github.Git502: "502", github.Git503: "503"} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			remote := w.remote("hello", w.token(nil))
			w.befall(github.Rule{Kind: kind, Next: 1, Path: "/*/hello.git/info/refs"})
			if out, ok := w.git(w.dir, "ls-remote", remote); ok || !strings.Contains(out, words) {
				t.Errorf("git said %s", out)
			}
			w.mustGit(w.dir, "ls-remote", remote)
			w.expectHits(map[github.FaultKind]int{kind: 1})
		})
	}
}

func TestAPushIsTakenAndItsAnswerLost(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	dir := w.clone("hello", w.token(nil))
	w.mustGit(dir, "checkout", "--quiet", "-b", "sam/1")
	sha := w.commit(dir, "a.txt", "a\n")
	w.befall(github.Rule{Kind: github.PushAnswerLost, Next: 1})
	if out, ok := w.git(dir, "push", "origin", "sam/1"); ok {
		t.Errorf("the push was answered: %s", out)
	}
	e.expect("the push", "push")
	if got := w.mustGit(dir, "ls-remote", "origin", "sam/1"); !strings.HasPrefix(got, sha) {
		t.Errorf("the branch is at %s", got)
	}
	if out := w.mustGit(dir, "push", "origin", "sam/1"); !strings.Contains(out, "up-to-date") {
		t.Errorf("pushing again: %s", out)
	}
	pushes := w.hub.History().Pushes
	if len(pushes) != 1 || pushes[0].Ref != "refs/heads/sam/1" || pushes[0].New != sha || pushes[0].By != "helper-app[bot]" {
		t.Errorf("the history has %+v", pushes)
	}
	w.expectHits(map[github.FaultKind]int{github.PushAnswerLost: 1})
}

func TestAPushThatIsRefusedHasItsAnswer(t *testing.T) {
	w := newWorld(t)
	dir := w.clone("hello", w.token(nil))
	w.commit(dir, "a.txt", "a\n")
	w.befall(github.Rule{Kind: github.PushAnswerLost, Next: 1})
	if out, ok := w.git(dir, "push", "origin", "main"); ok || !strings.Contains(out, "protected branch hook declined") {
		t.Errorf("git said %s", out)
	}
	w.expectHits(map[github.FaultKind]int{github.PushAnswerLost: 0})
}

func TestGitsTokenIsForgottenInMidTask(t *testing.T) {
	w := newWorld(t)
	remote := w.remote("secret", w.token(nil))
	w.mustGit(w.dir, "ls-remote", remote)
	w.befall(github.Rule{Kind: github.TokenForgotten, Next: 1})
	for range 2 {
		if out, ok := w.git(w.dir, "ls-remote", remote); ok {
			t.Errorf("git said %s", out)
		}
	}
	w.expectHits(map[github.FaultKind]int{github.TokenForgotten: 1})
}
