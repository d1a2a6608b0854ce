package forge_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sam/task"
)

const samFile = ".github/sam.yml"

// commit puts a file on a branch of hello; one that is nil is removed, and a target is what it links to.
func (w *world) commit(branch, name string, text *string, target string) {
	w.t.Helper()
	token, err := w.forge.PushToken(w.t.Context(), w.install.ID, w.project("hello").ID)
	w.check(err)
	dir := w.t.TempDir()
	run := func(args ...string) {
		w.t.Helper()
		if out, ok := w.git(dir, args...); !ok {
			w.t.Fatalf("git %v: %s", args, out)
		}
	}
	run("clone", "--quiet", w.remote("hello", token), ".")
	run("checkout", "--quiet", "-B", branch)
	path := filepath.Join(dir, filepath.FromSlash(name))
	w.check(os.RemoveAll(path))
	switch {
	case target != "":
		w.check(os.MkdirAll(filepath.Dir(path), 0o700))
		w.check(os.Symlink(target, path))
	case text != nil:
		w.write(dir, name, *text)
	}
	run("add", "--all")
	run("commit", "--quiet", "-m", "Change "+name)
	run("push", "--quiet", "--force", "origin", branch)
}

func (w *world) samFile() (string, error) {
	data, err := w.forge.ProjectFile(w.t.Context(), w.project("hello"), samFile, 64<<10)
	return string(data), err
}

func TestAProjectsFileIsThatOfItsDefaultBranch(t *testing.T) {
	w := newWorld(t)
	data, err := w.forge.ProjectFile(t.Context(), w.project("hello"), samFile, 64<<10)
	if err != nil || data != nil {
		t.Fatalf("where there is none: %q, %v", data, err)
	}
	mine, theirs := "network: brokers\n# 山\n", "network: open\n"
	w.commit("main", samFile, &mine, "")
	w.commit("attack", samFile, &theirs, "")
	if got, err := w.samFile(); err != nil || got != mine {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAProjectsFileIsReadAgainOnlyWhenItHasChanged(t *testing.T) {
	w := newWorld(t)
	text := "agent: demo\n"
	w.commit("main", samFile, &text, "")
	whole := 0
	w.between.altering(func(path string, body []byte) []byte {
		if strings.HasSuffix(path, samFile) && len(body) > 0 {
			whole++
		}
		return body
	})
	for range 3 {
		if got, err := w.samFile(); err != nil || got != text {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if whole != 1 {
		t.Errorf("it was sent %d times", whole)
	}
	text = "agent: claude\n"
	w.commit("main", samFile, &text, "")
	if got, err := w.samFile(); err != nil || got != text || whole != 2 {
		t.Errorf("when it has changed: %q, %v, sent %d times", got, err, whole)
	}
	w.commit("main", samFile, nil, "")
	if got, err := w.samFile(); err != nil || got != "" {
		t.Errorf("when it is gone: %q, %v", got, err)
	}
}

func TestWhatIsNoFileOrTooLargeIsTheProjectsToMend(t *testing.T) {
	large := strings.Repeat("# a line\n", 10_000)
	readme := "x"
	for name, one := range map[string]struct {
		path   string
		text   *string
		target string
		words  string
	}{
		"too large":        {samFile, &large, "", "90000 bytes and may have 65536"},
		"a folder":         {samFile + "/README.md", &readme, "", "not a file"},
		"a link elsewhere": {samFile, nil, "/etc/passwd", "not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.commit("main", one.path, one.text, one.target)
			_, err := w.samFile()
			var bad task.SettingsError
			if !errors.As(err, &bad) || !strings.Contains(bad.Reason, one.words) || !strings.Contains(bad.Reason, samFile) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAFileThatGitHubDoesNotTellIsNotTakenForNone(t *testing.T) {
	w := newWorld(t)
	text := "network: brokers\n"
	w.commit("main", samFile, &text, "")
	for _, code := range []int{http.StatusBadGateway, http.StatusForbidden, http.StatusTooManyRequests} {
		w.between.refusing(func(r *http.Request) *http.Response {
			if strings.HasSuffix(r.URL.Path, samFile) {
				return answer(code, `{"message":"no"}`)
			}
			return nil
		})
		got, err := w.samFile()
		if err == nil || errors.As(err, new(task.SettingsError)) {
			t.Errorf("%d: %q, %v", code, got, err)
		}
	}
}
