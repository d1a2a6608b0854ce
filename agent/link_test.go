package agent

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"sam/agent/wire"
	"sam/task"
)

func TestANodeSaysWhoItIsAndThatItLives(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	n := newNode(t, g)
	g.await("the first link", func() bool { return len(g.beats) > 0 })
	if err := os.MkdirAll(filepath.Join(n.options.Dir, "mirrors", "42.git"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.disconnect()
	g.await("two beats of the second link", func() bool { return len(g.hellos) > 1 && len(g.beats) >= 2 })
	n.stop()
	hello := g.hellos[len(g.hellos)-1]
	if hello.Node != "node-1" || hello.Version != "test" || hello.Slots != 2 || hello.Workspace != "process" ||
		fmt.Sprint(hello.Agents, hello.Protocols, hello.Mirrors) != "[claude demo] [3 2 1] [42]" {
		t.Errorf("it said %+v", hello)
	}
	if b := g.beats[0]; b.MemFree == 0 || b.DiskFree == 0 || b.Running == nil {
		t.Errorf("its beat is %+v", b)
	}
}

func TestALostLinkIsToldOnceAndComesBack(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	n := newNode(t, g)
	g.await("the first link", func() bool { return len(g.hellos) == 1 })
	g.change(func() { g.fail[wire.LinkPath] = 5 })
	g.disconnect()
	g.await("the second link", func() bool { return len(g.hellos) == 2 && len(g.beats) > 0 })
	n.stop()
	log := n.log.String()
	if lost, failed, up := strings.Count(log, "hear from the gateway"), strings.Count(log, "answered 503"), strings.Count(log, "linked to the gateway"); lost != 1 || failed != 1 || up != 2 {
		t.Errorf("told: %d lost, %d failed, %d up\n%s", lost, failed, up, log)
	}
}

func TestARefusedNodeIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		node   func(*Options)
		change func(*testGateway)
		want   string
	}{
		{"a token that is not known", func(o *Options) { o.Token = "wrong" }, func(*testGateway) {}, "Give the node the token that was made for it"},
		{"a gateway of another time", func(*Options) {}, func(g *testGateway) { g.protocol = 9 }, "install the same release on both"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			row.change(g)
			var dials int
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				g.change(func() { dials++ })
				g.ServeHTTP(w, r)
			}))
			defer front.Close()
			o := nodeOptions(g, t.TempDir())
			o.Gateway = front.URL
			row.node(&o)
			n := startNode(g, o)
			g.await("a few tries", func() bool { return dials > 3 })
			n.stop()
			if got := strings.Count(n.log.String(), row.want); got != 1 {
				t.Errorf("%q is told %d times:\n%s", row.want, got, n.log)
			}
			if strings.Contains(n.log.String(), o.Token) {
				t.Error("the token is in the log")
			}
		})
	}
}

func TestAPeerThatIsGoneWithoutAWordIsNoticed(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	g.deaf = true
	n := startNode(g, nodeOptions(g, t.TempDir()), func(n *Node) { n.pace.ping, n.pace.answer = 20*time.Millisecond, 100*time.Millisecond })
	defer n.stop()
	g.await("the first link", func() bool { return len(g.hellos) > 0 }) // and more, as long as it is deaf
	links := 0
	g.change(func() { g.deaf, links = false, len(g.hellos) })
	g.await("the next link", func() bool { return len(g.hellos) > links })
}

func TestWithUsualPaceADeadPeerIsNoticedWithinTwentySeconds(t *testing.T) {
	t.Parallel()
	if p := usualPace(); p.ping+p.answer > 20*time.Second || p.batch+task.MaxEvent+1<<10 > wire.MaxFrame {
		t.Errorf("the pace is %+v", p)
	}
}

func TestANodeThatEndsTakesLeave(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	const tries = 5 // others share the machine: the best counts
	for try := range tries {
		n := newNode(t, g)
		g.await("the link", func() bool { return len(g.beats) > 0 })
		began := time.Now()
		n.stop()
		took := time.Since(began)
		g.await("its leave", func() bool { return len(g.left) > try })
		if got := g.left[try]; got != websocket.StatusGoingAway {
			t.Errorf("the link ended with %d", got)
		}
		if took < 900*time.Millisecond { // the gateway answers the close; without that it takes a second
			return
		}
		g.change(func() { g.beats = nil })
		t.Logf("it took %s", took)
	}
	t.Error("it always waits a second")
}

// Links break after any number of frames and acknowledgements come late or never: each event arrives once, in order.
func TestWhateverLinksBreakEachEventArrivesOnceInOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		g := &testGateway{upstream: root}
		g.begin(t)
		defer g.end()
		g.cutAfter = rapid.SliceOfN(rapid.IntRange(1, 4), 0, 6).Draw(t, "cuts")
		g.ackEach = rapid.IntRange(1, 4).Draw(t, "acks")
		n := startNode(g, nodeOptions(g, filepath.Join(root, strconv.Itoa(run))), func(n *Node) {
			n.pace.batch = task.MaxEvent + 1
			n.drivers = newDrivers()
		})
		defer n.stop()
		g.await("the link", func() bool { return len(g.hellos) > 0 })
		var specs []*spool
		for i := range rapid.IntRange(1, 3).Draw(t, "attempts") {
			ref := wire.Ref{Task: "t" + strconv.Itoa(i), Epoch: 1}
			g.change(func() { g.after[ref] = 0 })
			s, err := n.spools.create(ref, 0)
			if err != nil {
				t.Fatal(err)
			}
			specs = append(specs, s)
		}
		count := rapid.IntRange(1, 20).Draw(t, "events")
		for i := range count {
			for _, s := range specs {
				if err := s.append(said(strings.Repeat(strconv.Itoa(i), rapid.SampledFrom([]int{1, 20_000}).Draw(t, "size")))); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range specs {
			if err := s.append(finished(task.End{Outcome: task.Done})); err != nil {
				t.Fatal(err)
			}
			if events := g.finished(s.ref); len(events) != count+1 {
				t.Fatalf("%d events arrived of %d", len(events), count+1)
			}
		}
	})
}

func TestASlowGatewayDoesNotHoldUpTheAgent(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	g.deaf = true
	n := startNode(g, nodeOptions(g, t.TempDir()))
	defer n.stop()
	g.await("the link", func() bool { return len(g.hellos) == 1 })
	ref := wire.Ref{Task: "tslow", Epoch: 1}
	s, err := n.spools.create(ref, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.change(func() { g.after[ref] = 0 })
	line := strings.Repeat("x", 60_000)
	for range 400 { // 24 MB, more than sockets hold
		if err := s.append(said(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.append(finished(task.End{Outcome: task.Done})); err != nil {
		t.Fatal(err)
	}
	g.change(func() { g.deaf = false })
	g.disconnect()
	if events := g.finished(ref); len(events) != 401 {
		t.Errorf("%d events arrived", len(events))
	}
}

func TestVitalsAreRead(t *testing.T) {
	t.Parallel()
	if got := memory("MemTotal: 9 kB\nMemAvailable:    2048 kB\n", "MemAvailable"); got != 2<<20 {
		t.Errorf("got %d", got)
	}
	if got := memory("nothing", "MemAvailable"); got != 0 {
		t.Errorf("got %d", got)
	}
}
