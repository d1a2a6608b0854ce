package app

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/sandbox/seed"
	"sam/task"
)

// theSecret is a value that stands nowhere else. Its quote has it escaped wherever it is JSON.
const theSecret = `correct "horse" battery 7391`

// project is the repository of the demo's world.
const project = seed.Owner + "/" + seed.Repository

// withKeys is a world whose server keeps secrets, and a function that runs sam beside it with some input.
func withKeys(t *testing.T, use func(t *testing.T, w *world, keys string, sam func(input string, args ...string) (string, int))) {
	t.Helper()
	keys := t.TempDir()
	if out, code := samCommand("", "keys", "new", keys); code != 0 {
		t.Fatal(out)
	}
	inWorldOf(t, worldOptions{agent: demoAgentName, keys: keys}, func(t *testing.T, w *world) {
		path := filepath.Join(t.TempDir(), "sam.yml")
		text := fmt.Sprintf("github: {app_id: 1, private_key_file: k, webhook_secret_file: s}\nredis: {address: %q, allow_lossy: true}\nkeys: {dir: %q}\n", w.redis.Address, keys)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		use(t, w, keys, func(input string, args ...string) (string, int) {
			return samCommand(input, append(args, "--config", path)...)
		})
	})
}

// samCommand runs a command and returns all that it says.
func samCommand(input string, args ...string) (string, int) {
	out := &bytes.Buffer{}
	code := Main(args, strings.NewReader(input), out, out)
	return out.String(), code
}

// push puts files on the default branch, by a pull request, for it is protected.
func (w *world) push(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	token, err := w.hub.CreatePersonalToken(maintainer)
	if err != nil {
		t.Fatal(err)
	}
	w.git(t, dir, "clone", "--quiet", strings.Replace(w.cloneURL(), "://", "://"+maintainer+":"+token+"@", 1), ".")
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.git(t, dir, "add", "--all")
	w.git(t, dir, "-c", "user.name=ada", "-c", "user.email=ada@example.com", "commit", "--quiet", "-m", "Set up")
	branch := fmt.Sprint("set-up-", time.Now().UnixNano())
	w.git(t, dir, "push", "--quiet", "origin", "HEAD:refs/heads/"+branch)
	pull, err := w.hub.CreatePullRequest(maintainer, seed.Owner, seed.Repository, "Set up", "", branch, "main")
	if err == nil {
		err = w.hub.MergePullRequest(maintainer, seed.Owner, seed.Repository, pull.Number)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// waits waits until the task of an issue's newest request waits in placing with the words.
func (w *world) waits(t *testing.T, number int, words string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := until(ctx, func() (bool, error) { return len(w.comments(t, number, words)) > 0, nil }); err != nil {
		t.Fatalf("no comment says %q: %v\n%+v", words, err, w.comments(t, number))
	}
}

func TestASecretReachesTheAgentAndNothingThatIsKept(t *testing.T) {
	withKeys(t, func(t *testing.T, w *world, _ string, sam func(string, ...string) (string, int)) {
		if out, code := sam(theSecret+"\n", "secret", "set", project, "API_TOKEN"); code != 0 || strings.Contains(out, "horse") {
			t.Fatal(code, out)
		}
		w.push(t, map[string]string{
			".github/sam.yml": "environment: [API_TOKEN]\n",
			// What the agent runs prints the secret in three ways, and fails, so that it is in the reason too.
			"leak_test.go": "package main\n\nimport (\n\t\"encoding/base64\"\n\t\"os\"\n\t\"testing\"\n)\n\n" +
				"func TestLeak(t *testing.T) {\n\tv := os.Getenv(\"API_TOKEN\")\n\tt.Fatalf(\"%d bytes: %s %q %s\", len(v), v, v, base64.StdEncoding.EncodeToString([]byte(v)))\n}\n",
		})
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		ended := w.ends(t, 1)[0]
		if ended.State != task.Failed || !strings.Contains(ended.Failure, fmt.Sprintf("%d bytes: «API_TOKEN»", len(theSecret))) {
			t.Errorf("it ended as %s: %s", ended.State, ended.Failure)
		}
		if told := w.comments(t, 1, "«API_TOKEN»"); len(told) == 0 {
			t.Error("no comment tells what the tests printed")
		}
		if told := w.comments(t, 1, "horse"); len(told) != 0 {
			t.Errorf("a comment shows it: %s", told[0].Body)
		}
		found := 0
		for _, one := range w.events(t, ended.ID) {
			if one.Tool != nil && strings.Contains(one.Tool.Output, "«API_TOKEN»") {
				found++
			}
		}
		if found == 0 {
			t.Error("no event tells what the tests printed")
		}
		nowhere(t, w.dir, "horse", "aG9yc2")
	})
}

// nowhere checks that no file under a folder holds one of the texts: Redis's log of all that was ever written is there, the
// node's folder, and the repositories.
func nowhere(t *testing.T, dir string, texts ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s holds %s", path, text)
			}
		}
		return err
	})
	if err != nil || files < 20 {
		t.Errorf("looked into %d files: %v", files, err)
	}
}

func TestABadProjectFileHoldsTheTaskWithItsLineUntilItIsMended(t *testing.T) {
	withKeys(t, func(t *testing.T, w *world, _ string, sam func(string, ...string) (string, int)) {
		w.push(t, map[string]string{".github/sam.yml": "network: brokers\nenvironments: [API_TOKEN]\n"})
		w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
		w.waits(t, 1, "line 2, column 1: `environments` is no key")
		if out, code := sam(theSecret, "secret", "set", project, "API_TOKEN"); code != 0 {
			t.Fatal(out)
		}
		w.push(t, map[string]string{".github/sam.yml": "network: brokers\nenvironment: [API_TOKEN]\n"})
		if ended := w.ends(t, 1)[0]; ended.State != task.Succeeded || ended.Settings.Network != "brokers" {
			t.Errorf("it ended as %s: %s", ended.State, ended.Failure)
		}
	})
}

func TestTheOperatorSetsListsAndRemovesSecretsAndChangesTheirKey(t *testing.T) {
	withKeys(t, func(t *testing.T, _ *world, keys string, sam func(string, ...string) (string, int)) {
		says := func(want int, words, input string, args ...string) {
			t.Helper()
			out, code := sam(input, args...)
			if code != want || !strings.Contains(out, words) || strings.Contains(out, "horse") {
				t.Errorf("%v: exit %d\n%s", args, code, out)
			}
		}
		says(0, "API_TOKEN of "+project+" is set", theSecret, "secret", "set", strings.ToUpper(project), "API_TOKEN")
		says(0, "OTHER of", theSecret, "secret", "set", project, "OTHER")
		says(1, "`PATH` is reserved", theSecret, "secret", "set", project, "PATH")
		says(1, "needs 8", "horse", "secret", "set", project, "SHORT")
		says(1, "not installed", theSecret, "secret", "set", "nobody/nothing", "API_TOKEN")
		says(1, "accepts 2 arg(s)", "", "secret", "set", project, "API_TOKEN", theSecret+"x")
		says(0, "API_TOKEN  2", "", "secret", "list", project)
		says(1, "has no secret GONE", "", "secret", "remove", project, "GONE")

		old, err := filepath.Glob(filepath.Join(keys, "*.key"))
		if err != nil || len(old) != 1 {
			t.Fatal(old, err)
		}
		another := func() {
			t.Helper()
			if out, code := samCommand("", "keys", "new", keys); code != 0 || !strings.Contains(out, "Wrote key") {
				t.Fatal(out)
			}
		}
		another()
		says(0, "2 of 2 secrets were sealed anew", "", "keys", "rotate")
		says(0, "0 of 2 secrets were sealed anew", "", "keys", "rotate")
		if err := os.Remove(old[0]); err != nil {
			t.Fatal(err)
		}
		says(0, "API_TOKEN  2", "", "secret", "list", project)
		if out, _ := sam("", "secret", "list", project); strings.Contains(out, "cannot be opened") {
			t.Errorf("without the old key:\n%s", out)
		}
		says(0, "OTHER of "+project+" is removed", "", "secret", "remove", project, "OTHER")
		// The key that is left goes too, and another comes: what it sealed is named, and kept.
		left, err := filepath.Glob(filepath.Join(keys, "*.key"))
		if err != nil || len(left) != 1 {
			t.Fatal(left, err)
		}
		if err := os.Rename(left[0], left[0]+".away"); err != nil {
			t.Fatal(err)
		}
		another()
		says(1, "2 secrets are left as they were", "", "keys", "rotate")
		says(0, "cannot be opened", "", "secret", "list", project)
		if err := os.Rename(left[0]+".away", left[0]); err != nil {
			t.Fatal(err)
		}
		says(0, "2 of 2 secrets", "", "keys", "rotate")
	})
}
