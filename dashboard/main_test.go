package dashboard

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a dashboard over a real store.
type world struct {
	store *store.Store
	redis *redis.Server
	*Dashboard
	url    string
	client *http.Client
}

const nodeName = "sam-fsn1-k3v9"

var created = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func start(t *testing.T) *world {
	t.Helper()
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	s, err := store.Open(t.Context(), store.Options{Addresses: []string{server.Address}, AllowLossy: !server.Durable})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.SaveProject(t.Context(), task.Project{ID: 7, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside"}); err != nil {
		t.Fatal(err)
	}
	n := task.Node{Name: nodeName, Provider: "local", Slots: 100_000, Workspace: "docker", Version: "0.3.0"}
	if err := s.EnsureNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NodeLinked(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Store: s, Heartbeat: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(d.Handler())
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(func() {
		d.Close()
		client.CloseIdleConnections()
		web.Close()
	})
	return &world{s, server, d, web.URL, client}
}

func spec(n int64) task.Spec {
	return task.Spec{
		ID: task.NewID(7, task.CommentSource(n), 0), Project: 7, Installation: 3, Account: 5, Repository: "harbour/quayside",
		Thread: task.IssueThread(7, int(n)), Number: int(n), Title: "Uploads can be flooded", Request: "add **rate limiting**",
		Requester: "ada", Source: task.CommentSource(n), Comment: n, Agent: "claude", Created: created.Add(time.Duration(n) * time.Second),
	}
}

// tester is what a test and a rapid check have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func (w *world) create(t *testing.T, tt tester, sp task.Spec) {
	tt.Helper()
	ok, err := w.store.CreateTask(t.Context(), sp, task.Change{Entry: &task.Entry{Kind: task.EntryRequest, Thread: sp.Thread,
		Number: sp.Number, Task: sp.ID, Author: sp.Requester, Text: sp.Request}})
	if err != nil || !ok {
		tt.Fatalf("create: %v, %v", ok, err)
	}
}

// placed makes a task and brings it to the node.
func (w *world) placed(t *testing.T, tt tester, sp task.Spec) task.Task {
	tt.Helper()
	w.create(t, tt, sp)
	c, err := w.store.Claim(t.Context(), sp.ID)
	if err != nil {
		tt.Fatal(err)
	}
	if err := w.store.Place(t.Context(), c.Task, nodeName, task.Command{Kind: task.CommandStart, Task: sp.ID, Epoch: c.Epoch}, task.Change{
		Fields: map[task.Field]string{task.FieldBranch: "sam/issue-1", task.FieldBase: "main", task.FieldWorkspace: "docker"},
		Entry:  &task.Entry{Kind: task.EntryStarted, Thread: sp.Thread, Number: sp.Number, Task: sp.ID, Text: "Placed on " + nodeName}}); err != nil {
		tt.Fatal(err)
	}
	return w.read(t, tt, sp.ID)
}

func (w *world) read(t *testing.T, tt tester, id task.ID) task.Task {
	tt.Helper()
	got, err := w.store.Task(t.Context(), id)
	if err != nil {
		tt.Fatal(err)
	}
	return got
}

// put appends events to a task, as its node and the gateway do.
func (w *world) put(t *testing.T, tt tester, to task.Task, events ...task.Event) {
	tt.Helper()
	last := w.read(t, tt, to.ID).Last
	numbered := make([]task.Numbered, len(events))
	var progress task.Progress
	for i, e := range events {
		e.Seq = last + int64(i) + 1
		progress.Note(e)
		numbered[i] = encoded(tt, e)
	}
	if _, err := w.store.AppendEvents(t.Context(), to.ID, to.Epoch, nodeName, numbered); err != nil {
		tt.Fatal(err)
	}
	if err := w.store.NoteProgress(t.Context(), to, to.Epoch, progress, nil); err != nil {
		tt.Fatal(err)
	}
}

func encoded(tt tester, e task.Event) task.Numbered {
	tt.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		tt.Fatal(err)
	}
	return task.Numbered{Seq: e.Seq, JSON: b}
}

func said(n int, words string) []task.Event {
	all := make([]task.Event, n)
	for i := range all {
		all[i] = task.Event{Kind: task.Said, Text: words}
	}
	return all
}

// get fetches a page.
func (w *world) get(t *testing.T, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(b)
}

func wants(t *testing.T, where, got string, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %q:\n%.3000s", where, want, got)
		}
	}
}
