package gateway

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/forge"
	"sam/sandbox/github"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// githubWorld is the gateway with everything that is behind it: a store, a forge, and GitHub's stand-in, where the App is
// installed on octo's repositories quayside, lib and data (all private), and on quay's parts; octo has ships without it. A
// proxy plays the node's part.
type githubWorld struct {
	*nodeWorld
	hub      *github.Server
	web      string
	app      github.App
	install  github.Installation
	quayside github.Repository
	node     *httptest.Server
	task     task.Task
	log      *safeBuffer
	heard    *safeBuffer // all that the broker answered
	mu       sync.Mutex
	token    string // of the task
}

func newGithubWorld(t *testing.T, policy GitPolicy, permissions map[string]string) *githubWorld {
	t.Helper()
	w := &githubWorld{nodeWorld: &nodeWorld{t: t}, log: &safeBuffer{}, heard: &safeBuffer{}}
	var err error
	w.hub, err = github.New(github.Options{Dir: t.TempDir()})
	w.check(err)
	t.Cleanup(func() { w.check(w.hub.Close()) })
	served := httptest.NewServer(w.hub.Handler())
	t.Cleanup(served.Close)
	w.web = served.URL
	w.hub.SetURL(w.web)
	for _, login := range []string{"octo", "quay"} {
		_, err := w.hub.CreateUser(login)
		w.check(err)
	}
	w.repository("octo", "lib", "lib.txt", "the library\n")
	w.repository("octo", "data", "data.txt", "data\n")
	w.repository("octo", "ships", "ship.txt", "ships\n")
	w.repository("quay", "parts", "part.txt", "parts\n")
	w.quayside = w.repository("octo", "quayside", "README.md", "# Quayside\n")
	app, err := w.hub.CreateApp(github.AppSpec{Name: "Sam", Owner: "octo", Permissions: permissions})
	w.check(err)
	w.app = app
	w.install, err = w.hub.Install(app.ID, "octo", "quayside", "lib", "data")
	w.check(err)
	_, err = w.hub.Install(app.ID, "quay", "parts")
	w.check(err)

	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	forged, err := forge.New(t.Context(), forge.Options{
		APIURL: w.web + "/api/v3/", WebURL: w.web, AppID: app.ID, PrivateKey: app.PrivateKeyPEM, UserAgent: "sam", Transport: transport,
	})
	w.check(err)
	server, err := redis.Start(t.Context(), t.TempDir())
	w.check(err)
	t.Cleanup(func() { w.check(server.Stop()) })
	w.store, err = store.Open(t.Context(), store.Options{Addresses: []string{server.Address}, AllowLossy: true})
	w.check(err)
	t.Cleanup(func() { w.check(w.store.Close()) })
	w.check(w.store.EnsureNode(t.Context(), task.Node{Name: "local", Provider: "local", Slots: 4}))
	_, err = w.store.NodeLinked(t.Context(), task.Node{Name: "local", Slots: 4})
	w.check(err)
	w.keys, err = NewKeys([]byte("a secret of all replicas"))
	w.check(err)
	w.gateway = New(Options{Store: w.store, GitHub: forged, Keys: w.keys, HTTP: &http.Client{Transport: transport}, Git: policy})
	t.Cleanup(w.gateway.Close)
	logger := zerolog.New(w.log)
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.gateway.ServeHTTP(rw, r.WithContext(logger.WithContext(r.Context())))
	}))
	t.Cleanup(w.server.Close)
	w.node = w.playNode(transport)
	t.Cleanup(func() {
		for _, secret := range []string{"ghs_", "RemoteAuth"} {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("%s… is in the log", secret)
			}
			if strings.Contains(w.heard.String(), secret) {
				t.Errorf("%s… reached the workspace", secret)
			}
		}
	})
	return w
}

// playNode is what sam node's forwarder does: it shows the node's and the task's credentials. It remembers what it heard.
func (w *githubWorld) playNode(transport http.RoundTripper) *httptest.Server {
	to, err := url.Parse(w.server.URL)
	w.check(err)
	s := httptest.NewServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			w.mu.Lock()
			defer w.mu.Unlock()
			r.Out.Header.Set("Authorization", "Bearer "+w.keys.NodeToken("local"))
			r.Out.Header.Set(wire.TaskTokenHeader, w.token)
		},
		ModifyResponse: func(r *http.Response) error {
			var head bytes.Buffer
			_ = r.Header.Write(&head)
			_, _ = w.heard.Write(head.Bytes())
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, w.heard), r.Body}
			return nil
		},
	})
	w.t.Cleanup(s.Close)
	return s
}

func (w *githubWorld) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *githubWorld) repository(owner, name, file, text string) github.Repository {
	w.t.Helper()
	r, err := w.hub.CreateRepository(github.RepositorySpec{Owner: owner, Name: name, Private: true, Files: map[string][]byte{file: []byte(text)}, Protected: []string{"guarded"}})
	w.check(err)
	return r
}

// run places the task of an issue on a branch.
func (w *githubWorld) run(number int, branch, base string) {
	w.t.Helper()
	w.runAs(number, map[task.Field]string{task.FieldBranch: branch, task.FieldBase: base, task.FieldRewrite: "1"})
}

// runAs places the task of an issue with what its record says of its branch.
func (w *githubWorld) runAs(number int, fields map[task.Field]string) {
	w.t.Helper()
	source := task.CommentSource(int64(number))
	spec := w.spec(number)
	spec.ID, spec.Project, spec.Installation = task.NewID(w.quayside.ID, source, 0), w.quayside.ID, w.install.ID
	spec.Repository, spec.Thread = "octo/quayside", task.IssueThread(w.quayside.ID, number)
	_, err := w.store.CreateTask(w.t.Context(), spec, task.Change{})
	w.check(err)
	t := w.claim(spec.ID)
	w.check(w.store.Place(w.t.Context(), t, "local", task.Command{Kind: task.CommandStart, Task: t.ID, Epoch: t.Epoch}, task.Change{Fields: fields}))
	w.task = w.read(t.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.token = w.keys.taskToken(w.task.ID, w.task.Epoch, "local")
}

// remote is the task's remote, as its workspace reaches it.
func (w *githubWorld) remote() string { return w.node.URL + "/git/" + string(w.task.ID) }

// git runs git as in a workspace, with more settings.
func (w *githubWorld) git(dir string, settings []string, args ...string) (string, bool) {
	w.t.Helper()
	all := []string{"http." + w.node.URL + "/.extraHeader=" + wire.BrokerAddressHeader + ": " + w.node.URL, "http." + w.node.URL + "/.extraHeader=Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("sam:x"))}
	var flags []string
	for _, one := range append(all, settings...) {
		flags = append(flags, "-c", one)
	}
	cmd := exec.CommandContext(w.t.Context(), "git", append(flags, args...)...)
	cmd.Dir, cmd.Env = dir, gitEnv(dir)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func (w *githubWorld) must(dir string, args ...string) string {
	w.t.Helper()
	out, ok := w.git(dir, nil, args...)
	if !ok {
		w.t.Fatalf("git %s: %s", strings.Join(args, " "), out)
	}
	return strings.TrimSpace(out)
}

// workspace is a clone of the task's remote.
func (w *githubWorld) workspace() string {
	w.t.Helper()
	dir := w.t.TempDir()
	w.must(dir, "clone", "-q", w.remote(), ".")
	return dir
}

func (w *githubWorld) commit(dir, name, text string) {
	w.t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	w.check(os.MkdirAll(filepath.Dir(path), 0o700))
	w.check(os.WriteFile(path, []byte(text), 0o600))
	w.must(dir, "add", ".")
	w.must(dir, "commit", "-q", "-m", "change "+name)
}
