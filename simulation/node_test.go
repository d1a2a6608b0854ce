package simulation

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"sam/agent/wire"
	"sam/task"
)

const (
	addressOfGateway = "http://sam.invalid"
	slotsOfNode      = 3
)

// node is a machine that runs `sam node`. What is in spools is on its disk and outlives it; the rest is memory.
type node struct {
	name   string
	token  string
	client *http.Client
	think  time.Duration // how long its agents work

	mu      sync.Mutex
	spools  map[wire.Ref]*spool
	changed chan struct{} // closed and replaced when a spool has grown
	gate    chan struct{} // closed while the machine runs; one that is frozen does nothing
	tips    map[wire.Ref]string
	kill    context.CancelFunc   // nil while it is off
	kills   []context.CancelFunc // of its attempts
	off     chan struct{}
}

// spool is one attempt on the node's disk.
type spool struct {
	start  wire.Start
	first  int64 // number of the first event
	events []json.RawMessage
	acked  int64 // number of the last event that the gateway has stored
	sent   int64
	ended  bool
	// Of the running attempt:
	token   string
	cancel  context.CancelCauseFunc
	answers chan wire.Answer
}

func newNode(name, token string, dial func(context.Context) (net.Conn, error), think time.Duration) *node {
	gate := make(chan struct{})
	close(gate)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
	return &node{
		name: name, token: token, client: &http.Client{Transport: transport}, think: think,
		spools: map[wire.Ref]*spool{}, changed: make(chan struct{}), gate: gate, tips: map[wire.Ref]string{},
	}
}

// turnOn starts the machine. What it was at when it died is lost, and it says so: it can tell from its disk.
func (n *node) turnOn(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kill != nil {
		return
	}
	ctx, n.kill = context.WithCancel(ctx)
	n.off = make(chan struct{})
	for _, s := range n.spools {
		s.cancel, s.sent = nil, s.acked
		if !s.ended {
			n.append(s, task.Event{Kind: task.Finished, End: &task.End{Outcome: task.Lost, Reason: "the node restarted"}})
		}
	}
	off := n.off
	go func() {
		defer close(off)
		n.run(ctx)
	}()
}

// turnOff kills the machine, and waits for the goroutines that stood for it.
func (n *node) turnOff() {
	n.mu.Lock()
	kill, kills, off := n.kill, n.kills, n.off
	n.kill, n.kills = nil, nil
	n.mu.Unlock()
	for _, end := range kills {
		end()
	}
	if kill != nil {
		kill()
		<-off
	}
}

// freeze stops everything on the machine for a while; nobody is told.
func (n *node) freeze(ctx context.Context, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gate := make(chan struct{})
	n.gate = gate
	go func() {
		defer close(gate)
		pause(ctx, d)
	}()
}

// awake waits while the machine is frozen; false when it is off.
func (n *node) awake(ctx context.Context) bool {
	n.mu.Lock()
	gate := n.gate
	n.mu.Unlock()
	select {
	case <-gate:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (n *node) run(ctx context.Context) {
	var attempts sync.WaitGroup
	for n.awake(ctx) {
		_ = n.link(ctx, &attempts) // whatever ended it, it is dialled again
		pause(ctx, time.Second)
	}
	attempts.Wait()
}

// append writes an event to the disk. With mu held.
func (n *node) append(s *spool, e task.Event) {
	e.Seq, e.At = s.first+int64(len(s.events)), time.Now()
	encoded, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	s.events = append(s.events, encoded)
	s.ended = s.ended || e.Kind == task.Finished
	n.wake()
}

// wake has send look again. With mu held.
func (n *node) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *node) refs(which func(*spool) bool) []wire.Ref {
	n.mu.Lock()
	defer n.mu.Unlock()
	refs := []wire.Ref{}
	for ref, s := range n.spools {
		if which(s) {
			refs = append(refs, ref)
		}
	}
	return refs
}

func (n *node) running() []wire.Ref { return n.refs(func(s *spool) bool { return s.cancel != nil }) }

// drop ends an attempt that the gateway does not want any more.
func (n *node) drop(_ context.Context, ref wire.Ref) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.spools[ref]; s != nil && s.cancel != nil {
		s.cancel(nil)
	}
	delete(n.spools, ref)
}

// stopped is why an attempt was told to stop.
type stopped struct{ reason string }

func (s stopped) Error() string { return s.reason }

// asks reports whether the agent has a question before it begins.
func asks(request string) bool { return strings.Contains(request, "ask me") }
