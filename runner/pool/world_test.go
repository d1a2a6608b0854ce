package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sam/runner/cloud"
	"sam/runner/cloud/hetzner"
	"sam/runner/policy"
	standin "sam/sandbox/hetzner"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	acme  = int64(5)
	euro  = int64(1_000_000)
	cents = euro / 100
)

// world is a Redis, a Hetzner, and replicas of the pool.
type world struct {
	t      *testing.T
	redis  *redis.Server
	store  *store.Store
	hub    *standin.Server
	server *httptest.Server
	way    *Account
	tasks  int64
	silent bool // no node is heard any more
}

func newWorld(t *testing.T, options ...func(*standin.Options)) *world {
	t.Helper()
	const ms = time.Millisecond
	o := standin.Options{
		Tokens: []standin.Token{{Secret: "writes", Project: "acme"}, {Secret: "reads", Project: "acme", ReadOnly: true}},
		Timing: standin.Timing{Create: 10 * ms, CreateSnapshot: 10 * ms, Start: 5 * ms, Stop: 5 * ms, Delete: 10 * ms, Change: 5 * ms},
	}
	for _, set := range options {
		set(&o)
	}
	hub, err := standin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, hub: hub, server: httptest.NewServer(hub.Handler())}
	t.Cleanup(hub.Close)
	t.Cleanup(w.server.Close)
	if w.redis, err = redis.Start(t.Context(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.redis.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.store = w.connect()
	keeper, err := policy.Named(policy.Default)
	if err != nil {
		t.Fatal(err)
	}
	w.way = &Account{
		Provider:   w.provider("writes", nil),
		Candidates: []cloud.Candidate{{Type: "cx33", Location: "fsn1"}, {Type: "cx33", Location: "nbg1"}, {Type: "cpx32", Location: "hel1"}},
		Image:      "docker-ce", Caps: task.Caps{Machines: 5, Daily: 5 * euro, Monthly: 50 * euro}, Keeper: keeper, Memory: 2 << 30,
		UserData: func(node string, _ time.Time) func(cloud.Architecture) (string, error) {
			return func(a cloud.Architecture) (string, error) { return "#cloud-config\n{} # " + node + string(a), nil }
		},
	}
	return w
}

// slots of a machine of the first candidate: 8 GiB, of which workspaces have 2 each.
const slots = 3

// connect opens one more store on the Redis: another replica.
func (w *world) connect() *store.Store {
	w.t.Helper()
	s, err := store.Open(w.t.Context(), store.Options{Addresses: []string{w.redis.Address}, AllowLossy: !w.redis.Durable})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// provider is what asks the Hetzner with a token, over a transport of its own.
func (w *world) provider(token string, through func(http.RoundTripper) http.RoundTripper) hetzner.Provider {
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	var way http.RoundTripper = transport
	if through != nil {
		way = through(transport)
	}
	return hetzner.NewProject(hetzner.Options{
		Token: token, Installation: "app-1", Endpoint: w.server.URL + "/v1",
		HTTP: &http.Client{Transport: way, Timeout: 10 * time.Second}, Pause: 2 * time.Millisecond,
	}).Account(acme)
}

// Account implements Accounts: there is one.
func (w *world) Account(_ context.Context, id int64) (*Account, error) {
	if id != acme {
		return nil, nil
	}
	return w.way, nil
}

// Known implements Accounts.
func (w *world) Known(context.Context) ([]int64, error) { return []int64{acme}, nil }

// replica is a pool on a store, with short times.
func (w *world) replica(s Store) *Pool {
	p := New(s, w)
	p.Timing.Look, p.Timing.Again = 20*time.Millisecond, 50*time.Millisecond
	return p
}

// run has pools run until the test, or what is returned, ends them.
func (w *world) run(pools ...*Pool) (end func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var group sync.WaitGroup
	for _, p := range pools {
		group.Go(func() {
			if err := p.Run(ctx); err != nil {
				w.t.Error(err)
			}
		})
	}
	end = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	w.t.Cleanup(end)
	return end
}

// once makes a pass at a time, and sees to what it says.
func (w *world) once(p *Pool, now time.Time) time.Time {
	w.t.Helper()
	w.heard(now)
	chores, next, err := p.pass(w.t.Context(), now)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range chores {
		p.tend(w.t.Context(), c)
	}
	p.tenders.Wait()
	return next
}

// heard has nodes that are linked be heard of at a time, as Redis's clock would have it.
func (w *world) heard(now time.Time) {
	w.t.Helper()
	for _, n := range w.nodes() {
		if n.State != task.NodeReady || w.silent {
			continue
		}
		if _, err := w.redis.Do(w.t.Context(), "HSET", "{0}:node:"+n.Name, "seen", strconv.FormatInt(now.UnixMilli(), 10)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// wanted makes a task that is nodeless.
func (w *world) wanted() task.Task {
	w.t.Helper()
	w.tasks++
	sp := task.Spec{
		ID: task.NewID(7, task.CommentSource(w.tasks), 0), Project: 7, Installation: 3, Account: acme, Repository: "acme/quayside",
		Thread: task.IssueThread(7, int(w.tasks)), Number: int(w.tasks), Comment: w.tasks, Source: task.CommentSource(w.tasks),
		Created: time.Now(), Accepted: time.Now(),
	}
	if _, err := w.store.CreateTask(w.t.Context(), sp, task.Change{}); err != nil {
		w.t.Fatal(err)
	}
	c, err := w.store.Claim(w.t.Context(), sp.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Starve(w.t.Context(), c.Task, time.Hour, task.Change{Fields: map[task.Field]string{task.FieldNodeless: "1"}}); err != nil {
		w.t.Fatal(err)
	}
	return c.Task
}

// place gives a task to the node that the pool chooses, and returns why there is none.
func (w *world) place(p *Pool, t task.Task, now time.Time) (node, wait string) {
	w.t.Helper()
	c, err := w.store.Claim(w.t.Context(), t.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	nodes, err := w.store.Nodes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	placement, err := p.Choose(w.t.Context(), policy.RequestOf(c.Task), nodes, now)
	if err != nil {
		w.t.Fatal(err)
	}
	if placement.Node == "" {
		if err := w.store.Starve(w.t.Context(), c.Task, time.Hour, task.Change{Fields: map[task.Field]string{task.FieldNodeless: "1"}}); err != nil {
			w.t.Fatal(err)
		}
		return "", placement.Wait
	}
	err = w.store.Place(w.t.Context(), c.Task, placement.Node, task.Command{Kind: task.CommandStart, Task: t.ID, Epoch: c.Epoch}, task.Change{})
	if errors.Is(err, task.ErrFull) { // another took its last slot since we looked
		return "", "it is full"
	}
	if err != nil {
		w.t.Error(err)
	}
	return placement.Node, ""
}

// ended ends a task that was placed.
func (w *world) ended(id task.ID) {
	w.t.Helper()
	t, err := w.store.Task(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.NoteProgress(w.t.Context(), t, t.Epoch, task.Progress{End: &task.End{Outcome: task.GaveUp}}, nil); err != nil {
		w.t.Fatal(err)
	}
	c, err := w.store.Claim(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.Move(w.t.Context(), c.Task, task.Failed, task.Change{}); err != nil {
		w.t.Fatal(err)
	}
}

// link has a machine's node call home, and beat.
func (w *world) link(node string) {
	w.t.Helper()
	if _, err := w.store.NodeLinked(w.t.Context(), task.Node{Name: node, Slots: slots}); err != nil {
		w.t.Fatal(err)
	}
}

// nodes are the records.
func (w *world) nodes() []task.Node {
	w.t.Helper()
	nodes, err := w.store.Nodes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return nodes
}

// servers are the names of what Hetzner has.
func (w *world) servers() []string {
	var found []string
	for _, one := range w.hub.History().Servers {
		if one.DeletedAt == nil {
			found = append(found, one.Name)
		}
	}
	slices.Sort(found)
	return found
}

func (w *world) fleet(now time.Time) task.Fleet {
	w.t.Helper()
	f, err := w.store.Fleet(w.t.Context(), acme, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// agree checks that servers, records and what is paid for are the same machines, so many of them.
func (w *world) agree(count int) {
	w.t.Helper()
	if why := w.differ(count); why != "" {
		w.t.Fatal(why)
	}
}

func (w *world) differ(count int) string {
	w.t.Helper()
	servers := w.servers()
	var records, paid []string
	for _, n := range w.nodes() {
		if n.Provider == "hetzner" {
			records = append(records, n.Name)
			if n.Machine == nil {
				return fmt.Sprintf("the record of %s says of no machine", n.Name)
			}
		}
	}
	for name := range w.fleet(time.Now()).Hours {
		paid = append(paid, name)
	}
	slices.Sort(paid)
	if !slices.Equal(servers, records) || !slices.Equal(servers, paid) || len(servers) != count {
		return fmt.Sprintf("Hetzner has %v, the records are %v, paid are %v, and it should be %d", servers, records, paid, count)
	}
	return ""
}

// eventually waits until something is true.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.NewTimer(2*time.Minute)
	defer tick.Stop()
	defer late.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late.C:
			w.t.Fatalf("it never came that %s", what)
		}
	}
}

// goWrong has the Hetzner fail.
func (w *world) goWrong(rules ...standin.Rule) {
	w.t.Helper()
	if err := w.hub.SetFaults(standin.Faults{Rules: rules}); err != nil {
		w.t.Fatal(err)
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

// dump is all that Redis holds.
func (w *world) dump() map[string]string {
	w.t.Helper()
	keys, err := w.redis.Do(w.t.Context(), "KEYS", "*")
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]string{}
	for _, key := range redis.Words(keys) {
		held, err := w.redis.Do(w.t.Context(), "DUMP", key)
		if err != nil {
			w.t.Fatal(err)
		}
		text, ok := held.(string)
		if !ok {
			w.t.Fatalf("the dump of %s is %T", key, held)
		}
		all[key] = text
	}
	return all
}

// restore has Redis hold what it held once, and nothing else.
func (w *world) restore(dump map[string]string) {
	w.t.Helper()
	if _, err := w.redis.Do(w.t.Context(), "FLUSHALL"); err != nil {
		w.t.Fatal(err)
	}
	for key, held := range dump {
		if _, err := w.redis.Do(w.t.Context(), "RESTORE", key, "0", held); err != nil {
			w.t.Fatal(err)
		}
	}
}

// ask asks the Hetzner for what no provider does.
func (w *world) ask(method, path, body string, into any) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+"/v1"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer writes")
	r.Header.Set("Content-Type", "application/json")
	answer, err := w.server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s", method, path, answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		w.t.Fatal(err)
	}
}

// volume makes a volume that nothing uses.
func (w *world) volume(name string, labels map[string]string) {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "size": 10, "location": "fsn1", "labels": labels})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ask(http.MethodPost, "/volumes", string(body), &struct{}{})
}

func (w *world) volumes() (names []string) {
	w.t.Helper()
	var list struct{ Volumes []struct{ Name string } }
	w.ask(http.MethodGet, "/volumes", "", &list)
	for _, one := range list.Volumes {
		names = append(names, one.Name)
	}
	return names
}
