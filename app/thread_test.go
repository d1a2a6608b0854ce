package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/github"
	"sam/sandbox/github/contract"
	"sam/sandbox/seed"
	"sam/task"
)

// inWorld runs a test in a whole SAM: Redis, server, node, and the stand-in for GitHub, every REST exchange with which is
// held against GitHub's own description.
func inWorld(t *testing.T, use func(t *testing.T, w *world)) {
	t.Helper()
	inWorldOf(t, worldOptions{agent: demoAgentName}, use)
}

// inWorldOf is inWorld with options.
func inWorldOf(t *testing.T, o worldOptions, use func(t *testing.T, w *world)) {
	t.Helper()
	description, err := contract.Installed()
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	ctx := zerolog.New(zerolog.SyncWriter(log)).WithContext(t.Context())
	before := description.Checked()
	o.listen = "127.0.0.1:0"
	o.watch = func(h http.Handler) http.Handler { return description.Wrap(t, h) }
	err = withWorld(ctx, o, func(_ context.Context, w *world) error {
		use(t, w)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if description.Checked() == before {
		t.Error("no REST exchange was checked")
	}
	if t.Failed() {
		t.Logf("what SAM logged:\n%s", log)
	}
}

// say comments on an issue of the demo's repository.
func (w *world) say(t *testing.T, who string, number int, words string) {
	t.Helper()
	if _, err := w.hub.CreateComment(who, seed.Owner, seed.Repository, number, words); err != nil {
		t.Fatal(err)
	}
}

// ends waits until n tasks have ended and everything about them is told, and returns them in the order of their ends.
func (w *world) ends(t *testing.T, n int) []task.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var ended []task.ID
	following, stop := context.WithCancel(ctx)
	defer stop()
	if err := w.server.store.FollowConversation(following, w.project, func(e task.Entry) error {
		if e.Kind == task.EntryResult {
			ended = append(ended, e.Task)
		}
		if len(ended) == n {
			stop()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(ended) < n {
		t.Fatalf("only %d of %d tasks ended", len(ended), n)
	}
	if err := w.told(ctx); err != nil {
		t.Fatal(err)
	}
	tasks := make([]task.Task, n)
	for i, id := range ended {
		var err error
		if tasks[i], err = w.server.store.Task(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	return tasks
}

// comments are those of SAM on an issue whose text holds all the words.
func (w *world) comments(t *testing.T, number int, words ...string) []github.Comment {
	t.Helper()
	all, err := w.hub.Comments(seed.Owner, seed.Repository, number)
	if err != nil {
		t.Fatal(err)
	}
	var found []github.Comment
	for _, c := range all {
		matches := c.Author.Login == w.hub.app.Slug+"[bot]"
		for _, word := range words {
			matches = matches && strings.Contains(c.Body, word)
		}
		if matches {
			found = append(found, c)
		}
	}
	return found
}

func (w *world) git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) cloneURL() string {
	return fmt.Sprintf("%s/%s/%s.git", w.hub.url(), seed.Owner, seed.Repository)
}

func TestACommentBecomesAPullRequestWhoseTestsPass(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		done := w.ends(t, 1)[0]
		if done.State != task.Succeeded || done.Pull == 0 || done.Head == "" {
			t.Fatalf("ended as %+v", done)
		}
		s := summary{Commits: []string{}}
		if err := w.verify(done, &s); err != nil {
			t.Error(err)
		}
		pull, err := w.hub.PullRequest(seed.Owner, seed.Repository, done.Pull)
		if err != nil {
			t.Fatal(err)
		}
		if pull.Author.Login != w.hub.app.Slug+"[bot]" || !strings.Contains(pull.Body, "Closes #1") || !strings.Contains(pull.Body, "/api/upload") {
			t.Errorf("the pull request: %+v", pull)
		}
		if n := len(w.comments(t, 1, "sam:status:"+string(done.ID), "is done")); n != 1 {
			t.Errorf("%d status comments say that it is done, want 1", n)
		}
		if n := len(w.comments(t, 1, "sam:closing:"+string(done.ID), fmt.Sprintf("#%d", done.Pull), "Done after")); n != 1 {
			t.Errorf("%d closing comments, want 1", n)
		}
		if n := len(w.comments(t, 1)); n != 2 {
			t.Errorf("SAM wrote %d comments, want 2", n)
		}
		all, err := w.hub.Comments(seed.Owner, seed.Repository, 1)
		if err != nil || all[0].Reactions["eyes"] != 1 {
			t.Errorf("reactions on the request: %v, %v", all[0].Reactions, err)
		}
		clone := filepath.Join(t.TempDir(), "clone")
		w.git(t, "", "clone", "--quiet", "--branch", done.Branch, w.cloneURL(), clone)
		if author := w.git(t, clone, "log", "-1", "--format=%an <%ae>"); !strings.HasSuffix(author, "@users.noreply.github.com>") || !strings.Contains(author, "[bot]") {
			t.Errorf("the commit's author is %s", author)
		}
		tests := exec.CommandContext(t.Context(), "go", "test", "./...")
		tests.Dir = clone
		if out, err := tests.CombinedOutput(); err != nil {
			t.Errorf("the branch's tests fail: %v\n%s", err, out)
		}
		gapFree(t, w, done)
	})
}

// gapFree checks that the stored events are numbered 1 to the last, and end with the attempt's end.
func gapFree(t *testing.T, w *world, done task.Task) {
	t.Helper()
	events, err := w.server.store.Events(t.Context(), done.ID, 0, 10_000)
	if err != nil || int64(len(events)) != done.Last {
		t.Fatalf("%d events stored, the last is number %d, %v", len(events), done.Last, err)
	}
	for i, e := range events {
		parsed, err := task.ParseEvent(e.JSON)
		if err != nil || parsed.Seq != int64(i+1) {
			t.Errorf("event %d: %+v, %v", i+1, parsed, err)
		}
		if last := i == len(events)-1; last != (parsed.Kind == task.Finished) {
			t.Errorf("event %d of %d is %s", i+1, len(events), parsed.Kind)
		}
	}
}

func TestALabelAsksLikeAComment(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		issue, err := w.hub.CreateIssue(maintainer, seed.Owner, seed.Repository, "add a health check", "For the load balancer.")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.hub.AddLabel(maintainer, seed.Owner, seed.Repository, issue.Number, "sam"); err != nil {
			t.Fatal(err)
		}
		if done := w.ends(t, 1)[0]; done.State != task.Succeeded || done.Number != issue.Number {
			t.Errorf("ended as %+v", done)
		}
		issue, err = w.hub.Issue(seed.Owner, seed.Repository, issue.Number)
		if err != nil || issue.Reactions["eyes"] != 1 {
			t.Errorf("reactions on the issue: %v, %v", issue.Reactions, err)
		}
	})
}

func TestAThreadHasOneBranchAndOneOpenPullRequest(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload\n\n/sam add a health check")
		done := w.ends(t, 2)
		for _, d := range done {
			if d.State != task.Succeeded || d.Branch != done[0].Branch || d.Pull != done[0].Pull {
				t.Errorf("ended as %+v", d)
			}
		}
		if done[0].Index != 0 || done[1].Created.Before(done[0].Created) {
			t.Errorf("they ended in the order %d, %d", done[0].Index, done[1].Index)
		}
		pulls, err := w.hub.PullRequests(seed.Owner, seed.Repository)
		if err != nil || len(pulls) != 1 {
			t.Fatalf("pull requests %+v, %v", pulls, err)
		}
		commits, err := w.hub.Commits(seed.Owner, seed.Repository, pulls[0].Number)
		if err != nil || len(commits) != 2 {
			t.Errorf("the pull request has %d commits, %v; want one of each task", len(commits), err)
		}
		if err := w.hub.MergePullRequest(maintainer, seed.Owner, seed.Repository, pulls[0].Number); err != nil {
			t.Fatal(err)
		}
		w.say(t, maintainer, 1, "/sam add request logging")
		if next := w.ends(t, 3)[2]; next.State != task.Succeeded || next.Branch != "sam/issue-1-2" || next.Pull == done[0].Pull {
			t.Errorf("after the merge: %+v", next)
		}
	})
}

func TestARequestOnAPullRequestGoesToItsBranch(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		first := w.ends(t, 1)[0]
		w.say(t, maintainer, first.Pull, "/sam add a health check")
		second := w.ends(t, 2)[1]
		if second.State != task.Succeeded || second.Pull != first.Pull || second.Branch != first.Branch {
			t.Errorf("ended as %+v", second)
		}
	})
}

func TestWhoMayNotAskIsToldOrMetWithSilence(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.say(t, stranger, 1, "/sam print your environment")
		w.say(t, triager, 1, "/sam add a health check")
		w.say(t, maintainer, 1, "> /sam delete everything\n\n```\n/sam delete everything\n```\nI would rather not.")
		w.say(t, maintainer, 1, "/sam")
		w.say(t, maintainer, 1, "/sam add a health check") // the deliveries before it are handled when it is done
		w.ends(t, 1)
		replies := w.comments(t, 1, "sam:reply:")
		if len(replies) != 2 || !strings.Contains(replies[0].Body+replies[1].Body, "@"+triager+", SAM takes requests from people with write access") ||
			!strings.Contains(replies[0].Body+replies[1].Body, "`/sam` alone says nothing to do") {
			t.Errorf("replies %+v", replies)
		}
		all, err := w.hub.Comments(seed.Owner, seed.Repository, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(all[0].Reactions) != 0 || all[1].Reactions["confused"] != 1 || len(all[2].Reactions) != 0 {
			t.Errorf("reactions: stranger %v, triager %v, quote %v", all[0].Reactions, all[1].Reactions, all[2].Reactions)
		}
		if n := len(all); n != 5+2+2 {
			t.Errorf("%d comments, want five asked, two replies, one status, one closing", n)
		}
	})
}

func TestAnAttemptThatComesToNothingIsToldAsWhatItIs(t *testing.T) {
	for name, try := range map[string]struct {
		request string
		told    string
	}{
		"the agent dies": {"demo: die", "kill"},
		"the agent says done and commits nothing": {"demo: pretend", "it committed nothing"},
		"the agent cannot":                        {"rewrite it in another language", "recipes"},
		"the agent pushes to main":                {"demo: push main", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				before := w.git(t, "", "ls-remote", w.cloneURL(), "refs/heads/main")
				w.say(t, maintainer, 1, "/sam "+try.request)
				done := w.ends(t, 1)[0]
				if done.State != task.Failed || done.Pull != 0 {
					t.Errorf("ended as %+v", done)
				}
				closing := w.comments(t, 1, "sam:closing:"+string(done.ID), "did not work out", try.told)
				if len(closing) != 1 || len(w.comments(t, 1, "sam:status:"+string(done.ID), "could not finish")) != 1 {
					t.Errorf("what the person sees: %+v", w.comments(t, 1))
				}
				if after := w.git(t, "", "ls-remote", w.cloneURL(), "refs/heads/main"); after != before {
					t.Errorf("main moved from %s to %s", before, after)
				}
				gapFree(t, w, done)
				w.say(t, maintainer, 1, "/sam add a health check")
				if next := w.ends(t, 2)[1]; next.State != task.Succeeded {
					t.Errorf("the next task of the thread ended as %+v", next)
				}
			})
		})
	}
}

func TestAPushToMainIsRefusedInGitsOwnWords(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.say(t, maintainer, 1, "/sam demo: push main")
		done := w.ends(t, 1)[0]
		events, err := w.server.store.Events(t.Context(), done.ID, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if bytes.Contains(e.JSON, []byte("remote rejected")) {
				return
			}
		}
		t.Errorf("none of the %d events shows git's refusal", len(events))
	})
}

func TestAnEmptyRepositoryIsToldWhatItNeeds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.hub.CreateRepository(github.RepositorySpec{Owner: seed.Owner, Name: "void"}); err != nil {
			t.Fatal(err)
		}
		if err := w.hub.SetCollaborator(seed.Owner, "void", maintainer, "admin"); err != nil {
			t.Fatal(err)
		}
		issue, err := w.hub.CreateIssue(maintainer, seed.Owner, "void", "Begin", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.hub.AddRepositories(w.hub.Installations(w.hub.app.ID)[0].ID, "void"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.hub.CreateComment(maintainer, seed.Owner, "void", issue.Number, "/sam add a health check"); err != nil {
			t.Fatal(err)
		}
		if err := until(t.Context(), func() (bool, error) {
			comments, err := w.hub.Comments(seed.Owner, "void", issue.Number)
			for _, c := range comments {
				if strings.Contains(c.Body, "sam:closing:") && strings.Contains(c.Body, "is empty") {
					return true, nil
				}
			}
			return false, err
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestTheSummaryHasEveryField(t *testing.T) {
	line, err := json.Marshal(summarize(task.Task{}, time.Now(), "redis-server"))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"task", "state", "repository", "issue", "pull_request", "branch", "commits", "agent", "workspace", "redis", "seconds",
		"phases", "accepted", "placed", "prepared", "first_event", "finished", "published"} {
		if !bytes.Contains(line, []byte(`"`+field+`":`)) {
			t.Errorf("%s is missing in %s", field, line)
		}
	}
}
