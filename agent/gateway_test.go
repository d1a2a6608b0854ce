package agent

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sam/agent/wire"
	"sam/task"
)

const (
	nodeToken  = "node-credential-8f2c"
	fetchToken = "fetch-token-77aa"
	taskToken  = "task-token-91bc"
)

// testing.T and rapid.T both are one.
type failing interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// testGateway is the other end of a node's link: it keeps what it is sent in memory, acknowledges when it likes, sends
// again what was not confirmed, and serves a real git by http-backend.
type testGateway struct {
	t        failing
	server   *httptest.Server
	upstream string // folder of bare repositories

	ending chan struct{}
	links  sync.WaitGroup

	mu       sync.Mutex
	changed  chan struct{}      // closed and replaced at every change
	after    map[wire.Ref]int64 // attempts that it wants, with the number before their first event
	events   map[wire.Ref][]task.Event
	commands []wire.Frame // not confirmed, in order
	done     []string
	hellos   []wire.Hello
	beats    []wire.Beat            // of the newest link
	left     []websocket.StatusCode // with which links ended, -1 for none
	conn     *websocket.Conn        // the newest
	deaf     bool                   // accepts links and then neither reads nor writes
	protocol int
	cutAfter []int          // for the links to come: after how many frames of events to cut, without acknowledging the last
	ackEach  int            // acknowledge each n-th frame of events only
	fail     map[string]int // path prefix: so many requests to answer 503
}

func newTestGateway(t *testing.T) *testGateway {
	g := &testGateway{upstream: t.TempDir()}
	g.begin(t)
	t.Cleanup(g.end)
	return g
}

func (g *testGateway) begin(t failing) {
	g.t = t
	g.changed, g.ending = make(chan struct{}), make(chan struct{})
	g.after, g.events = map[wire.Ref]int64{}, map[wire.Ref][]task.Event{}
	g.protocol, g.ackEach = wire.Version, 1
	g.fail = map[string]int{}
	g.server = httptest.NewServer(g)
}

func (g *testGateway) end() {
	close(g.ending)
	g.disconnect()
	g.server.Close() // which does not wait for links
	g.links.Wait()
}

func (g *testGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.fails(r.URL.Path) {
		http.Error(w, "restarting", http.StatusServiceUnavailable)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/upstream/") {
		if _, password, _ := r.BasicAuth(); password != fetchToken {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		g.git(w, r, "/upstream")
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+nodeToken {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	switch {
	case r.URL.Path == wire.LinkPath:
		g.link(w, r)
	case r.URL.Path == wire.FetchTokenPath:
		var asked wire.FetchTokenRequest
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Task == "" || r.Method != http.MethodPost {
			http.Error(w, "what", http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(wire.FetchTokenReply{Token: fetchToken})
	case strings.HasPrefix(r.URL.Path, wire.GitPath):
		if r.Header.Get(wire.TaskTokenHeader) != taskToken {
			http.Error(w, "no such task", http.StatusForbidden)
			return
		}
		_, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, wire.GitPath), "/")
		r.URL.Path = "/harbour/quayside.git/" + rest
		g.git(w, r, "")
	default:
		http.NotFound(w, r)
	}
}

func (g *testGateway) fails(path string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for prefix, left := range g.fail {
		if strings.HasPrefix(path, prefix) && left > 0 {
			g.fail[prefix]--
			return true
		}
	}
	return false
}

func (g *testGateway) git(w http.ResponseWriter, r *http.Request, root string) {
	backend, err := exec.LookPath("git")
	if err != nil {
		g.t.Errorf("%v", err)
	}
	handler := &cgi.Handler{
		Path: backend, Args: []string{"http-backend"}, Root: root, Stderr: io.Discard, // what a client is not told
		Env: []string{"GIT_PROJECT_ROOT=" + g.upstream, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=sam", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	handler.ServeHTTP(w, r)
}

// change runs f under the lock and wakes who awaits.
func (g *testGateway) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.changed)
	g.changed = make(chan struct{})
}

// await waits until f, which runs under the lock, says true.
func (g *testGateway) await(what string, f func() bool) {
	g.t.Helper()
	limit := time.NewTimer(3 * time.Minute)
	defer limit.Stop()
	for {
		g.mu.Lock()
		ok, changed := f(), g.changed
		g.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			g.mu.Lock()
			defer g.mu.Unlock()
			g.t.Fatalf("waited in vain for %s; events %+v, done %v", what, g.events, g.done)
		}
	}
}

func (g *testGateway) disconnect() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conn != nil {
		_ = g.conn.CloseNow()
	}
}

// command gives the node something to do, now and on every later link until it confirms it.
func (g *testGateway) command(f wire.Frame) {
	g.change(func() {
		if f.Start != nil {
			g.after[f.Start.Ref] = f.Start.After
		}
		g.commands = append(g.commands, f)
		g.sendLocked(context.Background(), f)
	})
}

// say sends a frame once, if there is a link.
func (g *testGateway) say(f wire.Frame) { g.change(func() { g.sendLocked(context.Background(), f) }) }

func (g *testGateway) sendLocked(ctx context.Context, f wire.Frame) {
	if g.conn == nil {
		return
	}
	data, err := json.Marshal(f)
	if err != nil {
		g.t.Errorf("%v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = g.conn.Write(ctx, websocket.MessageText, data) // a broken link is noticed by whoever reads
}

func (g *testGateway) link(w http.ResponseWriter, r *http.Request) {
	g.links.Add(1)
	defer g.links.Done()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(wire.MaxFrame)
	ctx := r.Context()
	next, cut, ok := g.welcome(ctx, conn)
	if !ok {
		return
	}
	frames := 0
	for {
		f, err := read(ctx, conn)
		if err != nil {
			g.change(func() { g.left = append(g.left, websocket.CloseStatus(err)) })
			return
		}
		switch f.Type {
		case wire.TypeEvents:
			frames++
			g.store(ctx, conn, f.Events, next, frames%g.ackEach == 0 && frames != cut)
			if frames == cut {
				return
			}
		case wire.TypeDone:
			g.change(func() {
				g.done = append(g.done, f.Done.Command)
				g.commands = slices.DeleteFunc(g.commands, func(c wire.Frame) bool { return commandID(c) == f.Done.Command })
			})
		case wire.TypeBeat:
			g.change(func() {
				if g.conn == conn {
					g.beats = append(g.beats, *f.Beat)
				}
			})
		default:
			g.t.Errorf("the node sent %s", f.Type)
		}
	}
}

func commandID(f wire.Frame) string {
	switch {
	case f.Start != nil:
		return f.Start.Command
	case f.Answer != nil:
		return f.Answer.Command
	default:
		return f.Stop.Command
	}
}

func read(ctx context.Context, conn *websocket.Conn) (wire.Frame, error) {
	_, data, err := conn.Read(ctx)
	if err != nil {
		return wire.Frame{}, err
	}
	return wire.Decode(data)
}

// welcome answers a Hello; next is the number that each attempt's events must go on with on this link.
func (g *testGateway) welcome(ctx context.Context, conn *websocket.Conn) (next map[wire.Ref]int64, cut int, ok bool) {
	hello, err := read(ctx, conn)
	if err != nil || hello.Type != wire.TypeHello {
		return nil, 0, false
	}
	next = map[wire.Ref]int64{}
	deaf := false
	g.change(func() {
		g.hellos = append(g.hellos, *hello.Hello)
		g.beats = nil
		welcome := wire.Welcome{Protocol: g.protocol, BeatSeconds: 1}
		for _, ref := range hello.Hello.Spools {
			if after, wanted := g.after[ref]; wanted {
				welcome.Resume = append(welcome.Resume, wire.Resume{Ref: ref, After: after + int64(len(g.events[ref])), Token: taskToken})
			}
		}
		for ref, after := range g.after {
			next[ref] = after + int64(len(g.events[ref])) + 1
		}
		if len(g.cutAfter) > 0 {
			cut, g.cutAfter = g.cutAfter[0], g.cutAfter[1:]
		}
		g.conn = conn
		g.sendLocked(ctx, wire.Frame{Type: wire.TypeWelcome, Welcome: &welcome})
		for _, f := range g.commands {
			g.sendLocked(ctx, f)
		}
		deaf = g.deaf
	})
	if deaf {
		<-g.ending
		return nil, 0, false
	}
	return next, cut, true
}

// store keeps a run of events, which must go on exactly where this link left off. What comes over an older link, which has not
// ended yet here, is not kept: the newer one was told where to go on before it came.
func (g *testGateway) store(ctx context.Context, link *websocket.Conn, e *wire.Events, next map[wire.Ref]int64, ack bool) {
	g.change(func() {
		if g.conn != link {
			return
		}
		if _, wanted := g.after[e.Ref]; !wanted {
			return // sent before it heard the drop
		}
		if next[e.Ref] == 0 {
			next[e.Ref] = g.after[e.Ref] + 1
		}
		for _, item := range e.Items {
			event, err := task.ParseEvent(item)
			if err != nil {
				g.t.Errorf("%v: %.200s", err, item)
				continue
			}
			if event.Seq != next[e.Ref] {
				g.t.Errorf("%s sent number %d, not %d", e.Task, event.Seq, next[e.Ref])
			}
			next[e.Ref] = event.Seq + 1
			g.events[e.Ref] = append(g.events[e.Ref], event)
		}
		if ack {
			g.sendLocked(ctx, wire.Frame{Type: wire.TypeAck, Ack: &wire.Ack{Ref: e.Ref, Seq: next[e.Ref] - 1}})
		}
	})
}

// finished waits for the end of an attempt and returns its events.
func (g *testGateway) finished(ref wire.Ref) []task.Event {
	g.t.Helper()
	var events []task.Event
	g.await("the end of "+ref.Task+"/"+strconv.FormatInt(ref.Epoch, 10), func() bool {
		events = slices.Clone(g.events[ref])
		return len(events) > 0 && events[len(events)-1].Kind == task.Finished
	})
	return events
}

// said waits until the agent of an attempt has said something.
func (g *testGateway) said(ref wire.Ref) {
	g.t.Helper()
	g.await("a word of the agent of "+ref.Task, func() bool {
		return slices.ContainsFunc(g.events[ref], func(e task.Event) bool { return e.Kind == task.Said })
	})
}
