package agent

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// packsOf are the names of a mirror's packs.
func packsOf(t *testing.T, mirror string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(mirror, "objects", "pack", "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range found {
		found[i] = strings.TrimSuffix(filepath.Base(path), ".pack")
	}
	return found
}

// readyOf is what is noted of the mirror of repository.
func readyOf(t *testing.T, m *mirrors, repository int64) ready {
	t.Helper()
	noted, err := m.ready(repository)
	if err != nil {
		t.Fatal(err)
	}
	return noted
}

func TestAMirrorIsMadeReadyForTheBaseBranchAtMostOnceADayAndNothingIsTakenWhileItIsLent(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	dir := t.TempDir()
	m, w := testRooms(t, dir)
	m.leastReady = 1
	s := start(g, "t", 1, "x")
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m.makeReady(t.Context(), now, func() bool { return true })
	if got := readyOf(t, m, s.Repository); got.commit != "" {
		t.Errorf("the disk is short, and it was made ready: %v", got)
	}
	m.makeReady(t.Context(), now, never) // although it is lent: that takes nothing
	first := readyOf(t, m, s.Repository)
	if first.commit != from.base || len(first.packs) != 1 || !slices.Contains(packsOf(t, from.mirror), first.packs[0]) {
		t.Fatalf("it is ready for %v, with the packs %v", first, packsOf(t, from.mirror))
	}
	// The pack has all that a checkout needs: with nothing else the tree is the same.
	alone := filepath.Join(t.TempDir(), "alone.git")
	gitIn(t, dir, "init", "--quiet", "--bare", "--template=", alone)
	for _, suffix := range []string{".pack", ".idx"} {
		name := "objects/pack/" + first.packs[0] + suffix
		content, err := os.ReadFile(filepath.Join(from.mirror, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(alone, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	borrowed, whole := from, filepath.Join(dir, "whole")
	borrowed.mirror = alone
	if err := w.clone(t.Context(), s, whole+"2", borrowed, "http://127.0.0.1:1/"); err != nil {
		t.Fatal(err)
	}
	if err := w.clone(t.Context(), s, whole, from, "http://127.0.0.1:1/"); err != nil {
		t.Fatal(err)
	}
	if files := found(t, whole); len(files) < 3 || !maps.Equal(files, found(t, whole+"2")) {
		t.Errorf("with the pack alone the tree is %v", found(t, whole+"2"))
	}

	work := t.TempDir()
	gitIn(t, work, "clone", "--quiet", u.dir, ".")
	gitIn(t, work, "commit", "--quiet", "--allow-empty", "--message=more")
	gitIn(t, u.dir, "fetch", "--quiet", work, "main:main")
	later, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	same := func(why string) {
		t.Helper()
		if got := readyOf(t, m, s.Repository); got.commit != first.commit || !slices.Contains(packsOf(t, from.mirror), first.packs[0]) {
			t.Errorf("%s, and it is made ready again: %v", why, got)
		}
	}
	from.giveBack()
	m.makeReady(t.Context(), now.Add(readyEach-time.Hour), never)
	same("the day is not over")
	m.makeReady(t.Context(), now.Add(readyEach+time.Hour), never)
	same("an attempt borrows")
	later.giveBack()
	m.makeReady(t.Context(), now.Add(readyEach+time.Hour), never)
	second := readyOf(t, m, s.Repository)
	if second.commit != later.base || len(second.packs) != 1 || slices.Contains(packsOf(t, from.mirror), first.packs[0]) {
		t.Errorf("a day later it is ready for %v, with the packs %v", second, packsOf(t, from.mirror))
	}
	if m.lent.count(s.Repository) != 0 {
		t.Error("it is still lent")
	}
	gitIn(t, from.mirror, "fsck", "--full", "--strict")
}

func TestAMirrorWithLittleInItIsNotMadeReadyAndNotLookedAtAgainForADay(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	m, _ := testRooms(t, t.TempDir())
	s := start(g, "t", 1, "x")
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	defer from.giveBack()
	before := packsOf(t, from.mirror)
	m.makeReady(t.Context(), time.Now(), never)
	if got := readyOf(t, m, s.Repository); got.commit != from.base || len(got.packs) > 0 || !slices.Equal(before, packsOf(t, from.mirror)) {
		t.Errorf("it is ready for %v, with the packs %v", got, packsOf(t, from.mirror))
	}
}

func TestAMirrorThatWasMadeReadyIsWholeWithoutThatWhenTheDiskIsShort(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	m, _ := testRooms(t, t.TempDir())
	m.leastReady = 1
	s := start(g, "t", 1, "x")
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	m.makeReady(t.Context(), time.Now(), never)
	made := readyOf(t, m, s.Repository)
	borrowed := func(int64) bool { return true } // a tree that sleeps
	short := func() bool { return true }
	m.sweep(t.Context(), borrowed, time.Now(), short)
	if len(made.packs) != 1 || !slices.Contains(packsOf(t, from.mirror), made.packs[0]) {
		t.Error("it is lent to an attempt, and something was taken from it")
	}
	from.giveBack()
	m.sweep(t.Context(), borrowed, time.Now(), never)
	if !slices.Contains(packsOf(t, from.mirror), made.packs[0]) {
		t.Error("there is room, and something was taken from it")
	}
	m.sweep(t.Context(), borrowed, time.Now(), short)
	if slices.Contains(packsOf(t, from.mirror), made.packs[0]) || readyOf(t, m, s.Repository).commit != "" {
		t.Error("the disk is short, and it is ready still")
	}
	gitIn(t, from.mirror, "fsck", "--full", "--strict")
	gitIn(t, from.mirror, "cat-file", "-e", from.base)
}
