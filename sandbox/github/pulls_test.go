package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v62/github"
)

func TestAPullRequestIsMergedAndClosesItsIssue(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "Slow", "")
	w.check(err)
	w.branch("hello", "sam/1")
	pr, res, err := bot.PullRequests.Create(ctx, "octo", "hello", &gogithub.NewPullRequest{
		Title: ptr("Be quick"), Head: ptr("octo:sam/1"), Base: ptr("main"), Body: ptr("Closes #1"),
	})
	w.check(err)
	if res.StatusCode != 201 || pr.GetNumber() != 2 || pr.GetUser().GetLogin() != "helper-app[bot]" || pr.GetAdditions() != 1 {
		t.Errorf("created %v", pr)
	}
	for name, opts := range map[string]*gogithub.PullRequestListOptions{
		"by head": {Head: "octo:sam/1"}, "by base": {Base: "main"}, "all": {State: "all"},
	} {
		if list, _, err := bot.PullRequests.List(ctx, "octo", "hello", opts); err != nil || len(list) != 1 {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
	if list, _, err := bot.PullRequests.List(ctx, "octo", "hello", &gogithub.PullRequestListOptions{Head: "octo:other"}); err != nil || len(list) != 0 {
		t.Errorf("another head: %v %v", list, err)
	}
	asIssue, _, err := bot.Issues.Get(ctx, "octo", "hello", 2)
	w.check(err)
	if !asIssue.IsPullRequest() {
		t.Error("a pull request is an issue with pull_request")
	}
	files, _, err := bot.PullRequests.ListFiles(ctx, "octo", "hello", 2, nil)
	w.check(err)
	list, _, err := bot.PullRequests.ListCommits(ctx, "octo", "hello", 2, nil)
	w.check(err)
	if len(files) != 1 || files[0].GetStatus() != "added" || len(list) != 1 {
		t.Errorf("files %v, commits %v", files, list)
	}
	merged, _, err := bot.PullRequests.Merge(ctx, "octo", "hello", 2, "", nil)
	w.check(err)
	pr, _, err = bot.PullRequests.Get(ctx, "octo", "hello", 2)
	w.check(err)
	if !merged.GetMerged() || !pr.GetMerged() || pr.GetState() != "closed" || pr.GetMergeCommitSHA() != merged.GetSHA() {
		t.Errorf("merged %v: %v", merged, pr)
	}
	main, _, err := bot.Git.GetRef(ctx, "octo", "hello", "heads/main")
	w.check(err)
	if main.GetObject().GetSHA() != merged.GetSHA() {
		t.Errorf("main is %v", main)
	}
	if is, _, err := bot.Issues.Get(ctx, "octo", "hello", 1); err != nil || is.GetState() != "closed" || is.GetClosedBy().GetLogin() != "helper-app[bot]" {
		t.Errorf("the issue: %v %v", is, err)
	}
	if _, res, err := bot.PullRequests.Merge(ctx, "octo", "hello", 2, "", nil); err == nil || res.StatusCode != 405 {
		t.Errorf("merging twice: %v", err)
	}
	text, err := w.hub.Diff("octo", "hello", 2)
	w.check(err)
	if !strings.Contains(text, "+one") {
		t.Errorf("diff: %s", text)
	}
	if got, err := w.hub.Commits("octo", "hello", 2); err != nil || len(got) != 1 || got[0].AuthorName != "Robin" {
		t.Errorf("commits: %v %v", got, err)
	}
}

func TestAPullRequestThatCannotBeIsRefusedInGitHubsWords(t *testing.T) {
	w := newWorld(t)
	bot := w.asBot()
	dir, _ := w.branch("hello", "sam/1")
	_, err := w.hub.CreatePullRequest("robin", "octo", "hello", "First", "", "sam/1", "main")
	w.check(err)
	w.mustGit(dir, "push", "--quiet", "origin", "origin/main:refs/heads/same")
	for name, tc := range map[string]struct {
		head, base, want string
	}{
		"there is one":   {"sam/1", "main", "A pull request already exists for octo:sam/1."},
		"nothing new":    {"same", "main", "No commits between main and same"},
		"no such head":   {"nope", "main", "field:head code:invalid"},
		"no such base":   {"sam/1", "nope", "field:base code:invalid"},
		"another's head": {"robin:sam/1", "main", "field:head code:invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			_, res, err := bot.PullRequests.Create(t.Context(), "octo", "hello", &gogithub.NewPullRequest{Title: ptr("x"), Head: &tc.head, Base: &tc.base})
			if err == nil || res.StatusCode != 422 {
				t.Fatalf("got %v", err)
			}
			e := err.(*gogithub.ErrorResponse).Errors[0] //nolint:errorlint,errcheck // the test says so
			if got := e.Message + fmt.Sprintf(" field:%s code:%s", e.Field, e.Code); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAConflictIsNotMergeable(t *testing.T) {
	w := newWorld(t)
	bot := w.asBot()
	dir := w.clone("secret", w.token(nil))
	w.mustGit(dir, "checkout", "--quiet", "-b", "topic")
	w.commit(dir, "a.txt", "topic\n")
	w.mustGit(dir, "push", "--quiet", "origin", "topic")
	pr, _, err := bot.PullRequests.Create(t.Context(), "octo", "secret", &gogithub.NewPullRequest{Title: ptr("x"), Head: ptr("topic"), Base: ptr("main")})
	w.check(err)
	if !pr.GetMergeable() {
		t.Error("it merges at first")
	}
	w.mustGit(dir, "checkout", "--quiet", "main")
	w.commit(dir, "a.txt", "main\n")
	w.mustGit(dir, "push", "--quiet", "origin", "main")
	pr, _, err = bot.PullRequests.Get(t.Context(), "octo", "secret", 1)
	w.check(err)
	if pr.GetMergeable() || pr.GetMergeableState() != "dirty" {
		t.Errorf("mergeable: %v %s", pr.GetMergeable(), pr.GetMergeableState())
	}
	if _, res, err := bot.PullRequests.Merge(t.Context(), "octo", "secret", 1, "", nil); err == nil || res.StatusCode != 405 {
		t.Errorf("merging: %v", err)
	}
}

func TestAPullRequestIsEditedClosedAndReopened(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	dir, _ := w.branch("hello", "sam/1")
	_, err := w.hub.CreatePullRequest("robin", "octo", "hello", "First", "", "sam/1", "main")
	w.check(err)
	pr, _, err := bot.PullRequests.Edit(ctx, "octo", "hello", 1, &gogithub.PullRequest{Title: ptr("Better"), State: ptr("closed")})
	w.check(err)
	if pr.GetTitle() != "Better" || pr.GetState() != "closed" {
		t.Errorf("%v", pr)
	}
	moved := w.commit(dir, "b.txt", "b\n")
	w.mustGit(dir, "push", "--quiet", "origin", "sam/1")
	pr, _, err = bot.PullRequests.Edit(ctx, "octo", "hello", 1, &gogithub.PullRequest{State: ptr("open")})
	w.check(err)
	if pr.GetState() != "open" || pr.GetHead().GetSHA() != moved {
		t.Errorf("reopened %v", pr)
	}
	_, _, err = bot.PullRequests.Edit(ctx, "octo", "hello", 1, &gogithub.PullRequest{State: ptr("closed")})
	w.check(err)
	w.mustGit(dir, "push", "--quiet", "origin", "--delete", "sam/1")
	_, res, err := bot.PullRequests.Edit(ctx, "octo", "hello", 1, &gogithub.PullRequest{State: ptr("open")})
	if err == nil || res.StatusCode != 422 || !strings.Contains(err.Error(), "branch has been deleted") {
		t.Errorf("reopening without a branch: %v", err)
	}
}

func TestTheBaseOfAPullRequestCanChange(t *testing.T) {
	w := newWorld(t)
	dir, _ := w.branch("hello", "sam/1")
	w.mustGit(dir, "push", "--quiet", "origin", "origin/main:refs/heads/release")
	must(w.hub.CreatePullRequest("robin", "octo", "hello", "First", "", "sam/1", "main"))
	pr, _, err := w.asBot().PullRequests.Edit(t.Context(), "octo", "hello", 1, &gogithub.PullRequest{
		Base: &gogithub.PullRequestBranch{Ref: ptr("release")}, State: ptr("open"),
	})
	w.check(err)
	if pr.GetBase().GetRef() != "release" {
		t.Errorf("base %v", pr.GetBase())
	}
	_, res, err := w.asBot().PullRequests.Edit(t.Context(), "octo", "hello", 1, &gogithub.PullRequest{
		Base: &gogithub.PullRequestBranch{Ref: ptr("nope")}, State: ptr("open"),
	})
	if err == nil || res.StatusCode != 422 {
		t.Errorf("an unknown base: %v", err)
	}
}

func TestABranchPushedIntoItsBaseIsMerged(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	dir, _ := w.branch("secret", "topic")
	must(w.hub.CreatePullRequest("octo", "octo", "secret", "First", "", "topic", "main"))
	e.all()
	e.clear()
	w.mustGit(dir, "push", "--quiet", "origin", "topic:main")
	e.expect("pushing", "push", "pull_request closed")
	pr := must(w.hub.PullRequest("octo", "secret", 1))
	if !pr.Merged || pr.State != "closed" {
		t.Errorf("%+v", pr)
	}
}

func TestCheckRunsBelongToTheirApp(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	_, sha := w.branch("hello", "sam/1")
	run, res, err := bot.Checks.CreateCheckRun(ctx, "octo", "hello", gogithub.CreateCheckRunOptions{Name: "SAM", HeadSHA: sha, Status: ptr("in_progress")})
	w.check(err)
	if res.StatusCode != 201 || run.GetStatus() != "in_progress" || run.GetApp().GetSlug() != "helper-app" {
		t.Errorf("created %v", run)
	}
	run, _, err = bot.Checks.UpdateCheckRun(ctx, "octo", "hello", run.GetID(), gogithub.UpdateCheckRunOptions{
		Name: "SAM", Conclusion: ptr("success"), Output: &gogithub.CheckRunOutput{Title: ptr("Done"), Summary: ptr("All of it.")},
	})
	w.check(err)
	if run.GetStatus() != "completed" || run.GetConclusion() != "success" || run.CompletedAt == nil {
		t.Errorf("updated %v", run)
	}
	list, _, err := bot.Checks.ListCheckRunsForRef(ctx, "octo", "hello", "sam/1", nil)
	w.check(err)
	if list.GetTotal() != 1 || list.CheckRuns[0].GetOutput().GetTitle() != "Done" {
		t.Errorf("list %v", list)
	}
	got := w.ask(http.MethodPost, w.api("/repos/octo/hello/check-runs"), fmt.Sprintf(`{"name":"x","head_sha":%q}`, sha),
		"Authorization: token "+must(w.hub.CreatePersonalToken("octo")))
	if got.status != 403 || got.message() != "You must authenticate via a GitHub App." {
		t.Errorf("a person: %d %s", got.status, got.body)
	}
	other := w.newApp("Other App", map[string]string{"checks": "write"})
	in := must(w.hub.Install(other.ID, "octo", "hello"))
	_, res, err = w.asInstallation(other, in).Checks.UpdateCheckRun(ctx, "octo", "hello", run.GetID(), gogithub.UpdateCheckRunOptions{Name: "x", Status: ptr("queued")})
	if err == nil || res.StatusCode != 403 {
		t.Errorf("another app: %v", err)
	}
}
