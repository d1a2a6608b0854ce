package agent

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/docker/api/types/container"

	"sam/task"
)

// severed is a way to the engine that can be cut.
func (e testEngine) severed(t *testing.T) (address string, cut func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sam-engine-") //nolint:usetesting // the name of a socket in it holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var open sync.WaitGroup
	open.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", strings.TrimPrefix(e.client.DaemonHost(), "unix://"))
			if err != nil {
				_ = from.Close()
				continue
			}
			stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })
			open.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
			open.Go(func() { _, _ = io.Copy(from, to); _ = from.Close(); stop() })
		}
	})
	cut = func() { _ = listener.Close(); cancel() }
	t.Cleanup(func() { cut(); open.Wait(); _ = os.RemoveAll(dir) })
	return "unix://" + filepath.Join(dir, "engine.sock"), cut
}

func TestAContainerThatIsGoneInMidTaskIsTold(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for _, row := range []struct {
		name, want string
		engine     bool // goes as well
		end        func(id string) error
	}{
		{"the engine went", "container engine went away", true, func(id string) error { return e.client.ContainerKill(t.Context(), id, "KILL") }},
		{"it was killed", "container ended with exit code 137", false, func(id string) error { return e.client.ContainerKill(t.Context(), id, "KILL") }},
		{"it was removed", "removed from outside", false, func(id string) error {
			return e.client.ContainerRemove(t.Context(), id, container.RemoveOptions{Force: true})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			newUpstream(t, g)
			o := e.options(t, g)
			address, cut := e.severed(t)
			o.Engine = address
			n := startNode(g, o)
			t.Cleanup(n.stop)
			s := start(g, "tgone", 1, "demo: wait")
			g.command(frame(s))
			g.said(s.Ref)
			found := e.ofNode(t, o.Dir)
			if len(found) != 1 {
				t.Fatalf("there are %+v", found)
			}
			if row.engine {
				cut()
			}
			if err := row.end(found[0].id); err != nil {
				t.Fatal(err)
			}
			if end := last(g.finished(s.Ref)); end.Outcome != task.Died || !strings.Contains(end.Reason, row.want) {
				t.Errorf("it ended with %+v", end)
			}
			n.stop()
			for _, c := range e.ofNode(t, o.Dir) { // which the engine could not be told to remove
				_ = e.client.ContainerRemove(context.Background(), c.id, container.RemoveOptions{Force: true})
			}
		})
	}
}
