package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"

	"sam/agent/wire"
	"sam/task"
)

// mirrored makes what a mirror looks like from outside, used so long ago.
func mirrored(t *testing.T, m *mirrors, repository int64, ago time.Duration) {
	t.Helper()
	write(t, filepath.Join(m.path(repository), "HEAD"), 20)
	at := time.Now().Add(-ago)
	if err := os.Chtimes(filepath.Join(m.path(repository), "HEAD"), at, at); err != nil {
		t.Fatal(err)
	}
}

func TestWithoutRoomMirrorsThatNobodyBorrowsGoTheOneUsedLongestAgoFirst(t *testing.T) {
	t.Parallel()
	m, w := testRooms(t, t.TempDir())
	for repository, hours := range map[int64]int{1: 2, 2: 5, 3: 1, 4: 9, 5: 8, 6: 3} {
		mirrored(t, m, repository, time.Duration(hours)*time.Hour)
	}
	tree := w.tree("7-12") // an idle workspace that borrows from 4
	write(t, filepath.Join(tree, "file"), 10)
	if err := w.borrows(tree, 4); err != nil {
		t.Fatal(err)
	}
	back := m.lent.lend(5)
	defer back()
	gone := func() (ids []int64) {
		held := m.held()
		for repository := int64(1); repository <= 6; repository++ {
			if !slices.Contains(held, repository) {
				ids = append(ids, repository)
			}
		}
		return ids
	}
	m.spare(t.Context(), w.borrowed, never)
	if got := gone(); len(got) != 0 {
		t.Errorf("where there is room, %v are gone", got)
	}
	m.spare(t.Context(), w.borrowed, func() bool { return len(gone()) < 2 })
	if got := gone(); !slices.Equal(got, []int64{2, 6}) {
		t.Errorf("until there is room, %v are gone", got)
	}
	m.spare(t.Context(), w.borrowed, func() bool { return true })
	if got := gone(); !slices.Equal(got, []int64{1, 2, 3, 6}) {
		t.Errorf("where there is never room, %v are gone", got)
	}
}

func TestRoomIsMadeLongBeforeTasksAreRefused(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for _, c := range []struct{ keep, size, room int64 }{
		{2 * gib, 0, 2*gib + gib/2}, // of a size that is not known
		{2 * gib, 20 * gib, 2*gib + gib/2},
		{2 * gib, 80 * gib, 8 * gib},
		{2 * gib, 2000 * gib, 10 * gib},
		{16 * gib, 2000 * gib, 20 * gib},
	} {
		var free int64
		d := &disk{keep: c.keep, size: c.size, space: func() (int64, float64, error) { return free, 1, nil }}
		free = c.room - 1
		if !d.tight(1) || d.imagesTight(1) {
			t.Errorf("%+v: a byte less than the room is not tight, or images are where there are none", c)
		}
		if free = c.room; d.tight(1) || !d.tight(1.25) {
			t.Errorf("%+v: the room itself is tight, or enough to end with", c)
		}
		d.images, d.imagesSize = d.space, c.size
		if free = c.room - 1; !d.imagesTight(1) {
			t.Errorf("%+v: the engine's disk is not looked at", c)
		}
	}
}

func TestANodeWhoseDiskIsTightGivesUpMirrorsAndKeepsWorkspaces(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	var free atomic.Int64
	free.Store(100 << 30)
	n := startNode(g, nodeOptions(g, t.TempDir()), scarce(&free), func(n *Node) {
		n.disk.size = 100 << 30
		mirrored(t, n.mirrors, 99, time.Hour)
		write(t, filepath.Join(n.workspaces.tree("7-1"), "file"), 10) // idle, with nothing that is not pushed
		write(t, n.workspaces.tree("7-1")+pushedSuffix, 0)
		if err := n.workspaces.borrows(n.workspaces.tree("7-1"), 7); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(n.stop)
	g.await("a hello that names the mirror", func() bool { return len(g.hellos) > 0 && slices.Equal(g.hellos[0].Mirrors, []int64{99}) })
	free.Store(5 << 30)
	g.await("a beat without the mirror", func() bool {
		return slices.ContainsFunc(g.beats, func(b wire.Beat) bool { return b.Held != nil && len(b.Held.Mirrors) == 0 })
	})
	if !fileExists(n.workspaces.tree("7-1")) {
		t.Error("an idle workspace went, with more free than is to stay free")
	}
}

// smallImage makes an image that has nothing but its name in it.
func (e testEngine) smallImage(t *testing.T, name string) {
	t.Helper()
	var archive bytes.Buffer
	to := tar.NewWriter(&archive)
	if err := errors.Join(to.WriteHeader(&tar.Header{Name: name, Mode: 0o644}), to.Close()); err != nil { // so that no two are the same
		t.Fatal(err)
	}
	said, err := e.client.ImageImport(t.Context(), image.ImportSource{Source: &archive, SourceName: "-"}, name, image.ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	if words, err := io.ReadAll(said); err != nil || bytes.Contains(words, []byte(`"error"`)) {
		t.Fatalf("%v: %s", err, words)
	}
}

func TestImagesThatNobodyWorksInGoTheOneUsedLongestAgoFirst(t *testing.T) {
	t.Parallel()
	e := docker(t)
	dir := nodeFolder(t)
	w := &workspaces{dir: dir, engine: &engine{client: e.client, folder: dir, image: DefaultImage}}
	name := func(key string) string { return w.engine.repositoryTag(wire.Start{Repository: 7}) + key }
	keys := []string{"first", "second", "third", "worked", "fresh" + untrustedSuffix}
	for _, key := range keys {
		e.smallImage(t, name(key))
		t.Cleanup(func() { w.engine.discard(context.Background(), name(key)) })
	}
	made, err := e.client.ContainerCreate(t.Context(), &container.Config{Image: name("worked"), Cmd: []string{"/never-run"}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = e.client.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	})
	left := func() (keys []string) {
		t.Helper()
		all, err := w.engine.environments(t.Context(), w.engine.nodeTag())
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			keys = append(keys, one.name[len(name("")):])
		}
		slices.Sort(keys)
		return keys
	}
	if _, err := w.engine.reuse(t.Context(), name("first")); err != nil { // so it is the newest now
		t.Fatal(err)
	}
	w.spareImages(t.Context(), time.Now(), never)
	w.spareImages(t.Context(), time.Now().Add(-environmentLimit), func() bool { return true })
	if got := left(); len(got) != len(keys) {
		t.Fatalf("where there is room, or all were used lately, left are %v", got)
	}
	unlock, err := w.locks.lock(t.Context(), name("second")) // an attempt is about to use it
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour)
	w.spareImages(t.Context(), soon, func() bool { return len(left()) == len(keys) })
	unlock()
	if got := left(); !slices.Equal(got, []string{"first", "fresh" + untrustedSuffix, "second", "worked"}) {
		t.Errorf("until there is room, left are %v", got)
	}
	w.spareImages(t.Context(), soon, func() bool { return true })
	if got := left(); !slices.Equal(got, []string{"fresh" + untrustedSuffix, "worked"}) {
		t.Errorf("where there is never room, left are %v", got)
	}
}

func TestAnEnvironmentThatWentForRoomIsMadeAnewByTheNextTaskAndTheServerHearsOfBoth(t *testing.T) {
	t.Parallel()
	e := docker(t)
	y := e.repository(t, map[string]string{
		".devcontainer/devcontainer.json": `{"build": {"dockerfile": "Dockerfile"}}`,
		".devcontainer/Dockerfile":        fromDefault + "RUN echo built >/marker\n",
	}, `cat /marker`)
	repository := start(y.g, "t", 1, "x").Repository
	told := func(what string, built ...int64) {
		t.Helper()
		y.g.await(what, func() bool {
			for _, b := range slices.Backward(y.g.beats) {
				if b.Held != nil {
					return slices.Equal(b.Held.Built, built)
				}
			}
			return false
		})
	}
	works := func() {
		t.Helper()
		if f := y.work().done(t); f.said != "built\n" || f.step(task.StepEnvironment) == nil {
			t.Fatalf("it said %q, and was told %q", f.said, f.notices())
		}
	}
	works()
	told("that it is built", repository)
	y.node.workspaces.spareImages(t.Context(), time.Now().Add(time.Hour), func() bool { return true })
	if got := y.images(); len(got) > 0 {
		t.Fatalf("left are %v", got)
	}
	told("that it is gone")
	works()
}

func TestABuildThatMetTheRemovalOfAnotherImageIsBegunAnewAndNoOther(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]bool{
		`unable to find image "sha256:54816430ea59b7c8d6518952b91ef15c0b7b0c34bb44b6181ce018c7c238fd82"`: true, // as Docker 20.10 says it
		"The command '/bin/sh -c exit 3' returned a non-zero code: 3":                                    false,
		`The command 'echo unable to find image "sha256:5"' returned a non-zero code: 1`:                 false,
		"pull access denied for quayside, repository does not exist or may require 'docker login'":       false,
	} {
		if metRemoval(errors.New(words)) != want {
			t.Errorf("%s: %v", words, !want)
		}
	}
}

func TestWhatAnEngineHasIsAskedAgainOnlyWhenItMayHaveChanged(t *testing.T) {
	t.Parallel()
	var b builtOnes
	asked := 0
	has := func(list ...int64) func() ([]int64, error) {
		return func() ([]int64, error) { asked++; return list, nil }
	}
	for range 3 {
		if got := b.of(has(7)); !slices.Equal(got, []int64{7}) {
			t.Errorf("it is %v", got)
		}
	}
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
	b.forget()
	if got := b.of(func() ([]int64, error) { return nil, os.ErrDeadlineExceeded }); !slices.Equal(got, []int64{7}) {
		t.Errorf("while it does not answer it is %v", got)
	}
	b.of(func() ([]int64, error) { b.forget(); return []int64{8}, nil }) // something changes while it is asked
	if got := b.of(has(9)); !slices.Equal(got, []int64{9}) {
		t.Errorf("after a change it is %v", got)
	}
}

func TestWhichRepositoryAnImageIsOf(t *testing.T) {
	t.Parallel()
	e := &engine{folder: "/a"}
	s := wire.Start{Repository: 7}
	untrusted := s
	untrusted.Untrusted = true
	for name, want := range map[string]int64{
		e.environmentTag(s, "key"): 7, e.environmentTag(untrusted, "key"): 0, e.environmentTag(s, "key") + baseSuffix: 0,
		(&engine{folder: "/b"}).environmentTag(s, "key"): 0, e.nodeTag() + "7": 0, e.nodeTag() + "x-key": 0,
	} {
		if got, ok := e.repositoryOf(name); got != want && ok || ok != (want != 0) {
			t.Errorf("%s is of %d, %v", name, got, ok)
		}
	}
}
