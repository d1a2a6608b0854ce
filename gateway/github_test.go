package gateway

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sam/sandbox/github"
	"sam/task"
)

var contentsAlone = map[string]string{"contents": "write"}

func TestNoRecordMakesADefaultOrProtectedBranchOfGitHubsOneToPush(t *testing.T) {
	t.Parallel()
	w := newGithubWorld(t, GitPolicy{}, contentsAlone)
	for i, c := range []struct{ branch, base, says string }{
		{"main", "develop", "main is the default branch, and SAM never pushes there"},
		{"main", "main", "SAM never pushes to main, the branch that the work goes to"},
		{"guarded", "main", "guarded is protected"},
	} {
		w.run(i+1, c.branch, c.base)
		dir := w.workspace()
		w.commit(dir, "a", c.branch)
		if out, ok := w.git(dir, nil, "push", "--force", "origin", "HEAD:refs/heads/"+c.branch); ok || !strings.Contains(out, "[remote rejected]") || !strings.Contains(out, c.says) {
			t.Errorf("%s on %s: %v %s", c.branch, c.base, ok, out)
		}
	}
	w.run(9, "sam/issue-9", "main")
	dir := w.workspace()
	w.commit(dir, "a", "honest")
	w.must(dir, "push", "-q", "origin", "HEAD:refs/heads/sam/issue-9")
	if got := w.read(w.task.ID); got.Head != w.must(dir, "rev-parse", "HEAD") {
		t.Errorf("recorded %q", got.Head)
	}
}

func TestWorkflowsArePushedOnlyWhereTheAccountIsListed(t *testing.T) {
	t.Parallel()
	const refusal = "refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission"
	able := map[string]string{"contents": "write", "workflows": "write"}
	for name, c := range map[string]struct {
		policy      GitPolicy
		permissions map[string]string
		pushed      bool
	}{
		"not listed":              {GitPolicy{}, able, false},
		"another is":              {GitPolicy{Workflows: []string{"quay"}}, able, false},
		"listed":                  {GitPolicy{Workflows: []string{"Octo"}}, able, true},
		"listed, but not granted": {GitPolicy{Workflows: []string{"octo"}}, contentsAlone, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newGithubWorld(t, c.policy, c.permissions)
			w.run(1, "sam/issue-1", "main")
			dir := w.workspace()
			w.commit(dir, "plain.txt", "x")
			w.must(dir, "push", "-q", "origin", "HEAD:refs/heads/sam/issue-1")
			w.commit(dir, ".github/workflows/ci.yml", "on: push\n")
			out, ok := w.git(dir, nil, "push", "origin", "HEAD:refs/heads/sam/issue-1")
			if ok != c.pushed {
				t.Fatalf("pushed is %v: %s", ok, out)
			}
			if !ok && (!strings.Contains(out, refusal) || !strings.Contains(out, "git.workflows")) {
				t.Errorf("git says %s", out)
			}
		})
	}
}

func TestListedRepositoriesAreSubmodulesThatCanBeFetchedOnly(t *testing.T) {
	t.Parallel()
	w := newGithubWorld(t, GitPolicy{Repositories: map[string][]string{"octo": {"octo/lib", "quay/parts", "octo/ships"}, "quay": {"octo/data"}}}, contentsAlone)
	w.run(1, "sam/issue-1", "main")
	sub := func(name string) string { return w.remote() + "/sub/" + name }
	settings := []string{"url." + sub("octo/lib") + ".insteadOf=https://github.example/octo/lib"}
	dir := w.workspace()
	if out, ok := w.git(dir, settings, "submodule", "--quiet", "add", "https://github.example/octo/lib.git", "lib"); !ok {
		t.Fatal(out)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "lib", "lib.txt")); err != nil || string(text) != "the library\n" {
		t.Errorf("%q %v", text, err)
	}
	w.must(t.TempDir(), "clone", "-q", sub("Quay/Parts"), ".")
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"one that another account lists":       {[]string{"ls-remote", sub("octo/data")}, "SAM fetches no further repository octo/data for this task"},
		"one that is not there":                {[]string{"ls-remote", sub("octo/nothing")}, "SAM fetches no further repository octo/nothing"},
		"one that the app is not installed on": {[]string{"ls-remote", sub("octo/ships")}, "the SAM app is not installed on octo/ships"},
		"a push":                               {[]string{"push", sub("octo/lib"), "HEAD:refs/heads/sam/issue-1"}, "SAM only fetches octo/lib for this task and pushes nothing to it"},
	} {
		if out, ok := w.git(dir, nil, c.args...); ok || !strings.Contains(out, c.says) {
			t.Errorf("%s: %v %s", name, ok, out)
		}
	}
}

func TestWorkOnABranchOfPeopleWhoMayNotWriteIsLetToItsOwnRepositoryAlone(t *testing.T) {
	t.Parallel()
	w := newGithubWorld(t, GitPolicy{Workflows: []string{"octo"}, Repositories: map[string][]string{"octo": {"octo/lib"}}}, map[string]string{"contents": "write", "workflows": "write"})
	w.runAs(1, map[task.Field]string{task.FieldBranch: "sam/issue-1", task.FieldBase: "main", task.FieldRewrite: "1", task.FieldUntrusted: "1"})
	dir := w.workspace()
	if out, ok := w.git(dir, nil, "ls-remote", w.remote()+"/sub/octo/lib"); ok || !strings.Contains(out, "SAM fetches no further repository octo/lib for this task") {
		t.Errorf("a listed repository: %v %s", ok, out)
	}
	w.commit(dir, ".github/workflows/ci.yml", "on: push\n")
	if out, ok := w.git(dir, nil, "push", "origin", "HEAD:refs/heads/sam/issue-1"); ok || !strings.Contains(out, "without `workflows` permission") {
		t.Errorf("a workflow: %v %s", ok, out)
	}
}

func TestATaskGoesOnWhenItsRepositoryIsRenamedOrTheAppInstalledAnew(t *testing.T) {
	t.Parallel()
	w := newGithubWorld(t, GitPolicy{}, contentsAlone)
	w.run(1, "sam/issue-1", "main")
	dir := w.workspace()
	push := func(name string) {
		t.Helper()
		w.commit(dir, name, name)
		w.must(dir, "push", "-q", "origin", "HEAD:refs/heads/sam/issue-1")
		if got := w.read(w.task.ID); got.Head != w.must(dir, "rev-parse", "HEAD") {
			t.Errorf("recorded %q", got.Head)
		}
	}
	push("before")
	project := task.Project{ID: w.quayside.ID, Installation: w.install.ID, Account: w.task.Account, Owner: "octo", Name: "harbourside"}
	_, err := w.hub.RenameRepository("octo", "octo", "quayside", "harbourside")
	w.check(err)
	w.check(w.store.SaveProject(t.Context(), project))
	push("renamed")
	w.check(w.hub.Uninstall(w.install.ID))
	in, err := w.hub.Install(w.app.ID, "octo")
	w.check(err)
	project.Installation = in.ID
	w.check(w.store.SaveProject(t.Context(), project))
	push("installed anew")
	project.Account++
	project.Owner = "quay"
	w.check(w.store.SaveProject(t.Context(), project))
	w.commit(dir, "gone", "gone")
	if out, ok := w.git(dir, nil, "push", "origin", "HEAD:refs/heads/sam/issue-1"); ok {
		t.Errorf("a task went along to another account: %s", out)
	}
}

func TestATaskGoesOnWhenGitHubForgetsItsTokens(t *testing.T) {
	t.Parallel()
	w := newGithubWorld(t, GitPolicy{}, contentsAlone)
	w.run(1, "sam/issue-1", "main")
	forget := func() {
		t.Helper()
		w.check(w.hub.SetFaults(github.Faults{Rules: []github.Rule{{Kind: github.TokenForgotten, Path: "/octo/quayside.git/**", Next: 1}}}))
	}
	forget()
	dir := w.workspace()
	w.commit(dir, "a", "a")
	for range 2 {
		forget()
		w.commit(dir, "a", w.must(dir, "rev-parse", "HEAD"))
		w.must(dir, "push", "-q", "origin", "HEAD:refs/heads/sam/issue-1")
	}
	if got := w.read(w.task.ID); got.Head != w.must(dir, "rev-parse", "HEAD") {
		t.Errorf("recorded %q", got.Head)
	}
	if struck := w.hub.Faults().Hits[github.TokenForgotten]; struck != 3 {
		t.Errorf("tokens were forgotten %d times", struck)
	}
}

func TestFilesOfLFSGoThroughTheBrokerAndTheirAddressesStayBehindIt(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("git-lfs is not installed: files of Git LFS go untested through the broker")
	}
	w := newGithubWorld(t, GitPolicy{Repositories: map[string][]string{"octo": {"octo/lib"}}, MaxPack: 1 << 20}, contentsAlone)
	w.run(1, "sam/issue-1", "main")
	settings := []string{"lfs.url=" + w.remote() + "/info/lfs", "lfs.locksverify=false", "lfs.activitytimeout=5", "lfs.transfer.maxretries=1"}
	run := func(dir string, args ...string) string {
		t.Helper()
		out, ok := w.git(dir, settings, args...)
		if !ok {
			t.Fatalf("git %v: %s", args, out)
		}
		return out
	}
	large := strings.Repeat("large\n", 50_000)
	dir := w.workspace()
	run(dir, "lfs", "install", "--local")
	run(dir, "lfs", "track", "*.bin")
	w.commit(dir, "data.bin", large)
	w.commit(dir, "empty.bin", "")
	run(dir, "push", "-q", "origin", "HEAD:refs/heads/sam/issue-1")

	other := t.TempDir()
	run(other, "init", "-q", ".")
	run(other, "lfs", "install", "--local")
	run(other, "fetch", "-q", w.remote(), "sam/issue-1")
	run(other, "checkout", "-q", "FETCH_HEAD")
	if text, err := os.ReadFile(filepath.Join(other, "data.bin")); err != nil || string(text) != large {
		t.Errorf("%v, %d bytes", err, len(text))
	}

	w.commit(dir, "huge.bin", strings.Repeat("x", 2<<20))
	if out, ok := w.git(dir, settings, "push", "origin", "HEAD:refs/heads/sam/issue-1"); ok || !strings.Contains(out, "has 2097152 bytes and SAM's limit is 1048576") {
		t.Errorf("a file over the limit: %v %s", ok, out)
	}
}
