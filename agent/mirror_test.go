package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

func refs(t *testing.T, mirror string) []string {
	t.Helper()
	return strings.Fields(gitIn(t, mirror, "for-each-ref", "--format=%(refname)"))
}

func TestAMirrorHoldsTheFetchedRefsAndNoOthers(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	gitIn(t, u.dir, "tag", "v1", "main")
	gitIn(t, u.dir, "branch", "other", "main")
	m, _ := testRooms(t, t.TempDir())
	from, err := m.fetch(t.Context(), start(g, "t", 1, "x"), fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	if got := refs(t, from.mirror); len(got) != 1 || got[0] != keptRef("refs/heads/main") {
		t.Errorf("it holds %v", got)
	}
}

func TestABranchMayTakeThePlaceOfAFolderOfBranchesAndBack(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	m, _ := testRooms(t, t.TempDir())
	s := start(g, "t", 1, "x")
	before := ""
	for _, branch := range []string{"sam/x", "sam/x/y", "sam/x"} {
		if before != "" {
			gitIn(t, u.dir, "branch", "--delete", "--force", before)
		}
		gitIn(t, u.dir, "branch", branch, "main")
		s.Branch, before = branch, branch
		if from, err := m.fetch(t.Context(), s, fetchToken); err != nil || from.branch == "" {
			t.Fatalf("%s: %v %v", branch, from, err)
		}
	}
}

// spoil empties a mirror's objects of a kind, as a power cut may.
func spoil(t *testing.T, mirror, kind string) {
	t.Helper()
	gitIn(t, mirror, "config", "gc.auto", "0")
	spoiled := 0
	for line := range strings.Lines(gitIn(t, mirror, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)")) {
		name, is, _ := strings.Cut(strings.TrimSpace(line), " ")
		path := filepath.Join(mirror, "objects", name[:2], name[2:])
		if is != kind || !fileExists(path) {
			continue
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		spoiled++
	}
	if spoiled == 0 {
		t.Fatalf("the mirror has no loose %s", kind)
	}
}

func TestADamagedMirrorIsThrownAwayAndFetchedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"commit", "tree", "blob"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			newUpstream(t, g)
			n := newNode(t, g)
			first := start(g, "tone", 1, "demo: pretend")
			g.command(frame(first))
			g.finished(first.Ref)
			mirror := n.mirrors.path(first.Repository)
			spoil(t, mirror, kind)
			second := start(g, "ttwo", 1, "add a health check")
			second.Thread = "7-13"
			g.command(frame(second))
			if end := last(g.finished(second.Ref)); end.Outcome != task.Done {
				t.Errorf("it ended with %+v", end)
			}
			if !strings.Contains(n.log.String(), "the mirror is damaged") {
				t.Error("that is not in the log")
			}
			gitIn(t, mirror, "fsck", "--full")
		})
	}
}

func TestADamagedMirrorThatAnotherAttemptBorrowsStays(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	m, _ := testRooms(t, t.TempDir())
	s := start(g, "t", 1, "x")
	first, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, first.mirror, "tree")
	if _, err := m.fetch(t.Context(), s, fetchToken); !m.damaged(err) {
		t.Errorf("got %v", err)
	}
	first.giveBack()
	second, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	second.giveBack()
}

func TestWhatTheServerOrTheNetworkDoesIsNotTheMirrorsFault(t *testing.T) {
	t.Parallel()
	m := &mirrors{}
	for words, want := range map[string]bool{
		"fatal: bad object 8f3c": true, "error: object file objects/8f/3c is empty": true, "fatal: not a git repository: '.'": true,
		"fatal: unable to access 'https://x/': Could not resolve host: x": false, "remote: Repository not found.": false,
		"fatal: Authentication failed for 'https://x/'": false, "error: unable to read x: No space left on device": false,
		"error: RPC failed; curl 56 unable to read": false,
	} {
		if got := m.damaged(&commandError{what: "git fetch", words: words}); got != want {
			t.Errorf("%q: %v", words, got)
		}
	}
	if m.damaged(context.Canceled) || m.damaged(nil) {
		t.Error("another error is taken for damage")
	}
}

func never() bool { return false }

func TestAMirrorIsCollectedOnlyWhenNobodyBorrows(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	dir := t.TempDir()
	m, w := testRooms(t, dir)
	s := start(g, "t", 1, "x")
	work := t.TempDir()
	gitIn(t, work, "clone", "--quiet", u.dir, ".")
	var from heads
	fetch := func() {
		t.Helper()
		var err error
		from.giveBack()
		if from, err = m.fetch(t.Context(), s, fetchToken); err != nil {
			t.Fatal(err)
		}
	}
	m.git.home = filepath.Join(dir, "home")
	for range maxPacks + 2 { // of which each is a pack, however small
		gitIn(t, work, "commit", "--quiet", "--allow-empty", "--message=more")
		gitIn(t, u.dir, "fetch", "--quiet", work, "main:main")
		fetch()
		gitIn(t, from.mirror, "repack", "-q", "-d")
	}
	commit := from.base
	gitIn(t, work, "commit", "--quiet", "--amend", "--allow-empty", "--message=else")
	gitIn(t, u.dir, "fetch", "--quiet", work, "+main:main")
	fetch()
	sweep := func() { t.Helper(); m.sweep(t.Context(), w.borrowed, time.Now(), never) }
	has := func() bool {
		_, err := m.git.run(t.Context(), from.mirror, nil, "", "cat-file", "-e", commit)
		return err == nil
	}
	if !m.scattered(from.mirror) {
		t.Fatal("there is nothing to collect")
	}
	sweep()
	if !has() || !m.scattered(from.mirror) {
		t.Error("an attempt borrows, and the mirror is collected")
	}
	from.giveBack()
	tree := w.tree("7-12")
	if err := w.clone(t.Context(), s, tree, from, "http://127.0.0.1:1/"); err != nil {
		t.Fatal(err)
	}
	sweep()
	if !has() || !m.scattered(from.mirror) {
		t.Error("a tree borrows, and the mirror is collected")
	}
	if err := removeAll(tree); err != nil {
		t.Fatal(err)
	}
	sweep()
	if has() || m.scattered(from.mirror) {
		t.Error("nobody borrows, and the mirror is not collected")
	}
	if got := refs(t, from.mirror); len(got) != 1 {
		t.Errorf("the refs are %v", got)
	}
}

func TestAnIdleMirrorGoesAndIsFetchedAgain(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	m, w := testRooms(t, t.TempDir())
	s := start(g, "t", 1, "x")
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(idleMirror + time.Hour)
	m.sweep(t.Context(), w.borrowed, later, never)
	if !fileExists(from.mirror) {
		t.Error("it went while it was lent")
	}
	from.giveBack()
	m.sweep(t.Context(), w.borrowed, time.Now(), never)
	if !fileExists(from.mirror) {
		t.Error("it went before its time")
	}
	m.sweep(t.Context(), w.borrowed, later, never)
	if fileExists(from.mirror) {
		t.Error("it stays")
	}
	if again, err := m.fetch(t.Context(), s, fetchToken); err != nil || again.base != from.base {
		t.Errorf("it is not fetched again: %v %v", again, err)
	}
}

func TestARepositoryWithoutABranchToStartFromIsToldAndNotTriedAgain(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	gitIn(t, u.dir, "branch", "--move", "main", "trunk") // HEAD is of a branch that does not exist
	newNode(t, g)
	for id, change := range map[string]func(*wire.Start){"tnone": func(s *wire.Start) { s.Base = "" }, "tgone": func(*wire.Start) {}} {
		s := start(g, id, 1, "x")
		change(&s)
		g.command(frame(s))
		if end := last(g.finished(s.Ref)); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "branch") || !strings.Contains(end.Reason, "then ask again") {
			t.Errorf("%s ended with %+v", id, end)
		}
	}
}
