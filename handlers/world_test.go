package handlers_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"sam/forge"
	"sam/handlers"
	"sam/sandbox/github"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a long odd secret"

// tapped is a store that remembers what it accepted, for the test to hand over when it likes.
type tapped struct {
	*store.Store
	mu       sync.Mutex
	accepted []task.Delivery
}

func (s *tapped) Accept(ctx context.Context, d task.Delivery) (bool, error) {
	fresh, err := s.Store.Accept(ctx, d)
	if err == nil && fresh {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.At = time.Now()
		s.accepted = append(s.accepted, d)
	}
	return fresh, err
}

func (s *tapped) take() []task.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.accepted
	s.accepted = nil
	return taken
}

// door is the webhook before a store of its own.
type door struct {
	t       *testing.T
	redis   *redis.Server
	store   *tapped
	metrics *prometheus.Registry
	webhook *handlers.Webhook
	base    handlers.Base
	url     string
	log     *journal
}

// journal keeps what is logged, for tests that ask for a line.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(line))
	return len(line), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "")
}

// logged reports whether one line has all of the words.
func (d *door) logged(words ...string) bool {
	return slices.ContainsFunc(strings.Split(d.log.String(), "\n"), func(line string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
	})
}

func newDoor(t *testing.T, g handlers.GitHub, appID int64) *door {
	t.Helper()
	d := &door{t: t, metrics: prometheus.NewRegistry(), log: &journal{}}
	var err error
	d.redis, err = redis.Start(t.Context(), t.TempDir())
	d.check(err)
	t.Cleanup(func() { _ = d.redis.Stop() }) // a test may have stopped it
	s, err := store.Open(t.Context(), store.Options{Addresses: []string{d.redis.Address}, AllowLossy: !d.redis.Durable})
	d.check(err)
	t.Cleanup(func() { _ = s.Close() })
	d.store = &tapped{Store: s}
	d.base = handlers.Base{Store: d.store, GitHub: g, AppID: appID, Agent: "demo", Metrics: handlers.NewMetrics(d.metrics)}
	d.webhook, err = handlers.NewWebhook(d.base, secret)
	d.check(err)
	server := httptest.NewUnstartedServer(d.webhook)
	server.Config.BaseContext = func(net.Listener) context.Context { return d.ctx() }
	server.Start()
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// ctx is one that logs to the journal.
func (d *door) ctx() context.Context { return zerolog.New(d.log).WithContext(context.Background()) }

func (d *door) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// count reads one of the room's counters; without a label's value, the sum of all.
func (d *door) count(name, value string) int {
	d.t.Helper()
	families, err := d.metrics.Gather()
	d.check(err)
	total := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if value == "" || m.GetLabel()[0].GetValue() == value {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return int(total)
}

func signature(body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, body) // a hash takes everything
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// post sends a signed delivery; change may spoil it.
func (d *door) post(event, guid, body string, change func(*http.Request)) (int, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url, strings.NewReader(body))
	d.check(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", guid)
	r.Header.Set("X-Hub-Signature-256", signature(body))
	if change != nil {
		change(r)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: 10 * time.Second}}
	res, err := client.Do(r)
	d.check(err)
	defer func() { d.check(res.Body.Close()) }()
	answer, err := io.ReadAll(res.Body)
	d.check(err)
	return res.StatusCode, strings.TrimSpace(string(answer))
}

// world is GitHub's stand-in with the App installed on octo's hello (public) and secret (private), and the webhook that
// it delivers to. ada may write to both, tess triage, robin read secret; zoe is a stranger.
type world struct {
	*door
	hub     *github.Server
	forge   *forge.Forge
	app     github.App
	install github.Installation
	ahead   atomic.Int64 // how far GitHub's clock is ahead of the machine's: it has whole seconds only
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	var err error
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.hub, err = github.New(github.Options{Dir: t.TempDir(), Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }})
	check(err)
	t.Cleanup(func() { check(w.hub.Close()) })
	server := httptest.NewServer(w.hub.Handler())
	t.Cleanup(server.Close)
	w.hub.SetURL(server.URL)
	for _, login := range []string{"octo", "ada", "tess", "robin", "zoe"} {
		_, err := w.hub.CreateUser(login)
		check(err)
	}
	for _, r := range []github.RepositorySpec{{Name: "hello"}, {Name: "secret", Private: true}, {Name: "elsewhere"}} {
		r.Owner, r.Files = "octo", map[string][]byte{"README.md": []byte("# Hello\n")}
		_, err := w.hub.CreateRepository(r)
		check(err)
		if r.Name != "elsewhere" {
			check(w.hub.SetCollaborator("octo", r.Name, "ada", "write"))
			check(w.hub.SetCollaborator("octo", r.Name, "tess", "triage"))
		}
	}
	check(w.hub.SetCollaborator("octo", "secret", "robin", "read"))
	w.app, err = w.hub.CreateApp(github.AppSpec{
		Name: "Sam", Owner: "octo", WebhookSecret: secret, Events: []string{"issues", "issue_comment", "pull_request", "repository"},
		Permissions: map[string]string{"contents": "write", "issues": "write", "pull_requests": "write"},
	})
	check(err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.forge, err = forge.New(t.Context(), forge.Options{
		APIURL: server.URL + "/api/v3/", WebURL: server.URL, AppID: w.app.ID, PrivateKey: w.app.PrivateKeyPEM, UserAgent: "sam", Transport: transport,
	})
	check(err)
	w.door = newDoor(t, w.forge, w.app.ID)
	check(w.hub.SetWebhook(w.app.ID, w.url))
	w.install, err = w.hub.Install(w.app.ID, "octo", "hello", "secret")
	check(err)
	return w
}

// settle waits until GitHub has delivered everything and hands over what was accepted, which it returns.
func (w *world) settle() []task.Delivery {
	w.t.Helper()
	w.check(w.hub.Settle(w.t.Context()))
	taken := w.store.take()
	for _, d := range taken {
		w.handle(d)
	}
	return taken
}

func (w *world) handle(d task.Delivery) {
	w.t.Helper()
	w.check(w.webhook.Handle(w.ctx(), d))
}

// late waits until GitHub has delivered everything and hands over what was accepted, for the test to handle when it likes.
func (w *world) late() []task.Delivery {
	w.t.Helper()
	w.check(w.hub.Settle(w.t.Context()))
	return w.store.take()
}

// payload is what GitHub sent as a delivery.
func (w *world) payload(guid string) string {
	w.t.Helper()
	for _, d := range w.hub.Deliveries(w.app.ID) {
		if d.GUID == guid {
			return string(d.Payload)
		}
	}
	w.t.Fatalf("no delivery %s", guid)
	return ""
}

func (w *world) repository(name string) int64 {
	w.t.Helper()
	for _, r := range w.hub.Repositories() {
		if r.Name == name {
			return r.ID
		}
	}
	w.t.Fatalf("no repository %s", name)
	return 0
}

func (w *world) issue(repo, title string) github.Issue {
	w.t.Helper()
	i, err := w.hub.CreateIssue("octo", "octo", repo, title, "It should be **so**.")
	w.check(err)
	return i
}

func (w *world) comment(login, repo string, number int, body string) int64 {
	w.t.Helper()
	c, err := w.hub.CreateComment(login, "octo", repo, number, body)
	w.check(err)
	return c.ID
}

// begin has an attempt of a task run on a node, as the runner and the gateway do.
func (w *world) begin(id task.ID, pull int) {
	w.t.Helper()
	ctx, node := w.t.Context(), task.Node{Name: "n", Slots: 9, Workspace: "process"}
	w.check(w.store.EnsureNode(ctx, node))
	_, err := w.store.NodeLinked(ctx, node)
	w.check(err)
	claimed, err := w.store.Claim(ctx, id)
	w.check(err)
	w.check(w.store.Place(ctx, claimed.Task, node.Name, task.Command{Kind: task.CommandStart, Task: id, Epoch: claimed.Epoch},
		task.Change{Fields: map[task.Field]string{task.FieldPull: strconv.Itoa(pull), task.FieldBranch: "sam/issue-1"}}))
	w.check(w.store.NoteProgress(ctx, claimed.Task, claimed.Epoch, task.Progress{Started: true}, nil))
}

func (w *world) task(id task.ID) task.Task {
	w.t.Helper()
	got, err := w.store.Task(w.t.Context(), id)
	w.check(err)
	return got
}

// owed takes what is owed, to any installation, and returns the targets, sorted, and the replies' texts.
func (w *world) owed() (targets, replies []string) {
	w.t.Helper()
	owing, err := w.store.Owing(w.t.Context())
	w.check(err)
	for _, to := range owing {
		for {
			o, err := w.store.TakeOwed(w.t.Context(), to)
			if errors.Is(err, task.ErrNotFound) {
				break
			}
			w.check(err)
			body, err := task.ParseEffect(o.Effect)
			w.check(err)
			targets = append(targets, o.Target)
			if body.Kind == task.EffectReply {
				replies = append(replies, body.Text)
			}
		}
	}
	slices.Sort(targets)
	return targets, replies
}

// projects lists what SAM takes to be installed.
func (w *world) projects() []string {
	w.t.Helper()
	all, err := w.store.Projects(w.t.Context())
	w.check(err)
	names := []string{}
	for _, p := range all {
		names = append(names, p.FullName())
	}
	slices.Sort(names)
	return names
}
