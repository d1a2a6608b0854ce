package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"sam/agent/wire"
	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

func TestALinkThatBeginsWronglyIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	speaking := func(protocols ...int) []byte {
		f := hello()
		f.Hello.Protocols = protocols
		data, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	slotless := bytes.Replace(speaking(wire.Version), []byte(`"slots":8`), []byte(`"slots":0`), 1)
	for name, c := range map[string]struct {
		node  string
		first []byte
		word  string
	}{
		"no common protocol":           {"local", speaking(97, 98), "no common protocol: the node speaks [97 98]"},
		"protocols that fill a reason": {"local", speaking(slices.Repeat([]int{99}, 100)...), "no common protocol: the node speaks [99 99"},
		"no protocol":                  {"local", speaking(), "no common protocol"},
		"what is no frame":             {"local", []byte("good morning"), "not a frame"},
		"another frame":                {"local", []byte(`{"type":"beat","beat":{"running":[]}}`), "not a hello"},
		"no slot":                      {"local", slotless, "at least one slot"},
		"a node without a record":      {"ghost", speaking(wire.Version), "no record of node ghost"},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.dial(c.node)
			p.send(c.first)
			p.refused(c.word)
		})
	}
	w.until("the links are gone", func() bool { return w.links() == 0 })
	if n := w.node("local"); n.State != task.NodeBooting {
		t.Errorf("the node is %s", n.State)
	}
	nodes, err := w.store.Nodes(t.Context())
	if err != nil || len(nodes) != 2 {
		t.Errorf("%d nodes have a record, %v", len(nodes), err)
	}
}

func TestARefusedDialLeavesTheNodesLinkAlone(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	second := w.dial("local")
	second.send([]byte("good morning"))
	second.refused("not a frame")
	p.events(wire.Ref{Task: "tnone", Epoch: 1}, said(1))
	p.dropped(wire.Ref{Task: "tnone", Epoch: 1})
	w.until("the second link is gone", func() bool { return w.links() == 1 })
	if n := w.node("local"); n.State != task.NodeReady {
		t.Errorf("the node is %s", n.State)
	}
}

func TestAHelloMakesTheNodeReadyAsItDescribesItself(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	_, welcome := w.link("local")
	if welcome.Protocol != wire.Version || welcome.BeatSeconds < 1 || len(welcome.Resume) != 0 {
		t.Errorf("welcomed with %+v", welcome)
	}
	n := w.node("local")
	if n.State != task.NodeReady || n.Slots != 8 || n.Version != "1.2.3" || n.Workspace != "process" || !slices.Equal(n.Mirrors, []int64{testProject}) {
		t.Errorf("the node is %+v", n)
	}
}

func TestAWelcomeNamesTheSpoolsThatAreStillWantedAndFromWhere(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	w.link("other")
	running, preparing, waiting := w.place(1, "local"), w.place(2, "local"), w.place(3, "local")
	for range 3 {
		p.hear(wire.TypeStart)
	}
	for _, placed := range []task.Task{running, waiting} {
		p.events(refOf(placed), stepped(1, task.StepMirror), stepped(2, task.StepAgent), said(3))
		p.acked(refOf(placed), 3)
	}
	w.move(w.read(waiting.ID), task.Waiting)
	cancelled := w.move(w.place(4, "local"), task.Cancelled)
	elsewhere := w.place(5, "other")
	lost := w.place(6, "local")
	w.lose(lost)

	_, welcome := w.link("local", refOf(cancelled), refOf(preparing), refOf(elsewhere), refOf(waiting), refOf(lost),
		wire.Ref{Task: string(running.ID), Epoch: running.Epoch + 1}, refOf(running), wire.Ref{Task: "tnone", Epoch: 1})
	want := []wire.Resume{{Ref: refOf(preparing), After: 0}, {Ref: refOf(waiting), After: 3}, {Ref: refOf(running), After: 3}}
	for i, resumed := range welcome.Resume { // each with the token that its workspace has
		if resumed.Token == "" {
			t.Errorf("%s is resumed without its token", resumed.Task)
		}
		welcome.Resume[i].Token = ""
	}
	if !reflect.DeepEqual(welcome.Resume, want) {
		t.Errorf("resumes %+v, want %+v", welcome.Resume, want)
	}
}

func TestAPlacedTaskIsSentToItsNode(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	w.link("other")
	placed := w.place(1, "local")
	got := *p.hear(wire.TypeStart).Start
	if got.Command == "" || !w.keys.isTaskToken(got.Token, placed.ID, placed.Epoch, "local") {
		t.Errorf("command %q, token %q", got.Command, got.Token)
	}
	got.Command, got.Token = "", ""
	want := wire.Start{
		Ref: refOf(placed), Repository: testProject, FullName: "harbour/quayside", CloneURL: w.github.cloneURL,
		Thread: string(placed.Thread), Base: "main", Branch: "sam/fix-1", Rewrite: true, Agent: "demo",
		Prompt: "please add rate limiting", Request: "add rate limiting", AuthorName: "sam[bot]", AuthorEmail: "sam@example.com",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent  %+v\nwant  %+v", got, want)
	}
}

func TestASecondAttemptIsToldWhereTheStreamGoesOn(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	placed := w.place(1, "local")
	p.hear(wire.TypeStart)
	p.events(refOf(placed), stepped(1, task.StepMirror), stepped(2, task.StepWorkspace))
	p.acked(refOf(placed), 2)
	again := w.placeAgain(w.move(w.lose(placed), task.Placing), "local")
	if start := p.hear(wire.TypeStart).Start; start.Ref != refOf(again) || start.After != 2 {
		t.Errorf("started %v after %d", start.Ref, start.After)
	}
}

func TestACommandIsSentAgainUntilTheNodeConfirmsIt(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	first := w.place(1, "local")
	sent := p.hear(wire.TypeStart).Start

	p, _ = w.link("local")
	again := p.hear(wire.TypeStart).Start
	if !reflect.DeepEqual(again, sent) {
		t.Errorf("sent %+v, then %+v", sent, again)
	}
	p.say(wire.Frame{Type: wire.TypeDone, Done: &wire.Done{Command: again.Command}})
	p.events(refOf(first)) // frames are taken in order: when this is answered, so is what came before
	p.acked(refOf(first), 0)

	p, _ = w.link("local")
	second := w.place(2, "local")
	if start := p.hear(wire.TypeStart).Start; start.Ref != refOf(second) {
		t.Errorf("the confirmed start of %s is sent again", start.Task)
	}
	if err := w.store.Command(t.Context(), "local", task.Command{Kind: task.CommandStop, Task: second.ID, Epoch: second.Epoch, Reason: "ada said stop"}); err != nil {
		t.Fatal(err)
	}
	if stop := p.hear(wire.TypeStop).Stop; stop.Ref != refOf(second) || stop.Reason != "ada said stop" || stop.Command == "" {
		t.Errorf("stopped with %+v", stop)
	}
}

func TestATaskThatIsOverBeforeItsNodeComesIsNotStarted(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	if _, err := w.store.NodeLinked(t.Context(), task.Node{Name: "local", Slots: 8}); err != nil { // by another replica, whose link is gone
		t.Fatal(err)
	}
	over := w.move(w.place(1, "local"), task.Cancelled)
	p, _ := w.link("local")
	p.dropped(refOf(over)) // and no start before
	next := w.place(2, "local")
	for range 2 { // commands go in order: by the second time the two of the first task are forgotten
		if start := p.hear(wire.TypeStart).Start; start.Ref != refOf(next) {
			t.Errorf("%s is started", start.Task)
		}
		p, _ = w.link("local")
	}
}

func TestTheNewestLinkOfANodeWins(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	older, _ := w.link("local")
	newer, _ := w.link("local")
	older.refused("a newer link has dialled")
	w.until("the older link is gone", func() bool { return w.links() == 1 })
	if n := w.node("local"); n.State != task.NodeReady {
		t.Errorf("once the older link is closed the node is %s", n.State)
	}
	placed := w.place(1, "local")
	if start := newer.hear(wire.TypeStart).Start; start.Ref != refOf(placed) {
		t.Errorf("%s is started", start.Task)
	}
	if err := newer.conn.Close(websocket.StatusGoingAway, "the node agent is ending"); err != nil {
		t.Fatal(err)
	}
	w.until("the node is lost", func() bool { return w.node("local").State == task.NodeLost })
}

// slowToPart is a store that takes its time to note that a node is out of reach.
type slowToPart struct {
	*store.Store
	begun, finish chan struct{}
}

func (s *slowToPart) NodeUnlinked(ctx context.Context, name string, link int64) error {
	s.begun <- struct{}{}
	<-s.finish
	return s.Store.NodeUnlinked(ctx, name, link)
}

func TestANodeThatDialsWhileItsOlderLinkIsLeavingIsNotLost(t *testing.T) {
	t.Parallel()
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	slow := &slowToPart{begun: make(chan struct{}, 2), finish: make(chan struct{})}
	w := newNodeWorldOn(t, server.Address, func(s *store.Store) Store {
		slow.Store = s
		return slow
	})
	older, _ := w.link("local")
	_ = older.conn.CloseNow()
	<-slow.begun // it is the newest still, and about to write so

	newer := w.dial("local")
	newer.say(hello())
	newer.hear(wire.TypeWelcome)
	close(slow.finish) // and writes only now
	w.until("the older link is gone", func() bool { return w.links() == 1 })
	if n := w.node("local"); n.State != task.NodeReady {
		t.Errorf("the node is %s", n.State)
	}
}

func TestAFrameHoldsAMebibyteAndNoMore(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	beat := `{"type":"beat","beat":{"running":[{"task":"tnone","epoch":1}]}}`
	fits := beat + strings.Repeat(" ", wire.MaxFrame-len(beat))
	p.send([]byte(fits))
	p.dropped(wire.Ref{Task: "tnone", Epoch: 1})
	p.send([]byte(fits + " "))
	if c := p.ended(); c.Code != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v", c)
	}
	w.until("the node is lost", func() bool { return w.node("local").State == task.NodeLost })
}

func TestAFrameThatIsNotForTheGatewayEndsTheLink(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	for frame, word := range map[string]string{
		`{"type":"ack","ack":{"task":"t1","epoch":1,"seq":1}}`: "a node does not send ack",
		`{"type":"hello","hello":{"protocols":[1],"slots":1}}`: "a node does not send hello",
		`{"type":"events"}`:               "without its body",
		`{"type":"dance"}`:                "dance",
		`{"type":"beat","beat":{}`:        "not a frame",
		`{"type":"beat","done":{},"b":1}`: "beat",
	} {
		p, _ := w.link("local")
		p.send([]byte(frame))
		p.refused(word)
	}
}
