package agent

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// madeOf makes an object in a repository, and returns its name.
func madeOf(t *testing.T, repository, kind string, content []byte) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "git", "-c", "core.compression=1", "hash-object", "-t", kind, "-w", "--stdin")
	c.Dir, c.Stdin = repository, bytes.NewReader(content)
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// inTree is an entry of a tree, as git has it in its objects.
func inTree(t *testing.T, mode, name, object string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(object)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(mode+" "+name+"\x00"), raw...)
}

// Git says nothing of an empty folder, and would walk ten milliards of them in silence.
func TestATreeOfEndlessEmptyFoldersIsRefusedBeforeItIsCheckedOut(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := pull(t, g, map[string]string{"x": "x"}, map[string]string{"x": "x"})
	folder := madeOf(t, u.dir, "tree", nil)
	for range 10 {
		var entries []byte
		for i := range 10 {
			entries = append(entries, inTree(t, "40000", fmt.Sprint("d", i), folder)...)
		}
		folder = madeOf(t, u.dir, "tree", entries)
	}
	gitIn(t, u.dir, "update-ref", "refs/heads/fix", gitIn(t, u.dir, "commit-tree", "-m", "bomb", folder))
	s := start(g, "tbomb", 1, "mend it")
	s.Branch = "fix"
	m, _ := testRooms(t, t.TempDir())
	ctx, cancel := context.WithTimeoutCause(t.Context(), listWithin/2, errors.New("it is still counted"))
	defer cancel()
	_, err := m.fetch(ctx, s, fetchToken)
	var given gaveUpError
	if !errors.As(err, &given) || !strings.Contains(given.Error(), "files and folders") {
		t.Errorf("got %v", err)
	}
}

// Each folder is large and lies within the next, before all else in it: git has to hold them all to say the first word.
func TestATreeThatTakesTooMuchMemoryToListIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gitIn(t, dir, "init", "--quiet", "--bare", "--template=", "bomb")
	bomb := filepath.Join(dir, "bomb")
	blob := madeOf(t, bomb, "blob", nil)
	var files []byte
	for i := range 50_000 { // which take 2 MB
		files = append(files, inTree(t, "100644", fmt.Sprintf("f%010d", i), blob)...)
	}
	folder := madeOf(t, bomb, "tree", files)
	for range 15 {
		folder = madeOf(t, bomb, "tree", append(inTree(t, "40000", "d", folder), files...))
	}
	commit := gitIn(t, bomb, "commit-tree", "-m", "bomb", folder)
	list := func(memory int) error {
		return git{home: dir, memory: memory}.files(t.Context(), bomb, commit, func(string, file) error { return nil })
	}
	if err := list(16 << 20); !errors.Is(err, errTooManyFiles) {
		t.Errorf("in 16 MB: %v", err)
	}
	if err := list(0); err != nil {
		t.Errorf("in memory enough: %v", err)
	}
}

func TestWhatPathsTakeTogetherIsBounded(t *testing.T) {
	t.Parallel()
	l := &listing{each: func(entry) error { return nil }}
	line := []byte("100644 blob 0123456789012345678901234567890123456789\t" + strings.Repeat("x", maxTreePath) + "\x00")
	for range maxTreePaths / maxTreePath {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Write(line); !errors.Is(err, errTooManyFiles) {
		t.Errorf("got %v", err)
	}
}

func TestACountThatTakesTooLongEndsAsTooManyFiles(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	limited, cancel := context.WithDeadlineCause(t.Context(), time.Now(), fmt.Errorf("%w: it took too long", errTooManyFiles))
	defer cancel()
	err := git{home: t.TempDir()}.files(limited, u.dir, "main", func(string, file) error { return nil })
	var given gaveUpError
	if !errors.As((&mirrors{}).surveyed(err, start(g, "t", 1, "x")), &given) {
		t.Errorf("got %v", err)
	}
}

// A megabyte that is named a hundred times over is a hundred once it is checked out.
func TestABranchWhoseFilesTakeMoreThanAWorkspaceMayIsRefusedBeforeItIsCheckedOut(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := pull(t, g, map[string]string{"x": "x"}, map[string]string{"x": "x"})
	blob := madeOf(t, u.dir, "blob", make([]byte, 1<<20))
	var entries []byte
	for i := range 100 {
		entries = append(entries, inTree(t, "100644", fmt.Sprintf("f%02d", i), blob)...)
	}
	commit := gitIn(t, u.dir, "commit-tree", "-m", "large", madeOf(t, u.dir, "tree", entries))
	gitIn(t, u.dir, "update-ref", "refs/heads/fix", commit)
	for _, rewrite := range []bool{false, true} {
		s := start(g, "tlarge", 1, "mend it")
		s.Branch, s.Rewrite = "fix", rewrite
		m, _ := testRooms(t, t.TempDir())
		m.largest = 99 << 20
		_, err := m.fetch(t.Context(), s, fetchToken)
		var given gaveUpError
		if !errors.As(err, &given) || !strings.Contains(given.Error(), "take more than 99 MiB") {
			t.Errorf("rewrite %v: got %v", rewrite, err)
		}
		m.largest = 101 << 20
		from, err := m.fetch(t.Context(), s, fetchToken)
		if err != nil {
			t.Fatalf("with room, rewrite %v: %v", rewrite, err)
		}
		from.giveBack()
	}
}

func TestARepositoryThatTakesTooMuchMemoryToFetchIsRefusedAndItsMirrorStays(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := pull(t, g, map[string]string{"x": "x"}, map[string]string{"x": "x"})
	s := start(g, "tlarge", 1, "mend it")
	s.Branch = "fix"
	m, _ := testRooms(t, t.TempDir())
	from, err := m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatal(err)
	}
	from.giveBack()
	was, err := os.Stat(filepath.Join(from.mirror, "config"))
	if err != nil {
		t.Fatal(err)
	}
	folder := madeOf(t, u.dir, "tree", inTree(t, "100644", "large", madeOf(t, u.dir, "blob", make([]byte, 60<<20))))
	gitIn(t, u.dir, "update-ref", "refs/heads/fix", gitIn(t, u.dir, "commit-tree", "-m", "large", folder))
	m.git.memory = 40 << 20
	_, err = m.fetch(t.Context(), s, fetchToken)
	var given gaveUpError
	if !errors.As(err, &given) || !strings.Contains(given.Error(), "cannot take in") {
		t.Errorf("in 40 MB: %v", err)
	}
	if is, err := os.Stat(filepath.Join(from.mirror, "config")); err != nil || !os.SameFile(was, is) {
		t.Errorf("the mirror was taken for damaged: %v", err)
	}
	m.git.memory = 0
	from, err = m.fetch(t.Context(), s, fetchToken)
	if err != nil {
		t.Fatalf("in memory enough: %v", err)
	}
	from.giveBack()
}
