package agent

import (
	"context"
	"slices"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

func TestARealAgentIsRefusedWithoutIsolationUnlessItIsAskedFor(t *testing.T) {
	t.Parallel()
	for _, unsafe := range []bool{false, true} {
		g := newTestGateway(t)
		newUpstream(t, g)
		o := nodeOptions(g, t.TempDir())
		o.UnsafeNoIsolation = unsafe
		n := startNode(g, o, func(n *Node) { n.drivers = newDrivers(earnest{}) })
		s := start(g, "treal", 1, "anything")
		g.command(frame(s))
		events := g.finished(s.Ref)
		end := last(events)
		told := slices.ContainsFunc(events, func(e task.Event) bool { return e.Step != nil && strings.Contains(e.Step.Note, "NO ISOLATION") })
		if refused := end.Outcome == task.GaveUp && strings.Contains(end.Reason, "--unsafe-no-isolation"); refused == unsafe || told != unsafe {
			t.Errorf("unsafe %v: told %v, and it ended with %+v", unsafe, told, end)
		}
		n.stop()
	}
}

// earnest is a driver of a real agent that does nothing.
type earnest struct{}

func (earnest) Name() string { return "demo" }
func (earnest) Real() bool   { return true }

func (earnest) Run(context.Context, Workspace, wire.Start, func(task.Event) error, *answers) (task.End, error) {
	return task.End{Outcome: task.Done, Headline: "Nothing"}, nil
}

func TestANodeThatMakesProcessesSaysWhyAndWhatBecomesOfRealAgents(t *testing.T) {
	t.Parallel()
	const refused, unsafe = "real agents are refused", "NO ISOLATION: real agents run as this node's user"
	for _, row := range []struct {
		name, workspace string
		unsafe          bool
		want, why, not  string
	}{
		{"no engine answers", WorkspaceAuto, false, refused, "no container engine answers", "NO ISOLATION"},
		{"no engine answers, and isolation is given up", WorkspaceAuto, true, unsafe, "no container engine answers", "refused"},
		{"it is told to", KindProcess, false, refused, "as the node is told", "NO ISOLATION"},
		{"it is told to, and isolation is given up", KindProcess, true, unsafe, "as the node is told", "refused"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			o := nodeOptions(g, t.TempDir())
			o.Engine, o.Workspace, o.UnsafeNoIsolation = "unix:///no/such/engine.sock", row.workspace, row.unsafe
			n := startNode(g, o)
			g.await("its hello", func() bool { return len(g.hellos) == 1 && g.hellos[0].Workspace == KindProcess })
			n.stop()
			if log := n.log.String(); !strings.Contains(log, row.want) || !strings.Contains(log, row.why) || strings.Contains(log, row.not) {
				t.Errorf("its log is %s", log)
			}
		})
	}
}

func TestANodeThatIsToMakeContainersDoesNotStartWithoutAnEngine(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	o := nodeOptions(g, t.TempDir())
	o.Engine, o.Workspace = "unix:///no/such/engine.sock", KindDocker
	strict, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := strict.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is to work in containers") {
		t.Errorf("it ended with %v", err)
	}
	o.Workspace = "jail"
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "jail") {
		t.Errorf("got %v", err)
	}
}
