package github_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gogithub "github.com/google/go-github/v62/github"
	"go.uber.org/goleak"

	"sam/sandbox/github"
	"sam/sandbox/github/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move by hand. It starts at the real time, because
// the clients sign with that.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// world is a GitHub with two people, an app installed on octo's repositories
// hello (public) and secret (private), and not on elsewhere (private).
type world struct {
	t     *testing.T
	hub   *github.Server
	url   string // every exchange with the API is checked against the contract
	loose string // the same GitHub, unchecked, for requests that are wrong on purpose
	app   github.App
	inst  github.Installation
	clock *clock
	dir   string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	description, err := contract.Installed()
	if err != nil {
		t.Fatalf("%v (run `make tools`)", err)
	}
	w := &world{t: t, clock: &clock{}, dir: t.TempDir()}
	w.hub, err = github.New(github.Options{Now: w.clock.now})
	w.check(err)
	t.Cleanup(func() { w.check(w.hub.Close()) })
	handler := w.hub.Handler()
	checked, loose := httptest.NewServer(description.Wrap(t, handler)), httptest.NewServer(handler)
	t.Cleanup(checked.Close)
	t.Cleanup(loose.Close)
	w.url, w.loose = checked.URL, loose.URL
	w.hub.SetURL(w.url)

	for _, login := range []string{"octo", "robin", "stranger"} {
		_, err := w.hub.CreateUser(login)
		w.check(err)
	}
	w.repository(github.RepositorySpec{Owner: "octo", Name: "hello", Files: map[string][]byte{
		"README.md": []byte("# Hello\n"), "src/main.go": []byte("package main\n"), "run.sh": []byte("#!/bin/sh\n"),
	}, Protected: []string{"main"}})
	w.repository(github.RepositorySpec{Owner: "octo", Name: "secret", Private: true, Files: map[string][]byte{"a.txt": []byte("a\n")}})
	w.repository(github.RepositorySpec{Owner: "octo", Name: "elsewhere", Private: true, Files: map[string][]byte{"b.txt": []byte("b\n")}})
	w.check(w.hub.SetCollaborator("octo", "hello", "robin", "write"))
	w.app = w.newApp("Helper App", map[string]string{
		"contents": "write", "issues": "write", "pull_requests": "write", "checks": "write",
	}, "issues", "issue_comment", "pull_request", "push")
	w.inst, err = w.hub.Install(w.app.ID, "octo", "hello", "secret")
	w.check(err)
	return w
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) repository(spec github.RepositorySpec) {
	w.t.Helper()
	_, err := w.hub.CreateRepository(spec)
	w.check(err)
}

func (w *world) newApp(name string, perms map[string]string, events ...string) github.App {
	w.t.Helper()
	a, err := w.hub.CreateApp(github.AppSpec{Name: name, Owner: "octo", Permissions: perms, Events: events})
	w.check(err)
	return a
}

func plain() *http.Transport { return &http.Transport{DisableKeepAlives: true} }

func (w *world) client(rt http.RoundTripper) *gogithub.Client {
	w.t.Helper()
	c, err := gogithub.NewClient(&http.Client{Transport: rt}).WithEnterpriseURLs(w.url, w.url)
	w.check(err)
	return c
}

// asApp is a client that signs with the app's key.
func (w *world) asApp(a github.App) *gogithub.Client {
	w.t.Helper()
	tr, err := ghinstallation.NewAppsTransport(plain(), a.ID, a.PrivateKeyPEM)
	w.check(err)
	tr.BaseURL = w.url + "/api/v3"
	return w.client(tr)
}

// asInstallation is a client with the installation's tokens.
func (w *world) asInstallation(a github.App, in github.Installation) *gogithub.Client {
	w.t.Helper()
	tr, err := ghinstallation.New(plain(), a.ID, in.ID, a.PrivateKeyPEM)
	w.check(err)
	tr.BaseURL = w.url + "/api/v3"
	return w.client(tr)
}

// asBot is a client of the world's own app on octo.
func (w *world) asBot() *gogithub.Client { w.t.Helper(); return w.asInstallation(w.app, w.inst) }

// token makes an installation's token, narrowed by what opts asks.
func (w *world) token(opts *gogithub.InstallationTokenOptions) string {
	w.t.Helper()
	got, _, err := w.asApp(w.app).Apps.CreateInstallationToken(w.t.Context(), w.inst.ID, opts)
	w.check(err)
	return got.GetToken()
}

// asUser is a client with a person's token.
func (w *world) asUser(login string) *gogithub.Client {
	w.t.Helper()
	token, err := w.hub.CreatePersonalToken(login)
	w.check(err)
	return w.client(plain()).WithAuthToken(token)
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) message() string {
	var e struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(a.body, &e)
	return e.Message
}

// ask sends one request to base+path, headers as "Name: value".
func (w *world) ask(method, target, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	w.check(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := plain().RoundTrip(req)
	w.check(err)
	defer func() { w.check(res.Body.Close()) }()
	text, err := io.ReadAll(res.Body)
	w.check(err)
	return answer{res.StatusCode, res.Header, text}
}

// api is the address of an API path on the checked server.
func (w *world) api(path string) string { return w.url + "/api/v3" + path }

// git runs git and returns what it said and whether it succeeded.
func (w *world) git(dir string, args ...string) (string, bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Robin", "GIT_AUTHOR_EMAIL=robin@users.noreply.github.com",
		"GIT_COMMITTER_NAME=Robin", "GIT_COMMITTER_EMAIL=robin@users.noreply.github.com",
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err == nil
}

func (w *world) mustGit(dir string, args ...string) string {
	w.t.Helper()
	out, ok := w.git(dir, args...)
	if !ok {
		w.t.Fatalf("git %s: %s", strings.Join(args, " "), out)
	}
	return strings.TrimSpace(out)
}

// remote is a repository's address with a token in it.
func (w *world) remote(repo, token string) string {
	u, err := url.Parse(w.url + "/octo/" + repo + ".git")
	w.check(err)
	if token != "" {
		u.User = url.UserPassword("x-access-token", token)
	}
	return u.String()
}

// clone makes a working copy with a token for pushing.
func (w *world) clone(repo, token string) string {
	w.t.Helper()
	dir, err := os.MkdirTemp(w.dir, repo)
	w.check(err)
	w.mustGit(dir, "clone", "--quiet", w.remote(repo, token), ".")
	return dir
}

// commit writes a file on the current branch and returns the commit's SHA.
func (w *world) commit(dir, path, content string) string {
	w.t.Helper()
	w.check(os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
	w.check(os.WriteFile(filepath.Join(dir, path), []byte(content), 0o600))
	w.mustGit(dir, "add", "-A")
	w.mustGit(dir, "commit", "--quiet", "-m", "Change "+path)
	return w.mustGit(dir, "rev-parse", "HEAD")
}

// branch pushes a new branch with one commit and returns the working copy and
// the commit.
func (w *world) branch(repo, name string) (dir, sha string) {
	w.t.Helper()
	dir = w.clone(repo, w.token(nil))
	w.mustGit(dir, "checkout", "--quiet", "-b", name)
	sha = w.commit(dir, strings.ReplaceAll(name, "/", "-")+".txt", "one\n")
	w.mustGit(dir, "push", "--quiet", "origin", name)
	return dir, sha
}

func ptr[T any](v T) *T { return &v }
