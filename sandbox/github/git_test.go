package github_test

import (
	"crypto/rand"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v62/github"

	"sam/sandbox/github"
)

func TestAPushReachesTheRepositoryAndItsPullRequest(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	dir, sha := w.branch("hello", "sam/1")
	pr, _, err := bot.PullRequests.Create(ctx, "octo", "hello", &gogithub.NewPullRequest{Title: ptr("One"), Head: ptr("sam/1"), Base: ptr("main")})
	w.check(err)
	if pr.GetHead().GetSHA() != sha {
		t.Errorf("head %s, pushed %s", pr.GetHead().GetSHA(), sha)
	}
	next := w.commit(dir, "more.txt", "more\n")
	w.mustGit(dir, "push", "--quiet", "origin", "sam/1")
	pr, _, err = bot.PullRequests.Get(ctx, "octo", "hello", 1)
	w.check(err)
	if pr.GetHead().GetSHA() != next || pr.GetCommits() != 2 || pr.GetChangedFiles() != 2 || !pr.GetMergeable() {
		t.Errorf("after a push: %v", pr)
	}
	if got := w.mustGit(dir, "ls-remote", "origin", "refs/pull/1/head"); !strings.HasPrefix(got, next) {
		t.Errorf("refs/pull/1/head: %s", got)
	}
	out, ok := w.git(dir, "push", "origin", "HEAD:refs/pull/1/head")
	if ok || !strings.Contains(out, "deny updating a hidden ref") {
		t.Errorf("pushing to refs/pull: %s", out)
	}
	w.mustGit(dir, "push", "--quiet", "origin", "--delete", "sam/1")
	if pr, _, err = bot.PullRequests.Get(ctx, "octo", "hello", 1); err != nil || pr.GetState() != "closed" || pr.GetMerged() {
		t.Errorf("after its branch was deleted: %v %v", pr, err)
	}
}

func TestWhoMayCloneAndPush(t *testing.T) {
	w := newWorld(t)
	readOnly := w.token(&gogithub.InstallationTokenOptions{Permissions: &gogithub.InstallationPermissions{Contents: ptr("read")}})
	noContents := w.token(&gogithub.InstallationTokenOptions{Permissions: &gogithub.InstallationPermissions{Issues: ptr("write")}})
	helloOnly := w.token(&gogithub.InstallationTokenOptions{Repositories: []string{"hello"}})
	full := w.token(nil)
	robin, stranger := must(w.hub.CreatePersonalToken("robin")), must(w.hub.CreatePersonalToken("stranger"))
	for _, tc := range []struct {
		name, repo, token string
		fetch, push       string // what is refused with these words; empty: allowed
	}{
		{"nobody, public", "hello", "", "", "could not read Username"},
		{"nobody, private", "secret", "", "could not read Username", ""},
		{"a full token", "secret", full, "", ""},
		{"a token that reads", "secret", readOnly, "", "error: 403"},
		{"a token without contents", "secret", noContents, "error: 403", ""},
		{"a token for another repository", "secret", helloOnly, "not found", ""},
		{"a repository outside the installation", "elsewhere", full, "not found", ""},
		{"a writer", "hello", robin, "", ""},
		{"a reader", "hello", stranger, "", "error: 403"},
		{"a stranger", "secret", stranger, "not found", ""},
		{"a made-up token", "secret", "ghs_madeup", "Authentication failed", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			out, ok := w.git(dir, "clone", "--quiet", w.remote(tc.repo, tc.token), ".")
			if ok != (tc.fetch == "") || !strings.Contains(out, tc.fetch) {
				t.Fatalf("clone: %v %s", ok, out)
			}
			if !ok {
				return
			}
			w.mustGit(dir, "checkout", "--quiet", "-b", "topic-"+strings.ReplaceAll(tc.name, " ", "-"))
			w.commit(dir, "new.txt", tc.name)
			out, ok = w.git(dir, "push", "--quiet", "origin", "HEAD")
			if ok != (tc.push == "") || !strings.Contains(out, tc.push) {
				t.Errorf("push: %v %s", ok, out)
			}
		})
	}
}

func TestProtectedBranchesRefusePushesAndDeletion(t *testing.T) {
	w := newWorld(t)
	w.repository(github.RepositorySpec{Owner: "octo", Name: "guarded", Files: map[string][]byte{"a": []byte("a")}, Protected: []string{"main", "release"}})
	robin := must(w.hub.CreatePersonalToken("octo"))
	dir := w.clone("guarded", robin)
	w.commit(dir, "b", "b")
	out, ok := w.git(dir, "push", "origin", "HEAD:main", "HEAD:topic")
	for _, want := range []string{
		"remote: error: GH006: Protected branch update failed for refs/heads/main.",
		"! [remote rejected] HEAD -> main (protected branch hook declined)",
		"* [new branch]      HEAD -> topic",
	} {
		if ok || !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if out, ok := w.git(dir, "push", "origin", "--delete", "main"); ok || !strings.Contains(out, "GH006") {
		t.Errorf("deleting: %s", out)
	}
}

func TestTheDefaultBranchIsNotDeleted(t *testing.T) {
	w := newWorld(t)
	dir := w.clone("secret", w.token(nil))
	out, ok := w.git(dir, "push", "origin", "--delete", "main")
	if ok || !strings.Contains(out, "(refusing to delete the current branch: refs/heads/main)") {
		t.Errorf("%s", out)
	}
}

func TestWorkflowsNeedTheirOwnPermission(t *testing.T) {
	w := newWorld(t)
	const refusal = "(refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission)"
	dir := w.clone("secret", w.token(nil))
	w.mustGit(dir, "checkout", "--quiet", "-b", "topic")
	w.commit(dir, ".github/workflows/ci.yml", "on: push\n")
	w.commit(dir, "later.txt", "later\n")
	if out, ok := w.git(dir, "push", "origin", "topic"); ok || !strings.Contains(out, refusal) {
		t.Errorf("an app without it: %s", out)
	}
	// A person's token may; afterwards the commits are no news to the branch's copies.
	w.mustGit(dir, "push", "--quiet", w.remote("secret", must(w.hub.CreatePersonalToken("octo"))), "topic")
	w.mustGit(dir, "checkout", "--quiet", "-b", "copy")
	w.commit(dir, "copy.txt", "copy\n")
	w.mustGit(dir, "push", "--quiet", "origin", "copy")

	able := w.newApp("Able App", map[string]string{"contents": "write", "workflows": "write"})
	in := must(w.hub.Install(able.ID, "octo", "secret"))
	got, _, err := w.asApp(able).Apps.CreateInstallationToken(t.Context(), in.ID, nil)
	w.check(err)
	w.commit(dir, ".github/workflows/ci.yml", "on: [push]\n")
	w.mustGit(dir, "push", "--quiet", w.remote("secret", got.GetToken()), "copy")
}

func TestAnEmptyRepositoryTakesItsFirstPush(t *testing.T) {
	w := newWorld(t)
	w.repository(github.RepositorySpec{Owner: "octo", Name: "blank"})
	owner := w.asUser("octo")
	if _, res, err := owner.Git.GetRef(t.Context(), "octo", "blank", "heads/main"); err == nil || res.StatusCode != 409 {
		t.Errorf("a ref of an empty repository: %v", err)
	}
	if _, _, res, err := owner.Repositories.GetContents(t.Context(), "octo", "blank", "", nil); err == nil || res.StatusCode != 404 {
		t.Errorf("contents of an empty repository: %v", err)
	}
	dir := w.clone("blank", must(w.hub.CreatePersonalToken("octo")))
	w.mustGit(dir, "checkout", "--quiet", "-B", "main")
	sha := w.commit(dir, "a.txt", "a\n")
	w.mustGit(dir, "push", "--quiet", "origin", "main")
	ref, _, err := owner.Git.GetRef(t.Context(), "octo", "blank", "heads/main")
	w.check(err)
	if ref.GetObject().GetSHA() != sha {
		t.Errorf("main is %s", ref.GetObject().GetSHA())
	}
}

// A pack over a megabyte is sent in chunks, a long negotiation compressed.
func TestLargePushesAndLongNegotiationsGoThrough(t *testing.T) {
	w := newWorld(t)
	dir := w.clone("secret", w.token(nil))
	w.mustGit(dir, "checkout", "--quiet", "-b", "large")
	noise := make([]byte, 3<<20)
	_, err := rand.Read(noise)
	w.check(err)
	w.commit(dir, "noise", base64.StdEncoding.EncodeToString(noise))
	w.mustGit(dir, "push", "--quiet", "origin", "large")

	// Many commits that the server has not make git compress what it asks.
	other := w.clone("secret", w.token(nil))
	for range 60 {
		w.mustGit(other, "commit", "--quiet", "--allow-empty", "-m", "local")
	}
	w.commit(dir, "more", "more\n")
	w.mustGit(dir, "push", "--quiet", "origin", "large")
	for _, protocol := range []string{"0", "2"} {
		w.mustGit(other, "-c", "protocol.version="+protocol, "fetch", "--quiet", "origin", "large")
		w.mustGit(other, "update-ref", "-d", "FETCH_HEAD")
	}
	if _, err := os.Stat(filepath.Join(dir, "noise")); err != nil {
		t.Error(err)
	}
}

func TestContentsRefsBranchesAndCommitsComeFromGit(t *testing.T) {
	w := newWorld(t)
	ctx, bot := t.Context(), w.asBot()
	_, sha := w.branch("hello", "sam/fix/deep")

	file, _, _, err := bot.Repositories.GetContents(ctx, "octo", "hello", "src/main.go", nil)
	w.check(err)
	if text, err := file.GetContent(); err != nil || text != "package main\n" {
		t.Errorf("file: %q %v", text, err)
	}
	_, dir, _, err := bot.Repositories.GetContents(ctx, "octo", "hello", "", &gogithub.RepositoryContentGetOptions{Ref: "sam/fix/deep"})
	w.check(err)
	if len(dir) != 4 || dir[3].GetName() != "src" || dir[3].GetType() != "dir" {
		t.Errorf("directory: %v", dir)
	}
	if _, _, res, err := bot.Repositories.GetContents(ctx, "octo", "hello", "nothing", nil); err == nil || res.StatusCode != 404 {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, res, err := bot.Repositories.GetContents(ctx, "octo", "hello", "", &gogithub.RepositoryContentGetOptions{Ref: "nope"}); err == nil || res.StatusCode != 404 {
		t.Errorf("a missing ref: %v", err)
	}
	branch, _, err := bot.Repositories.GetBranch(ctx, "octo", "hello", "main", 0)
	w.check(err)
	if !branch.GetProtected() {
		t.Errorf("main: %v", branch)
	}
	ref, _, err := bot.Git.GetRef(ctx, "octo", "hello", "heads/sam/fix/deep")
	w.check(err)
	if ref.GetObject().GetSHA() != sha {
		t.Errorf("ref: %v", ref)
	}
	if _, res, err := bot.Git.GetRef(ctx, "octo", "hello", "heads/sam/fix"); err == nil || res.StatusCode != 404 {
		t.Errorf("half a ref: %v", err)
	}
	refs, _, err := bot.Git.ListMatchingRefs(ctx, "octo", "hello", &gogithub.ReferenceListOptions{Ref: "heads/sam/"})
	w.check(err)
	if len(refs) != 1 {
		t.Errorf("matching: %v", refs)
	}
	commit, _, err := bot.Repositories.GetCommit(ctx, "octo", "hello", "sam/fix/deep", nil)
	w.check(err)
	if commit.GetSHA() != sha || commit.GetStats().GetAdditions() != 1 || len(commit.Files) != 1 || commit.GetAuthor().GetLogin() != "robin" {
		t.Errorf("commit: %v", commit)
	}
	if _, res, err := bot.Repositories.GetCommit(ctx, "octo", "hello", "nope", nil); err == nil || res.StatusCode != 422 {
		t.Errorf("a missing commit: %v", err)
	}
	diff, _, err := bot.Repositories.CompareCommits(ctx, "octo", "hello", "main", "sam/fix/deep", nil)
	w.check(err)
	if diff.GetStatus() != "ahead" || diff.GetAheadBy() != 1 || diff.GetBehindBy() != 0 || diff.Files[0].GetPatch() != "@@ -0,0 +1 @@\n+one" {
		t.Errorf("compare: %v", diff)
	}
}
