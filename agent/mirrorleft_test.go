package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWhatAKilledGitLeftInAMirrorIsGoneBeforeTheNextFetch(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	dir := t.TempDir()
	m, _ := testRooms(t, dir)
	s := start(g, "t", 1, "x")
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	from.giveBack()
	left := []string{
		keptRef(headRef(s.Base)) + ".lock", "packed-refs.lock", "config.lock", "HEAD.lock", "shallow.lock", "gc.pid.lock",
		"objects/pack/tmp_pack_x1y2z3", "objects/pack/tmp_idx_x1y2z3", "objects/ab/tmp_obj_x1y2z3",
	}
	for _, name := range left {
		path := filepath.Join(from.mirror, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	work := t.TempDir()
	gitIn(t, work, "clone", "--quiet", u.dir, ".")
	gitIn(t, work, "commit", "--quiet", "--allow-empty", "--message=more")
	gitIn(t, u.dir, "fetch", "--quiet", work, "main:main")

	next, _ := testRooms(t, dir) // the next process of the node
	later, err := next.fetch(t.Context(), s, fetchToken)
	if err != nil || later.base == from.base {
		t.Fatalf("after a git was killed: %v, %v", later, err)
	}
	next.sweep(t.Context(), func(int64) bool { return true }, time.Now(), never)
	if _, err := os.Lstat(filepath.Join(from.mirror, "objects/pack/tmp_pack_x1y2z3")); err != nil {
		t.Errorf("something was taken from a mirror that is lent: %v", err)
	}
	later.giveBack()
	next.sweep(t.Context(), func(int64) bool { return true }, time.Now(), never)
	for _, name := range left {
		if _, err := os.Lstat(filepath.Join(from.mirror, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	gitIn(t, from.mirror, "fsck", "--full", "--strict")
}

func TestAReadyPackOfWhichNothingIsNotedGoesWithTheOthers(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	dir := t.TempDir()
	m, _ := testRooms(t, dir)
	m.leastReady = 1
	s := start(g, "t", 1, "x")
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	before := packsOf(t, from.mirror)
	m.makeReady(t.Context(), time.Now(), never)
	if len(packsOf(t, from.mirror)) != len(before)+1 {
		t.Fatalf("it is not made ready: %v", packsOf(t, from.mirror))
	}
	if err := os.Remove(filepath.Join(from.mirror, readyFile)); err != nil { // the node was killed before it was written
		t.Fatal(err)
	}
	from.giveBack()
	next, _ := testRooms(t, dir)
	next.leastReady = 1
	from, err = next.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	from.giveBack()
	next.sweep(t.Context(), func(int64) bool { return true }, time.Now(), func() bool { return true })
	if got := packsOf(t, from.mirror); !slices.Equal(got, before) {
		t.Errorf("left are %v of %v", got, before)
	}
	entries, err := os.ReadDir(filepath.Join(from.mirror, "objects", "pack"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), readyPrefix) {
			t.Errorf("%s is left", entry.Name())
		}
	}
	gitIn(t, from.mirror, "fsck", "--full", "--strict")
}
