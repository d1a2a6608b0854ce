package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// testNode is a node that runs in the test until stop, and its log.
type testNode struct {
	*Node
	log  *logBuffer
	stop func()
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func quickPace() pace {
	p := usualPace()
	p.first, p.last = time.Millisecond, 20*time.Millisecond
	return p
}

func nodeOptions(g *testGateway, dir string) Options {
	executable, err := os.Executable()
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	return Options{Gateway: g.server.URL, Token: nodeToken, Name: "node-1", Version: "test", Dir: dir, Slots: 2, Executable: executable}
}

// startNode runs a node. Its folder outlives it, so that another can go on from there.
func startNode(g *testGateway, o Options, change ...func(*Node)) *testNode {
	n, err := New(o)
	if err != nil {
		g.t.Fatalf("%v", err)
	}
	n.pace = quickPace()
	for _, f := range change {
		f(n)
	}
	log := &logBuffer{}
	ctx, cancel := context.WithCancel(zerolog.New(log).WithContext(context.Background()))
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	var once sync.Once
	return &testNode{Node: n, log: log, stop: func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				g.t.Errorf("the node ended with %v", err)
			}
		})
	}}
}

func newNode(t *testing.T, g *testGateway) *testNode {
	n := startNode(g, nodeOptions(g, t.TempDir()))
	t.Cleanup(n.stop)
	return n
}

// start is a start of the demo agent on the seed's repository.
func start(g *testGateway, id string, epoch int64, request string) wire.Start {
	return wire.Start{
		Command: id + "-" + string(rune('0'+epoch)), Ref: wire.Ref{Task: id, Epoch: epoch},
		Repository: 7, FullName: "harbour/quayside", CloneURL: g.server.URL + "/upstream/harbour/quayside.git",
		Thread: "7-12", Base: "main", Branch: "sam/12-uploads", Agent: "demo",
		Prompt: "Issue 12: Uploads can be flooded", Request: request,
		AuthorName: `Ada "Sam" Lovelace`, AuthorEmail: "ada@example.com", Token: taskToken,
	}
}

func frame(s wire.Start) wire.Frame { return wire.Frame{Type: wire.TypeStart, Start: &s} }

func stopFrame(ref wire.Ref, reason string) wire.Frame {
	return wire.Frame{Type: wire.TypeStop, Stop: &wire.Stop{Command: "stop-" + ref.Task, Ref: ref, Reason: reason}}
}

func TestAStartSentAgainIsTakenInOnce(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := newNode(t, g)
	s := start(g, "tonce", 1, "demo: pretend")
	g.command(frame(s))
	g.finished(s.Ref)
	s.Command = "again"
	g.command(frame(s))
	g.await("a confirmation of both", func() bool { return len(g.done) == 2 })
	n.stop()
	if ends := strings.Count(n.log.String(), "attempt started"); ends != 1 {
		t.Errorf("it was started %d times", ends)
	}
}

func TestAnOlderEpochIsRefusedAndConfirmed(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := newNode(t, g)
	s := start(g, "tepoch", 3, "demo: pretend")
	g.command(frame(s))
	g.finished(s.Ref)
	old := start(g, "tepoch", 2, "demo: pretend")
	g.command(frame(old))
	g.await("a confirmation of both", func() bool { return len(g.done) == 2 })
	n.stop()
	if !strings.Contains(n.log.String(), "start refused: a newer attempt") {
		t.Error("the refusal is not in the log")
	}
	if got := n.Node.options.Dir; fileExists(filepath.Join(got, "spools", "tepoch.2.jsonl")) {
		t.Error("the older epoch has a spool")
	}
}

func fileExists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestANewerEpochStopsTheOlderAttempt(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	newNode(t, g)
	old := start(g, "tnewer", 1, "demo: wait")
	g.command(frame(old))
	g.said(old.Ref)
	s := start(g, "tnewer", 2, "demo: pretend")
	s.After = 100
	g.command(frame(s))
	events := g.finished(s.Ref)
	if events[0].Seq != 101 {
		t.Errorf("the first event is number %d", events[0].Seq)
	}
	if end := g.finished(old.Ref); last(end).Outcome != task.Stopped {
		t.Errorf("the older ended with %+v", last(end))
	}
}

func TestMoreStartsThanSlotsAreLost(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	newNode(t, g)
	var waiting []wire.Start
	for _, id := range []string{"tslota", "tslotb"} {
		s := start(g, id, 1, "demo: wait")
		s.Thread = id
		waiting = append(waiting, s)
		g.command(frame(s))
	}
	for _, s := range waiting {
		g.said(s.Ref)
	}
	third := start(g, "tslotc", 1, "demo: wait")
	g.command(frame(third))
	if end := last(g.finished(third.Ref)); end.Outcome != task.Lost || !strings.Contains(end.Reason, "slot") {
		t.Errorf("the third ended with %+v", end)
	}
	g.await("a beat with both", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 2 })
	g.command(stopFrame(waiting[0].Ref, "Stopped by ada."))
	g.finished(waiting[0].Ref)
	fourth := start(g, "tslotd", 1, "demo: pretend")
	g.command(frame(fourth))
	if end := last(g.finished(fourth.Ref)); end.Outcome != task.Done {
		t.Errorf("a slot that was given back was not used: %+v", end)
	}
}

func TestAStopEndsTheAttemptWithItsReason(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	newNode(t, g)
	s := start(g, "tstop", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	g.command(stopFrame(s.Ref, "Stopped by ada."))
	if end := last(g.finished(s.Ref)); end.Outcome != task.Stopped || end.Reason != "Stopped by ada." {
		t.Errorf("it ended with %+v", end)
	}
}

func TestAStopOfNothingIsConfirmed(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newNode(t, g)
	g.command(stopFrame(wire.Ref{Task: "tnone", Epoch: 1}, "Stopped by ada."))
	g.await("its confirmation", func() bool { return len(g.done) == 1 })
}

func TestADroppedAttemptStopsAndItsSpoolGoes(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := newNode(t, g)
	s := start(g, "tdrop", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	g.change(func() { delete(g.after, s.Ref); g.beats = nil })
	g.say(wire.Frame{Type: wire.TypeDrop, Drop: &wire.Drop{Ref: s.Ref, Reason: "over"}})
	g.await("a beat without it", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
	if fileExists(filepath.Join(n.options.Dir, "spools", "tdrop.1.jsonl")) {
		t.Error("its spool is there")
	}
}

func TestAnAttemptThatTheGatewayForgotIsDroppedAtTheNextLink(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := newNode(t, g)
	s := start(g, "tforgot", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	g.change(func() { delete(g.after, s.Ref) })
	g.disconnect()
	g.await("the next link, with a beat without it", func() bool {
		return len(g.hellos) == 2 && len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0
	})
	if fileExists(filepath.Join(n.options.Dir, "spools", "tforgot.1.jsonl")) {
		t.Error("its spool is there")
	}
}

func TestAnAttemptUnderWayWhenTheNodeEndsIsLostAtItsNextStart(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	o := nodeOptions(g, t.TempDir())
	n := startNode(g, o)
	s := start(g, "tlost", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	n.stop()
	g.mu.Lock()
	if e := g.events[s.Ref]; e[len(e)-1].Kind == task.Finished {
		t.Errorf("it ended with %+v", last(e))
	}
	g.mu.Unlock()
	again := startNode(g, o)
	defer again.stop()
	if end := last(g.finished(s.Ref)); end.Outcome != task.Lost || !strings.Contains(end.Reason, "restarted") {
		t.Errorf("it ended with %+v", end)
	}
	s.Command = "again"
	g.command(frame(s))
	g.await("a confirmation of both", func() bool { return len(g.done) == 2 })
	if strings.Contains(again.log.String(), "attempt started") {
		t.Error("the attempt was started again")
	}
}

func TestTwoNodesDoNotShareAFolder(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	n := newNode(t, g)
	g.await("the first node", func() bool { return len(g.hellos) == 1 })
	second, err := New(n.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another sam node") {
		t.Errorf("the second ended with %v", err)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{Gateway: "ftp://gateway", Token: "x", Name: "n"}, {Gateway: "http://gateway", Name: "n"}, {Gateway: "http://gateway", Token: "x"},
	} {
		o.Dir = t.TempDir()
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// last is the end of an attempt.
func last(events []task.Event) task.End {
	if end := events[len(events)-1].End; end != nil {
		return *end
	}
	return task.End{}
}
