package demo_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"sam/agent/demo"
	"sam/sandbox/seed"
)

// asAgent makes this test binary the demo agent.
const asAgent = "SAM_TEST_AS_DEMO_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		os.Exit(demo.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// said is one line of the agent.
type said struct {
	Type, Text, Tool, Title, At, Output, Diff, Verdict, Headline, Summary, Reason string
	Exit                                                                          *int
}

// repository is the seed, committed to main, with sam/1 checked out.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T, files map[string][]byte) *repository {
	t.Helper()
	r := &repository{t, t.TempDir()}
	for name, content := range files {
		path := filepath.Join(r.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.run("git", "init", "--quiet", "--initial-branch=main")
	r.run("git", "add", ".")
	r.run("git", "commit", "--quiet", "--allow-empty", "--message=seed")
	r.run("git", "checkout", "--quiet", "-b", "sam/1")
	return r
}

func (r *repository) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = r.dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	return c
}

func (r *repository) run(name string, args ...string) string {
	r.t.Helper()
	out, err := r.command(name, args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// start starts the agent with a request.
func (r *repository) start(request, prompt string) (*exec.Cmd, io.Reader) {
	r.t.Helper()
	executable, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	input, err := json.Marshal(map[string]string{"request": request, "prompt": prompt})
	if err != nil {
		r.t.Fatal(err)
	}
	c := r.command(executable)
	c.Env = append(c.Env, asAgent+"=1")
	c.Stdin = bytes.NewReader(input)
	out, err := c.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	return c, out
}

// ask runs the agent to its end and returns what it said.
func (r *repository) ask(request, prompt string) ([]said, error) {
	r.t.Helper()
	c, out := r.start(request, prompt)
	var all []said
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one said
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			r.t.Fatalf("%v: %s", err, lines.Text())
		}
		all = append(all, one)
	}
	return all, c.Wait()
}

// end asks and returns the last line, which must be an end.
func (r *repository) end(request, prompt string) said {
	r.t.Helper()
	all, err := r.ask(request, prompt)
	if err != nil || len(all) == 0 || all[len(all)-1].Type != "end" {
		r.t.Fatalf("ended with %v after %+v", err, all)
	}
	return all[len(all)-1]
}

func (r *repository) healthy() {
	r.t.Helper()
	if out := r.run("gofmt", "-l", "."); out != "" {
		r.t.Errorf("not formatted: %s", out)
	}
	r.run("go", "vet", "./...")
	r.run("go", "test", "./...")
}

func TestARecipeChangesTheRepositoryAndItsTestsPass(t *testing.T) {
	for _, recipe := range []struct {
		request, prompt string
		files           string // name-status against main
		wired           string
		verify          string // a test added to the repository after the recipe
	}{
		{
			request: "Add rate limiting to /api/upload.",
			files:   "M\thandler.go\nA\tratelimit.go\nA\tratelimit_test.go\n",
			wired:   `mux.Handle("POST /api/upload", limitRate(http.HandlerFunc(h.upload)))`,
			verify: `
func TestVerify(t *testing.T) {
	h := testHandler()
	for range rateBurst {
		if w := serve(h, upload(t, "a", nil)); w.Code != http.StatusCreated { t.Fatal(w.Code) }
	}
	if w := serve(h, upload(t, "a", nil)); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" { t.Fatal(w.Code, w.Header()) }
	for range 2*rateBurst {
		if w := serve(h, httptest.NewRequest("GET", "/api/files", nil)); w.Code != http.StatusOK { t.Fatal(w.Code) }
	}
}`,
		},
		{
			request: "add a health check",
			files:   "M\thandler.go\nA\thealth.go\nA\thealth_test.go\n",
			wired:   `mux.HandleFunc("GET /healthz", healthz)`,
			verify: `
func TestVerify(t *testing.T) {
	if w := serve(testHandler(), httptest.NewRequest("GET", "/healthz", nil)); w.Code != http.StatusOK || w.Body.String() != "ok\n" { t.Fatal(w.Code) }
}`,
		},
		{
			request: "please log every request",
			files:   "M\thandler.go\nA\tlogging.go\nA\tlogging_test.go\n",
			wired:   "return logRequests(mux)",
		},
		{
			request: "fix this", prompt: "Issue: Uploads can be flooded\n\nRate limiting on `/api/upload`, see docs/limits.md.",
			files: "M\thandler.go\nA\tratelimit.go\nA\tratelimit_test.go\n",
			wired: "limitRate(http.HandlerFunc(h.upload))",
		},
	} {
		t.Run(recipe.request, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, seed.Files())
			all, err := r.ask(recipe.request, recipe.prompt)
			if err != nil {
				t.Fatal(err)
			}
			end := all[len(all)-1]
			if end.Verdict != "done" || end.Headline == "" {
				t.Fatalf("ended with %+v", end)
			}
			for row := range strings.Lines(recipe.files) {
				if name := strings.TrimSpace(row[2:]); !strings.Contains(end.Summary, "`"+name+"`") {
					t.Errorf("the summary does not name %s:\n%s", name, end.Summary)
				}
			}
			if got := r.run("git", "diff", "--name-status", "main", "HEAD"); got != recipe.files {
				t.Errorf("changed\n%s, want\n%s", got, recipe.files)
			}
			if got := r.run("git", "status", "--porcelain"); got != "" {
				t.Errorf("left behind: %s", got)
			}
			if got := r.run("git", "log", "-1", "--format=%s"); strings.TrimSpace(got) != end.Headline {
				t.Errorf("committed as %q, said %q", got, end.Headline)
			}
			if got := r.run("git", "show", "HEAD:handler.go"); !strings.Contains(got, recipe.wired) {
				t.Errorf("%s is not in\n%s", recipe.wired, got)
			}
			toldDiffsAre(t, r, all)
			if recipe.verify != "" {
				path := filepath.Join(r.dir, "verify_test.go")
				imports := "package main\n\nimport (\n\t\"net/http\"\n\t\"net/http/httptest\"\n\t\"testing\"\n)\n\nvar _ = httptest.NewRecorder\nvar _ = http.StatusOK\n"
				if err := os.WriteFile(path, []byte(imports+recipe.verify), 0o644); err != nil {
					t.Fatal(err)
				}
				r.run("go", "test", "./...")
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
			r.healthy()

			again := r.end(recipe.request, recipe.prompt)
			if again.Verdict != "cannot" || !strings.Contains(again.Reason, "already there") {
				t.Errorf("asked again it ended with %+v", again)
			}
		})
	}
}

// toldDiffsAre checks that the diffs that the agent showed are together what it committed: they apply to main, and give HEAD.
func toldDiffsAre(t *testing.T, r *repository, all []said) {
	t.Helper()
	var told strings.Builder
	for _, one := range all {
		told.WriteString(one.Diff)
	}
	r.run("git", "checkout", "--quiet", "main")
	apply := r.command("git", "apply", "--index", "-")
	apply.Stdin = strings.NewReader(told.String())
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("the diffs do not apply: %v\n%s\n%s", err, out, told.String())
	}
	if got := r.run("git", "diff", "--cached", "sam/1"); got != "" {
		t.Errorf("the diffs are not what was committed:\n%s", got)
	}
	r.run("git", "reset", "--quiet", "--hard")
	r.run("git", "checkout", "--quiet", "sam/1")
}

func TestAllRecipesWorkOnOneRepository(t *testing.T) {
	t.Parallel()
	r := newRepository(t, seed.Files())
	for _, request := range []string{
		"rate limit POST /api/upload", "add request logging", "add a health endpoint", "throttle /api/files",
	} {
		if end := r.end(request, ""); end.Verdict != "done" {
			t.Fatalf("%s: %+v", request, end)
		}
	}
	r.healthy()
	if got := r.run("git", "show", "--name-only", "--format=", "HEAD"); got != "handler.go\n" {
		t.Errorf("limiting a second path changed %s", got)
	}
}

func TestARequestThatCannotBeDoneIsRefusedWithWhatWouldHelp(t *testing.T) {
	t.Parallel()
	service := seed.Files()
	with := func(name, content string) map[string][]byte {
		files := seed.Files()
		files[name] = []byte(content)
		return files
	}
	for _, row := range []struct {
		name    string
		files   map[string][]byte
		request string
		want    []string
	}{
		{"no recipe", service, "write me a poem", []string{"The demo agent knows 3 recipes:", "it has no model. Use a real agent"}},
		{"a poem about logs", service, "write a poem about a dialog", []string{"3 recipes"}},
		{"no such path", service, "add rate limiting to /api/nowhere", []string{"no route `/api/nowhere`", "`POST /api/upload`"}},
		{"no path", service, "add rate limiting", []string{"Which path", "`POST /api/upload`"}},
		{"no Go", map[string][]byte{"README.md": []byte("hello\n")}, "add a health check", []string{"no go.mod"}},
		{"an old Go", with("go.mod", "module quayside\n\ngo 1.21\n"), "add a health check", []string{"Go 1.21"}},
		{"no routes", map[string][]byte{"go.mod": []byte("module x\n\ngo 1.22\n"), "x.go": []byte("package x\n")}, "add a health check", []string{"no routes"}},
		{"broken code", with("broken.go", "package main\nfunc {"), "add a health check", []string{"does not parse"}},
		{"a taken name", with("taken.go", "package main\n\nfunc healthz() {}\n"), "add a health check", []string{"taken.go", "healthz"}},
		{"a taken file", with("ratelimit.go", "package main\n"), "add rate limiting to /api/upload", []string{"ratelimit.go"}},
		{"failing tests", with("red_test.go", "package main\n\nimport \"testing\"\n\nfunc TestRed(t *testing.T) { t.Fatal(\"red\") }\n"),
			"add a health check", []string{"go test", "TestRed"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, row.files)
			end := r.end(row.request, "Issue: rate limiting on /api/upload")
			if end.Verdict != "cannot" {
				t.Fatalf("ended with %+v", end)
			}
			for _, want := range row.want {
				if !strings.Contains(end.Reason, want) {
					t.Errorf("%q is not in %q", want, end.Reason)
				}
			}
			if got := r.run("git", "rev-list", "--count", "main..HEAD"); got != "0\n" {
				t.Errorf("it committed %s", got)
			}
		})
	}
}

func TestItDiesOnRequest(t *testing.T) {
	t.Parallel()
	r := newRepository(t, seed.Files())
	all, err := r.ask("demo: die", "")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.String() != "signal: killed" {
		t.Fatalf("it ended with %v", err)
	}
	if len(all) == 0 || all[0].Type != "say" || all[len(all)-1].Type == "end" {
		t.Errorf("it said %+v", all)
	}
	if got := r.run("git", "status", "--porcelain"); got != "?? UNFINISHED.md\n" {
		t.Errorf("it left %q", got)
	}
}

func TestItPretendsOnRequest(t *testing.T) {
	t.Parallel()
	r := newRepository(t, seed.Files())
	if end := r.end("demo: pretend", ""); end.Verdict != "done" {
		t.Errorf("ended with %+v", end)
	}
	if got := r.run("git", "rev-parse", "HEAD", "main"); got[:40] != got[41:81] {
		t.Errorf("it committed: %s", got)
	}
}

func TestItPushesToMainOnRequestAndShowsWhatItWasTold(t *testing.T) {
	t.Parallel()
	upstream := newRepository(t, seed.Files())
	upstream.run("git", "checkout", "--quiet", "main") // git refuses to update what is checked out
	r := newRepository(t, seed.Files())
	r.run("git", "remote", "add", "origin", upstream.dir)
	before := r.run("git", "rev-parse", "HEAD")
	end := r.end("demo: push main", "")
	if end.Verdict != "cannot" || !strings.Contains(end.Reason, "refus") && !strings.Contains(end.Reason, "reject") {
		t.Errorf("ended with %+v", end)
	}
	if after := r.run("git", "rev-parse", "HEAD"); after != before {
		t.Error("its try stayed behind")
	}
}

func TestItWaitsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	r := newRepository(t, seed.Files())
	c, out := r.start("demo: wait", "")
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it said nothing")
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if !strings.Contains(last, `"verdict":"cannot"`) {
		t.Errorf("its last line is %s", last)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

func TestItIsToldApartFromACommandForPeople(t *testing.T) {
	for _, row := range []struct {
		name  string
		args  []string
		stdin string
		want  string
	}{
		{"arguments", []string{"--help"}, "", "comes on stdin"},
		{"no JSON", nil, "add a health check", "read the request"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out, words bytes.Buffer
			if code := demo.Main(row.args, strings.NewReader(row.stdin), &out, &words); code != 2 {
				t.Errorf("exit code %d", code)
			}
			if out.Len() > 0 || !strings.Contains(words.String(), row.want) {
				t.Errorf("it said %q and %q", out.String(), words.String())
			}
		})
	}
}
