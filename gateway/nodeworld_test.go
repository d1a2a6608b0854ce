package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sam/agent/wire"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// within bounds every wait of these tests.
const within = time.Minute

// The installation and the repository of every task here.
const (
	testInstallation = 3
	testProject      = 7
)

// oneRepository is GitHub for an App that is installed on one repository.
type oneRepository struct {
	cloneURL string
	away     bool
}

var errGitHubAway = errors.New("503 Service Unavailable: ghs_leaked")

func (o *oneRepository) token(installation, repository int64, value string) (string, error) {
	switch {
	case o.away:
		return "", errGitHubAway
	case installation != testInstallation || repository != testProject:
		return "", errors.New("404 Not Found")
	}
	return value, nil
}

func (o *oneRepository) FetchToken(_ context.Context, installation, repository int64) (string, error) {
	return o.token(installation, repository, fetchTokenValue)
}

func (o *oneRepository) MintFetchToken(ctx context.Context, installation, repository int64) (string, error) {
	return o.FetchToken(ctx, installation, repository)
}

func (o *oneRepository) PushToken(_ context.Context, installation, repository int64) (string, error) {
	return o.token(installation, repository, pushTokenValue)
}

func (o *oneRepository) WorkflowsToken(_ context.Context, installation, repository int64) (string, error) {
	return o.token(installation, repository, workflowsTokenValue)
}

func (o *oneRepository) ReadToken(_ context.Context, fullName string) (string, error) {
	if o.away {
		return "", errGitHubAway
	}
	return listedTokenValue + fullName, nil
}

func (o *oneRepository) ForgetToken(string) {}

func (o *oneRepository) Guarded(_ context.Context, p task.Project, branch string, _ bool) (string, error) {
	switch {
	case o.away:
		return "", errGitHubAway
	case p.FullName() != "harbour/quayside" || p.ID != testProject || p.Installation != testInstallation:
		return "", errors.New("404 Not Found")
	case branch == "main":
		return "main is the default branch", nil
	}
	return "", nil
}

func (o *oneRepository) CloneURL(string) string { return o.cloneURL }

// nodeWorld is a gateway on a real store, with records of the nodes "local" and "other", which are not linked yet.
type nodeWorld struct {
	t       *testing.T
	store   *store.Store
	keys    Keys
	github  *oneRepository
	gateway *Gateway
	server  *httptest.Server
	client  *http.Client
}

func newNodeWorld(t *testing.T) *nodeWorld {
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
	return newNodeWorldOn(t, server.Address, func(s *store.Store) Store { return s })
}

// newNodeWorldOn is on a Redis of the caller's. Through is what stands between the gateway and the store.
func newNodeWorldOn(t *testing.T, address string, through func(*store.Store) Store) *nodeWorld {
	t.Helper()
	w := &nodeWorld{t: t, github: &oneRepository{cloneURL: "https://github.example/harbour/quayside.git"}}
	var err error
	if w.store, err = store.Open(t.Context(), store.Options{Addresses: []string{address}, AllowLossy: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"local", "other"} {
		if err := w.store.EnsureNode(t.Context(), task.Node{Name: name, Provider: "local", Slots: 4}); err != nil {
			t.Fatal(err)
		}
	}
	if w.keys, err = NewKeys([]byte("a secret of all replicas")); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
	w.gateway = New(Options{
		Store: through(w.store), GitHub: w.github, Keys: w.keys,
		Author: Author{Name: "sam[bot]", Email: "sam@example.com"}, HTTP: w.client,
	})
	w.server = httptest.NewServer(w.gateway)
	t.Cleanup(w.server.Close)
	t.Cleanup(w.gateway.Close)
	return w
}

func (w *nodeWorld) spec(number int) task.Spec {
	source := task.CommentSource(int64(number))
	return task.Spec{
		ID: task.NewID(testProject, source, 0), Project: testProject, Installation: testInstallation, Account: 5,
		Repository: "harbour/quayside", Thread: task.IssueThread(testProject, number), Number: number,
		Request: "add rate limiting", Requester: "ada", Source: source, Comment: int64(number), Agent: "demo",
		Created: time.Date(2026, 11, 23, 10, 0, number, 0, time.UTC),
	}
}

// place makes the task of an issue and gives it to a node, whose record must say that it is linked.
func (w *nodeWorld) place(number int, node string) task.Task {
	w.t.Helper()
	spec := w.spec(number)
	if _, err := w.store.CreateTask(w.t.Context(), spec, task.Change{}); err != nil {
		w.t.Fatal(err)
	}
	return w.placeAgain(w.claim(spec.ID), node)
}

func (w *nodeWorld) placeAgain(t task.Task, node string) task.Task {
	w.t.Helper()
	start := task.Command{Kind: task.CommandStart, Task: t.ID, Epoch: t.Epoch, Prompt: "please add rate limiting"}
	if err := w.store.Place(w.t.Context(), t, node, start, task.Change{Fields: map[task.Field]string{
		task.FieldBranch: strings.TrimPrefix(samBranch, headsPrefix), task.FieldBase: "main", task.FieldRewrite: "1",
	}}); err != nil {
		w.t.Fatal(err)
	}
	return w.read(t.ID)
}

func (w *nodeWorld) claim(id task.ID) task.Task {
	w.t.Helper()
	c, err := w.store.Claim(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Task
}

func (w *nodeWorld) read(id task.ID) task.Task {
	w.t.Helper()
	t, err := w.store.Task(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *nodeWorld) move(t task.Task, to task.State) task.Task {
	w.t.Helper()
	if err := w.store.Move(w.t.Context(), t, to, task.Change{}); err != nil {
		w.t.Fatal(err)
	}
	return w.read(t.ID)
}

// lose ends the task's attempt as lost with its node and takes the task over: a new epoch.
func (w *nodeWorld) lose(t task.Task) task.Task {
	w.t.Helper()
	lost := task.Progress{End: &task.End{Outcome: task.Lost}}
	if err := w.store.NoteProgress(w.t.Context(), t, t.Epoch, lost, nil); err != nil {
		w.t.Fatal(err)
	}
	return w.claim(t.ID)
}

// stored lists the numbers of a task's stored events.
func (w *nodeWorld) stored(id task.ID) []int64 {
	w.t.Helper()
	events, err := w.store.Events(w.t.Context(), id, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	numbers := make([]int64, len(events))
	for i, e := range events {
		numbers[i] = e.Seq
	}
	return numbers
}

func (w *nodeWorld) node(name string) task.Node {
	w.t.Helper()
	nodes, err := w.store.Nodes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(nodes, func(n task.Node) bool { return n.Name == name })
	if i < 0 {
		w.t.Fatalf("there is no node %s", name)
	}
	return nodes[i]
}

// until waits for what the gateway does after a link is gone, of which no frame tells.
func (w *nodeWorld) until(what string, is func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline.C:
			w.t.Fatalf("never: %s", what)
		}
	}
}

// links is how many links the gateway serves, with those that are ending.
func (w *nodeWorld) links() int {
	w.gateway.mu.Lock()
	defer w.gateway.mu.Unlock()
	return len(w.gateway.open)
}

// peer is the node's end of a link.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func (w *nodeWorld) try(header http.Header) (*websocket.Conn, int, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), within)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, w.server.URL+wire.LinkPath, &websocket.DialOptions{HTTPClient: w.client, HTTPHeader: header})
	if response == nil {
		w.t.Fatal(err)
	}
	return conn, response.StatusCode, err
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// dial opens a link as a node and says nothing yet.
func (w *nodeWorld) dial(node string) *peer {
	w.t.Helper()
	return w.dialWith(w.keys.NodeToken(node))
}

func (w *nodeWorld) dialWith(credential string) *peer {
	w.t.Helper()
	conn, _, err := w.try(bearer(credential))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{w.t, conn}
}

func hello(spools ...wire.Ref) wire.Frame {
	return wire.Frame{Type: wire.TypeHello, Hello: &wire.Hello{
		Protocols: []int{wire.Version}, Version: "1.2.3", Slots: 8, Workspace: "process", Held: wire.Held{Mirrors: []int64{testProject}}, Spools: spools,
	}}
}

// link opens a link as a node that holds the spools, up to its welcome.
func (w *nodeWorld) link(node string, spools ...wire.Ref) (*peer, wire.Welcome) {
	w.t.Helper()
	p := w.dial(node)
	p.say(hello(spools...))
	return p, *p.hear(wire.TypeWelcome).Welcome
}

func (p *peer) say(f wire.Frame) {
	p.t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(data)
}

func (p *peer) send(data []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), within)
	defer cancel()
	if err := p.conn.Write(ctx, websocket.MessageText, data); err != nil {
		p.t.Fatal(err)
	}
}

// hear returns the next frame, which must be of the type.
func (p *peer) hear(want wire.Type) wire.Frame {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), within)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatalf("waiting for %s: %v", want, err)
	}
	f, err := wire.Decode(data)
	if err != nil {
		p.t.Fatal(err)
	}
	if f.Type != want {
		p.t.Fatalf("heard %s, not %s", data, want)
	}
	return f
}

// ended returns how the gateway closes the link, which must be the next thing it does.
func (p *peer) ended() websocket.CloseError {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), within)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		p.t.Fatalf("the link is not closed with a reason: %q, %v", data, err)
	}
	return closed
}

// refused expects the link to be closed for good, with the word in the reason.
func (p *peer) refused(word string) {
	p.t.Helper()
	if c := p.ended(); c.Code != websocket.StatusPolicyViolation || !strings.Contains(c.Reason, word) {
		p.t.Errorf("closed with %v, want a refusal that says %q", c, word)
	}
}

func refOf(t task.Task) wire.Ref { return wire.Ref{Task: string(t.ID), Epoch: t.Epoch} }

func (p *peer) events(ref wire.Ref, events ...task.Event) {
	p.t.Helper()
	items := make([]json.RawMessage, len(events))
	for i, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			p.t.Fatal(err)
		}
		items[i] = data
	}
	p.say(wire.Frame{Type: wire.TypeEvents, Events: &wire.Events{Ref: ref, Items: items}})
}

// acked expects the acknowledgement up to a number.
func (p *peer) acked(ref wire.Ref, seq int64) {
	p.t.Helper()
	if got := *p.hear(wire.TypeAck).Ack; got != (wire.Ack{Ref: ref, Seq: seq}) {
		p.t.Errorf("acknowledged %+v, want %d of %v", got, seq, ref)
	}
}

// dropped expects the gateway to want no more of an attempt.
func (p *peer) dropped(ref wire.Ref) {
	p.t.Helper()
	if got := p.hear(wire.TypeDrop).Drop; got.Ref != ref || got.Reason == "" {
		p.t.Errorf("dropped %+v, want %v with a reason", got, ref)
	}
}

func said(seq int64) task.Event { return task.Event{Seq: seq, Kind: task.Said, Text: "working"} }

func stepped(seq int64, name task.StepName) task.Event {
	return task.Event{Seq: seq, Kind: task.Stepped, Step: &task.Step{Name: name}}
}

func finished(seq int64) task.Event {
	return task.Event{Seq: seq, Kind: task.Finished, End: &task.End{Outcome: task.Done, Headline: "Limit requests"}}
}
