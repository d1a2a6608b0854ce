package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

const (
	pushTokenValue      = "ghs_pushPUSHpushPUSH0123456789"
	fetchTokenValue     = "ghs_fetchFETCHfetch0123456789"
	workflowsTokenValue = "ghs_workflowsWORKFLOWS0123456789"
	listedTokenValue    = "ghs_listedLISTED0123456789"
	taskSecret          = "task-one-secret"
	samBranch           = "refs/heads/sam/fix-1"
)

// gitWorld is a real upstream (git http-backend), a broker before it, and the record of what the broker did.
type gitWorld struct {
	t        *testing.T
	dir      string
	bare     string // the upstream repository
	upstream *httptest.Server
	broker   *httptest.Server
	git      *Git
	log      *safeBuffer
	said     *safeBuffer // everything that git printed

	mu        sync.Mutex
	grant     Grant
	pushes    []Push
	beginErr  error
	recordErr error
	tokenErr  error
	guardErr  error
	guarded   string
	forgotten []string        // tokens that the broker was told to forget
	requests  []*http.Request // that upstream got, without their bodies
	intercept http.HandlerFunc
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newGitWorld(t *testing.T, limits ...GitLimits) *gitWorld {
	t.Helper()
	dir := t.TempDir()
	w := &gitWorld{t: t, dir: dir, bare: filepath.Join(dir, "upstream", "o", "r.git"), log: &safeBuffer{}, said: &safeBuffer{}}
	w.must("", "init", "-q", "--bare", "-b", "main", w.bare)
	w.must(w.bare, "config", "http.receivepack", "true")
	seed := filepath.Join(dir, "seed")
	w.must("", "init", "-q", "-b", "main", seed)
	for _, name := range []string{"one", "two", "three"} {
		w.commit(seed, name)
	}
	w.must(seed, "push", "-q", w.bare, "main")

	w.upstream = httptest.NewServer(http.HandlerFunc(w.serveUpstream))
	t.Cleanup(w.upstream.Close)
	w.grant = Grant{Task: "t1", Epoch: 3, CloneURL: w.upstream.URL + "/o/r.git", Branch: samBranch, RepositoryID: 7, Installation: 9, Rewrite: true}

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.git = NewGit(w, w, w, &http.Client{Transport: transport})
	w.git.SpoolDir = t.TempDir()
	for _, l := range limits {
		w.git.Limits = l
	}
	logger := zerolog.New(w.log)
	handler := w.git.Handler()
	w.broker = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(rw, r.WithContext(logger.WithContext(r.Context())))
	}))
	w.broker.Start()
	t.Cleanup(w.broker.Close)
	t.Cleanup(func() {
		for _, token := range []string{pushTokenValue, fetchTokenValue, listedTokenValue} {
			if strings.Contains(w.log.String(), token) || strings.Contains(w.said.String(), token) {
				t.Errorf("a token leaked")
			}
		}
		if left, _ := os.ReadDir(w.git.SpoolDir); len(left) > 0 {
			t.Errorf("%d spool files are left", len(left))
		}
	})
	return w
}

// serveUpstream is a host that wants a token with the right scope, as GitHub does, before it lets git's own server answer.
func (w *gitWorld) serveUpstream(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.requests = append(w.requests, r.Clone(context.WithoutCancel(r.Context())))
	intercept := w.intercept
	w.mu.Unlock()
	if intercept != nil {
		intercept(rw, r)
		return
	}
	w.serveGit(rw, r)
}

func (w *gitWorld) serveGit(rw http.ResponseWriter, r *http.Request) {
	_, token, _ := r.BasicAuth()
	pushing := strings.HasSuffix(r.URL.Path, receivePackService) || r.URL.Query().Get("service") == receivePackService
	allowed := token == pushTokenValue || token == fetchTokenValue && !pushing
	if !strings.HasPrefix(r.URL.Path, "/o/r.git/") { // a listed repository's own token reads it, and nothing else does
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
		allowed = token == listedTokenValue+name && !pushing
	}
	if !allowed {
		rw.Header().Set("WWW-Authenticate", `Basic realm="upstream"`)
		http.Error(rw, "bad token "+token, http.StatusUnauthorized)
		return
	}
	// CGI wants to know the length beforehand.
	f, err := os.CreateTemp(w.dir, "body")
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	n, err := io.Copy(f, r.Body)
	if err != nil {
		http.Error(rw, "broken body", http.StatusBadRequest)
		return
	}
	_, _ = f.Seek(0, io.SeekStart)
	r.Body, r.ContentLength, r.TransferEncoding = f, n, nil
	(&cgi.Handler{
		Path:   "/usr/lib/git-core/git-http-backend",
		Root:   "/",
		Env:    append(gitEnv(w.dir), "GIT_PROJECT_ROOT="+filepath.Join(w.dir, "upstream"), "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: io.Discard,
	}).ServeHTTP(rw, r)
}

func (w *gitWorld) Authorize(r *http.Request, task string) (Grant, error) {
	_, secret, _ := r.BasicAuth()
	if secret != taskSecret {
		return Grant{}, ErrGitUnauthorized
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if task == "over" {
		return Grant{}, &GitForbiddenError{Message: "this task is over; start a new one with /sam"}
	}
	return w.grant, nil
}

func (w *gitWorld) FetchToken(context.Context, Grant) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fetchTokenValue, w.tokenErr
}

func (w *gitWorld) PushToken(context.Context, Grant) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return pushTokenValue, w.tokenErr
}

func (w *gitWorld) ListedToken(_ context.Context, listed GitRepository) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return listedTokenValue + listed.FullName, w.tokenErr
}

func (w *gitWorld) ForgetToken(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgotten = append(w.forgotten, token)
}

func (w *gitWorld) Guarded(context.Context, Grant, bool) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.guarded, w.guardErr
}

func (w *gitWorld) BeginPush(context.Context, Grant, Push) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.beginErr
}

func (w *gitWorld) RecordPush(_ context.Context, g Grant, p Push) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.recordErr != nil {
		return w.recordErr
	}
	w.pushes = append(w.pushes, p)
	return nil
}

func (w *gitWorld) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *gitWorld) recorded() []Push {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Push(nil), w.pushes...)
}

// asked says how often upstream got a request whose path ends so.
func (w *gitWorld) asked(method, suffix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.requests {
		if r.Method == method && strings.HasSuffix(r.URL.Path, suffix) {
			n++
		}
	}
	return n
}

func (w *gitWorld) remote(task string) string {
	return strings.Replace(w.broker.URL, "http://", "http://sam:"+taskSecret+"@", 1) + "/git/" + task
}

// clone makes a workspace whose remote is the broker.
func (w *gitWorld) clone() string {
	w.t.Helper()
	work, err := os.MkdirTemp(w.dir, "work")
	if err != nil {
		w.t.Fatal(err)
	}
	w.must("", "clone", "-q", w.remote("t1"), work)
	return work
}

func gitEnv(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com"}
}

// run runs git and returns all it printed.
func (w *gitWorld) run(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, gitEnv(w.dir)
	out, err := cmd.CombinedOutput()
	_, _ = w.said.Write(out)
	return string(out), err
}

func (w *gitWorld) must(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.run(dir, args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (w *gitWorld) commit(dir, name string) string {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name+"\n", 50)), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.must(dir, "add", ".")
	w.must(dir, "commit", "-q", "-m", name)
	return w.must(dir, "rev-parse", "HEAD")
}

// refs lists upstream's refs, but for main as it was seeded.
func (w *gitWorld) refs() string {
	w.t.Helper()
	return w.must(w.bare, "for-each-ref", "--format=%(refname) %(objectname)")
}

// refused runs git, expects it to fail with all the words, and upstream unchanged with nothing recorded.
func (w *gitWorld) refused(dir string, words []string, args ...string) string {
	w.t.Helper()
	before, records := w.refs(), len(w.recorded())
	out, err := w.run(dir, args...)
	if err == nil {
		w.t.Errorf("git %s succeeded", strings.Join(args, " "))
	}
	for _, word := range words {
		if !strings.Contains(out, word) {
			w.t.Errorf("git does not say %q:\n%s", word, out)
		}
	}
	if after := w.refs(); after != before {
		w.t.Errorf("upstream changed:\n%s\n->\n%s", before, after)
	}
	if len(w.recorded()) != records {
		w.t.Errorf("a push was recorded: %v", w.recorded())
	}
	return out
}

var errRedisAway = errors.New("redis is away")
