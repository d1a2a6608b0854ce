package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// packOf makes the pack that git would push for revisions.
func (w *gitWorld) packOf(dir string, revisions []string, options ...string) []byte {
	w.t.Helper()
	cmd := exec.Command("git", append([]string{"pack-objects", "--revs", "--stdout", "-q", "--window=50"}, options...)...)
	cmd.Dir, cmd.Env = dir, gitEnv(w.dir)
	cmd.Stdin = strings.NewReader(strings.Join(revisions, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestCommitsThatAreDeltasAreRead(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	dir := w.dir + "/seed"
	old := w.must(dir, "rev-parse", "HEAD")
	long := strings.Repeat("the same long words in each message, so that a delta pays\n", 40)
	for range 6 {
		w.must(dir, "commit", "-q", "--allow-empty", "-m", long)
	}
	w.commit(dir, "last")
	from := w.must(dir, "rev-parse", "HEAD")
	for name, options := range map[string][]string{
		"by offset": {"--thin", "--delta-base-offset"},
		"by id":     {"--thin"},
		"not thin":  {"--delta-base-offset"},
	} {
		t.Run(name, func(t *testing.T) {
			pack := w.packOf(dir, []string{from, "^" + old}, options...)
			if len(pack) > 3*len(long) {
				t.Fatalf("a pack of %d bytes has no deltas", len(pack))
			}
			found, err := packShowsAncestor(context.Background(), bytes.NewReader(pack), plumbing.NewHash(old), plumbing.NewHash(from))
			if err != nil || !found {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

func TestOnlyParentsShowAnAncestor(t *testing.T) {
	t.Parallel()
	w := newGitWorld(t)
	dir := w.dir + "/seed"
	old := w.must(dir, "rev-parse", "HEAD")
	check := func(pack []byte, from string) (bool, error) {
		return packShowsAncestor(context.Background(), bytes.NewReader(pack), plumbing.NewHash(old), plumbing.NewHash(from))
	}
	t.Run("not a message that looks like one", func(t *testing.T) {
		tree := w.must(dir, "rev-parse", "HEAD^{tree}")
		liar := w.must(dir, "commit-tree", tree, "-p", "HEAD~2", "-m", "parent "+old, "-m", "tree "+tree+"\nparent "+old)
		if found, err := check(w.packOf(dir, []string{liar, "^HEAD~2"}), liar); found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
	})
	t.Run("not another commit of the same pack", func(t *testing.T) {
		child := w.commit(dir, "child")
		w.must(dir, "checkout", "-q", "--orphan", "other")
		stranger := w.commit(dir, "stranger")
		pack := w.packOf(dir, []string{child, stranger, "^" + old})
		if found, err := check(pack, stranger); found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		if found, err := check(pack, child); !found || err != nil {
			t.Errorf("the child: %v, %v", found, err)
		}
	})
	t.Run("not a pack without the new commit", func(t *testing.T) {
		if found, err := check(w.packOf(dir, nil), old); found || err != nil {
			t.Errorf("%v, %v", found, err)
		}
	})
	t.Run("a damaged pack is an error", func(t *testing.T) {
		pack := w.packOf(dir, []string{"HEAD"})
		for _, bad := range [][]byte{nil, pack[:6], pack[:40], []byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff")} {
			if found, err := check(bad, old); found || err == nil {
				t.Errorf("%d bytes: %v, %v", len(bad), found, err)
			}
		}
	})
}

func TestADeltaThatGrowsWithoutBoundIsRefused(t *testing.T) {
	t.Parallel()
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, 4), maxCommitBytes+1)
	if _, err := applyDelta([]byte("base"), append(delta, 0x90, 4)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
}

// FuzzPackShowsAncestor: a hostile pack makes an error or a no, not a panic, and no yes without a commit that hashes to
// its name.
func FuzzPackShowsAncestor(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x10\x78\x9c\x03\x00\x00\x00\x00\x01"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x60\x01\x78\x9c\x03\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, pack []byte) {
		if found, _ := packShowsAncestor(context.Background(), bytes.NewReader(pack), plumbing.NewHash(idA), plumbing.NewHash(idB)); found {
			t.Fatal("an ancestor was made up")
		}
	})
}
