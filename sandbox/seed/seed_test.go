package seed_test

import (
	"bytes"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sam/sandbox/seed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheSeedIsInOrder(t *testing.T) {
	dir := t.TempDir()
	for name, content := range seed.Files() {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(name) != ".go" {
			continue
		}
		if formatted, err := format.Source(content); err != nil || !bytes.Equal(formatted, content) {
			t.Errorf("%s is not formatted: %v", name, err)
		}
	}
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		c := exec.Command("go", args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v\n%s", args[0], err, out)
		}
	}
}

func TestTheSeedHasWhatAPersonLooksFor(t *testing.T) {
	files := seed.Files()
	for _, name := range []string{"README.md", "LICENSE", ".gitignore", "go.mod", "main.go"} {
		if len(files[name]) == 0 {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestTheFilesAreTheCallers(t *testing.T) {
	seed.Files()["go.mod"][0] = '#'
	if got := seed.Files()["go.mod"][0]; got != 'm' {
		t.Errorf("a caller's change stayed: %c", got)
	}
}

func TestTheIssueSaysWhatItIsAbout(t *testing.T) {
	title, body := seed.Issue()
	if title != "Uploads can be flooded" || !strings.Contains(body, "/api/upload") {
		t.Errorf("got %q: %s", title, body)
	}
}
