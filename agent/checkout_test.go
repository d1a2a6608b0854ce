package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// Whoever owns a file, and which inode it has, is not what git is to take for a change: it would read the whole tree again.
func TestAnotherOwnerOfAFreshTreeIsNoChangeToGit(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	pull(t, g, map[string]string{"x": "x"}, map[string]string{"x": "x", "d/y": "y"})
	tree, _ := checkedOut(t, g, t.TempDir())
	for _, name := range []string{"x", "d/y"} {
		path := filepath.Join(tree, name)
		was, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path+".new", was.Mode()); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path+".new", was.ModTime(), was.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if changed := gitIn(t, tree, "diff-files", "--name-only"); changed != "" { // which reads no file
		t.Errorf("git takes %q for changed", changed)
	}
	if err := os.WriteFile(filepath.Join(tree, "x"), []byte("else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed := gitIn(t, tree, "diff-files", "--name-only"); changed != "x" {
		t.Errorf("x is changed, and git says %q", changed)
	}
}
