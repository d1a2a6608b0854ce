package forge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sam/forge"
	"sam/sandbox/github"
	"sam/sandbox/github/contract"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// world is GitHub's stand-in with the App installed on octo's hello (public) and secret (private), not on elsewhere
// (private), and a forge that speaks to it. Every exchange is checked against GitHub's own description.
type world struct {
	t       *testing.T
	hub     *github.Server
	url     string
	app     github.App
	install github.Installation
	forge   *forge.Forge
	between *between
}

// between stands between the forge and GitHub. It counts calls by method and path, answers some of them itself as
// GitHub does when it is overloaded, and can alter an answer: the stand-in has no forks and no custom roles.
type between struct {
	next http.RoundTripper

	mu     sync.Mutex
	calls  map[string]int
	refuse func(*http.Request) *http.Response // nil for what is to pass
	alter  func(path string, body []byte) []byte
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v3")
	b.mu.Lock()
	b.calls[path]++
	refuse, alter := b.refuse, b.alter
	b.mu.Unlock()
	if refuse != nil {
		if res := refuse(r); res != nil {
			res.Request = r
			return res, nil
		}
	}
	res, err := b.next.RoundTrip(r)
	if err != nil || alter == nil {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	body = alter(path, body)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, nil
}

func (b *between) count(call string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[call]
}

// total is how many calls were made.
func (b *between) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, calls := range b.calls {
		n += calls
	}
	return n
}

// answer is what refusing may return.
func answer(code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

func id(n int64) string { return strconv.FormatInt(n, 10) }

func (b *between) refusing(refuse func(*http.Request) *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = refuse
}

func (b *between) altering(alter func(path string, body []byte) []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.alter = alter
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	description, err := contract.Installed()
	w.check(err)
	w.hub, err = github.New(github.Options{Dir: t.TempDir()})
	w.check(err)
	t.Cleanup(func() { w.check(w.hub.Close()) })
	server := httptest.NewServer(description.Wrap(t, w.hub.Handler()))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.hub.SetURL(w.url)
	for _, login := range []string{"octo", "ada", "zoe"} {
		_, err := w.hub.CreateUser(login)
		w.check(err)
	}
	for _, r := range []github.RepositorySpec{{Name: "hello", Protected: []string{"release"}}, {Name: "secret", Private: true}, {Name: "elsewhere", Private: true}} {
		r.Owner, r.Files = "octo", map[string][]byte{"README.md": []byte("# Hello\n")}
		_, err := w.hub.CreateRepository(r)
		w.check(err)
	}
	w.check(w.hub.SetCollaborator("octo", "hello", "ada", "write"))
	app, err := w.hub.CreateApp(github.AppSpec{Name: "Sam", Owner: "octo",
		Permissions: map[string]string{"contents": "write", "issues": "write", "pull_requests": "write"}})
	w.check(err)
	w.install, err = w.hub.Install(app.ID, "octo", "hello", "secret")
	w.check(err)
	w.app = app
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.between = &between{next: transport, calls: map[string]int{}}
	w.connect(nil)
	return w
}

// connect makes the world's forge anew, with a pacer.
func (w *world) connect(pacer forge.Pacer) {
	w.t.Helper()
	var err error
	w.forge, err = forge.New(w.t.Context(), forge.Options{
		APIURL: w.url + "/api/v3/", WebURL: w.url + "/", AppID: w.app.ID, PrivateKey: w.app.PrivateKeyPEM, UserAgent: "sam",
		Transport: w.between, Pacer: pacer,
	})
	w.check(err)
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) project(name string) task.Project {
	w.t.Helper()
	projects, err := w.forge.Projects(w.t.Context(), w.install.ID)
	w.check(err)
	for _, p := range projects {
		if p.Name == name {
			return p
		}
	}
	w.t.Fatalf("no project %s", name)
	return task.Project{}
}

// issue opens an issue and returns what a request on it would be.
func (w *world) issue() task.Spec {
	w.t.Helper()
	i, err := w.hub.CreateIssue("octo", "octo", "hello", "Uploads are slow", "")
	w.check(err)
	return w.spec(i.Number, false)
}

func (w *world) spec(number int, onPull bool) task.Spec {
	w.t.Helper()
	c, err := w.hub.CreateComment("ada", "octo", "hello", number, "/sam make it fast")
	w.check(err)
	p := w.project("hello")
	return task.Spec{
		ID: task.NewID(p.ID, task.CommentSource(c.ID), 0), Project: p.ID, Installation: p.Installation, Account: p.Account, Repository: p.FullName(),
		Thread: task.IssueThread(p.ID, number), Number: number, OnPull: onPull, Title: "Uploads are slow", Request: "make it fast",
		Requester: "ada", Source: task.CommentSource(c.ID), Comment: c.ID, Agent: "demo", Created: c.CreatedAt, Accepted: c.CreatedAt,
	}
}

// git runs git as Ada with a token for hello and returns whether it succeeded, and what it said.
func (w *world) git(dir string, args ...string) (string, bool) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err == nil
}

// write writes a file into a working tree.
func (w *world) write(dir, name, text string) {
	w.t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	w.check(os.MkdirAll(filepath.Dir(path), 0o700))
	w.check(os.WriteFile(path, []byte(text), 0o600))
}

// remote is a repository's address with a token in it.
func (w *world) remote(repo, token string) string {
	return strings.Replace(w.forge.CloneURL("octo/"+repo), "://", "://x-access-token:"+token+"@", 1)
}

// branch pushes a new branch of hello with one commit of its own.
func (w *world) branch(name string) { w.push(name, "origin/main", "ada@example.org") }

// tip is the commit that a branch of hello points at.
func (w *world) tip(name string) string {
	w.t.Helper()
	sha, err := w.forge.Tip(w.t.Context(), w.project("hello"), name)
	w.check(err)
	if sha == task.NoCommit {
		w.t.Fatalf("no branch %s", name)
	}
	return sha
}

// push pushes one commit of somebody's to a branch of hello, from where the branch is to start.
func (w *world) push(name, from, email string) {
	w.t.Helper()
	token, err := w.forge.PushToken(w.t.Context(), w.install.ID, w.project("hello").ID)
	w.check(err)
	dir := w.t.TempDir()
	for _, args := range [][]string{
		{"clone", "--quiet", w.remote("hello", token), "."}, {"checkout", "--quiet", "-B", name, from},
		{"-c", "user.name=Somebody", "-c", "user.email=" + email, "commit", "--quiet", "--allow-empty", "-m", "Change " + name},
		{"push", "--quiet", "--force", "origin", name},
	} {
		if out, ok := w.git(dir, args...); !ok {
			w.t.Fatalf("git %v: %s", args, out)
		}
	}
}

// pull opens a pull request of hello from a new branch.
func (w *world) pull(head string) int {
	w.t.Helper()
	w.branch(head)
	p, err := w.hub.CreatePullRequest("octo", "octo", "hello", "Change "+head, "", head, "main")
	w.check(err)
	return p.Number
}

func (w *world) comments(number int) []github.Comment {
	w.t.Helper()
	all, err := w.hub.Comments("octo", "hello", number)
	w.check(err)
	return all
}

// ledger is a store of the test's own, with the projects in it.
func (w *world) ledger() *store.Store {
	w.t.Helper()
	server, err := redis.Start(w.t.Context(), w.t.TempDir())
	w.check(err)
	w.t.Cleanup(func() { w.check(server.Stop()) })
	return w.open(store.Options{Addresses: []string{server.Address}, AllowLossy: !server.Durable})
}

func (w *world) open(o store.Options) *store.Store {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), o)
	w.check(err)
	w.t.Cleanup(func() { w.check(s.Close()) })
	w.check(s.SaveProject(w.t.Context(), w.project("hello")))
	return s
}

// edit changes a JSON object in place.
func edit(t *testing.T, body []byte, change func(map[string]any)) []byte {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		t.Errorf("%s: %v", body, err)
		return body
	}
	change(object)
	changed, err := json.Marshal(object)
	if err != nil {
		t.Error(err)
	}
	return changed
}
