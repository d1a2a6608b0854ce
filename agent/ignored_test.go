package agent

import (
	"fmt"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

func TestWhatARepositoryHoldsForGitItselfIsToldOnceByName(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := pull(t, g, map[string]string{"README.md": "hello"}, map[string]string{
		"README.md": "hello", "docs/guide.md": "-> ../README.md", "docs/to-docs": "-> .",
		".gitconfig": "[core]\n\tfsmonitor = touch x\n", ".lfsconfig": "[lfs]\n\turl = https://collector.example\n", "sub/.gitconfig": "a file like any other",
		".githooks/post-checkout": "#!/bin/sh\n", ".husky/pre-commit": "#!/bin/sh\n", ".husky/README.md": "about", "src/hooks/use-state.js": "no hook of git's",
		".gitattributes": "# filter=comment\n*.bin filter=lfs diff=lfs -text\n*.md filter=owned\n*.txt text\n", "media/.gitattributes": "*.mp4 filter=lfs\n",
		"etc-link": "-> /etc", "climb": "-> ../../../etc/shadow", "to-hooks": "-> .git/hooks", "odd, name": "-> /",
	})
	commit := gitIn(t, u.dir, "rev-parse", "main")
	gitIn(t, u.dir, "read-tree", "fix")
	gitIn(t, u.dir, "update-index", "--add", "--cacheinfo", "160000,"+commit+",vendored")
	gitIn(t, u.dir, "update-ref", "refs/heads/fix", gitIn(t, u.dir, "commit-tree", "-m", "x", gitIn(t, u.dir, "write-tree")))

	_, from := checkedOut(t, g, t.TempDir(), func(s *wire.Start) { s.Rewrite = true })
	e, ok := from.ignored.notice()
	if !ok || e.Kind != task.Noticed || e.Notice.Code != "repository_ignored" {
		t.Fatalf("told is %+v", e)
	}
	const subject = `.gitconfig, .lfsconfig, .githooks, .husky, owned, *.bin, *.mp4, vendored, climb, etc-link, "odd, name", to-hooks`
	if e.Notice.Subject != subject {
		t.Errorf("it names %s", e.Notice.Subject)
	}
	for _, want := range []string{
		"SAM alone and not by .gitconfig, .lfsconfig;", "no hook of .githooks, .husky is installed", "no filter owned is run", "Git LFS keeps (*.bin, *.mp4)",
		"no submodule is fetched (vendored)", `out of the repository (climb, etc-link, "odd, name", to-hooks)`,
	} {
		if !strings.Contains(e.Text, want) {
			t.Errorf("it does not say %q: %s", want, e.Text)
		}
	}
}

func TestARepositoryThatHoldsNothingForGitItselfIsToldNothingOf(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	files := map[string]string{"README.md": "hello", ".gitattributes": "*.sh text eol=lf\n", ".gitignore": "bin\n", "docs/link": "-> ../README.md"}
	pull(t, g, files, files)
	for _, rewrite := range []bool{true, false} {
		_, from := checkedOut(t, g, t.TempDir(), func(s *wire.Start) { s.Rewrite = rewrite })
		if e, ok := from.ignored.notice(); ok {
			t.Errorf("told is %s", e.Text)
		}
	}
}

func TestARepositoryWithMoreToIgnoreThanIsReadIsCheckedOutAllTheSame(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	files := map[string]string{"a": "-> /etc", "b/.gitattributes": strings.Repeat("#", maxIgnoredBytes) + "\n*.x filter=late\n"}
	for n := range 2 * maxNamed {
		files[fmt.Sprintf("link-%02d", n)] = "-> /etc"
	}
	pull(t, g, files, files)
	_, from := checkedOut(t, g, t.TempDir(), func(s *wire.Start) { s.Rewrite = true })
	e, ok := from.ignored.notice()
	if !ok || !strings.HasPrefix(e.Notice.Subject, "a, link-00, ") || !strings.HasSuffix(e.Notice.Subject, ", and 21 more") || strings.Contains(e.Text, "late") {
		t.Errorf("told is %q %.300s", e.Notice, e.Text)
	}
}
