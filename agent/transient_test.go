package agent

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"

	"sam/agent/wire"
)

// killed is the owner of a process that was killed, and alive that of one that runs until the test's end.
func killed(t *testing.T) owner {
	t.Helper()
	who, end := alive(t)
	end()
	return who
}

func alive(t *testing.T) (who owner, end func()) {
	t.Helper()
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() { _ = c.Process.Kill(); _ = c.Wait() }
	t.Cleanup(end)
	who, err := ownerOf(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return who, end
}

// of makes a container as a node of that name would, in a folder of its own.
func (e testEngine) of(t *testing.T, node, owner string, started bool) (id string) {
	t.Helper()
	dir := nodeFolder(t)
	run := runFolder(filepath.Join(dir, "run"))
	b := box{thread: "7-12", task: "tleft", epoch: 1, tree: filepath.Join(dir, "tree"), home: filepath.Join(dir, "home"), run: run}
	made := &engine{
		client: e.client, image: DefaultImage, memory: 64 << 20, cpus: 1, processes: 64,
		node: node, folder: dir, owner: owner, sam: e.sam, agents: filepath.Join(dir, "agents"),
	}
	for _, folder := range []string{b.tree, b.home, made.agents} {
		if err := errors.Join(os.MkdirAll(folder, 0o755), give(folder)); err != nil {
			t.Fatal(err)
		}
	}
	err := run.make()
	if err == nil {
		id, err = made.create(t.Context(), b)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.remove(context.Background(), id); err != nil {
			t.Error(err)
		}
	})
	if !started {
		if err := e.client.ContainerKill(t.Context(), id, "KILL"); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func (e testEngine) exists(t *testing.T, id string) bool {
	t.Helper()
	all, err := e.client.ContainerList(t.Context(), container.ListOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(c container.Summary) bool { return c.ID == id })
}

func TestContainersOfATransientNodeThatWasKilledGoWhenAnyNodeStarts(t *testing.T) {
	t.Parallel()
	e := docker(t)
	victim, kill := alive(t) // until its containers are made: nodes of other tests start, too
	living, _ := alive(t)
	rows := []struct {
		name    string
		owner   string
		started bool
		stays   bool
		id      string
	}{
		{name: "its process was killed", owner: victim.String(), started: true},
		{name: "its process was killed, and it ended", owner: victim.String()},
		{name: "its process lives", owner: living.String(), started: true, stays: true},
		{name: "its process lives, and it ended", owner: living.String(), stays: true},
		{name: "of a node that may come back", started: true, stays: true},
		{name: "of a node that may come back, and it ended", stays: true},
	}
	for i, row := range rows {
		rows[i].id = e.of(t, "another-node", row.owner, row.started)
	}
	kill()
	g := newTestGateway(t)
	n := startNode(g, e.options(t, g))
	t.Cleanup(n.stop)
	g.await("its hello", func() bool { return len(g.hellos) == 1 })
	for _, row := range rows {
		if e.exists(t, row.id) != row.stays {
			t.Errorf("%s: stays is %v", row.name, !row.stays)
		}
	}
}

func TestAContainerIsOrphanedOnlyWhenItsProcessIsGoneForGood(t *testing.T) {
	t.Parallel()
	dead := killed(t)
	living, _ := alive(t)
	reused := living
	reused.start = "1" // the number was another process's before
	before := dead
	before.boot = "00000000-0000-0000-0000-000000000000"
	elsewhere := dead
	elsewhere.space = "pid:[1]"
	for _, row := range []struct {
		name, owner string
		state       container.ContainerState
		want        bool
	}{
		{"its process was killed", dead.String(), container.StateRunning, true},
		{"its process was killed before it was started", dead.String(), container.StateCreated, true},
		{"its process's number is another's now", reused.String(), container.StateRunning, true},
		{"its process was of an earlier boot", before.String(), container.StateExited, true},
		{"its process lives", living.String(), container.StateRunning, false},
		{"its process lives, and it ended", living.String(), container.StateExited, false},
		{"of another boot, and it runs", before.String(), container.StateRunning, false},
		{"of another boot, and it is about to run", before.String(), container.StateCreated, false},
		{"of another pid namespace", elsewhere.String(), container.StateRunning, false},
		{"with an owner that is none", "1", container.StateExited, false},
		{"without an owner", "", container.StateExited, false},
	} {
		if got := orphaned(container.Summary{State: row.state, Labels: map[string]string{labelOwner: row.owner}}); got != row.want {
			t.Errorf("%s: orphaned is %v", row.name, got)
		}
	}
}

func TestATransientNodesContainersBearItsProcess(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for _, transient := range []bool{true, false} {
		g := newTestGateway(t)
		newUpstream(t, g)
		o := e.options(t, g)
		o.Transient = transient
		n := startNode(g, o)
		t.Cleanup(n.stop)
		s := start(g, "towner", 1, "demo: wait")
		g.command(frame(s))
		g.said(s.Ref)
		left := e.ofNode(t, o.Dir)
		if len(left) != 1 {
			t.Fatalf("there are %v", left)
		}
		c, err := e.client.ContainerInspect(t.Context(), left[0].id)
		if err != nil {
			t.Fatal(err)
		}
		self, err := ownerOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if label, ok := c.Config.Labels[labelOwner]; ok != transient || transient && label != self.String() {
			t.Errorf("transient %v: the owner is %q", transient, label)
		}
		if !transient {
			g.command(stopFrame(s.Ref, "Seen enough."))
			g.finished(wire.Ref{Task: "towner", Epoch: 1})
		}
		n.stop()
		if left := e.ofNode(t, o.Dir); len(left) > 0 {
			t.Errorf("transient %v: left are %v", transient, left)
		}
	}
}

func TestATransientFolderOfAProcessThatWasKilledGoesWithTheNext(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dead := killed(t)
	living, _ := alive(t)
	for name, owner := range map[string]string{
		"sam-demo-dead": dead.String(), "sam-demo-alive": living.String(), "sam-demo-unknown": "", "sam-demo-strange": "1 2 3 4", "other-dead": dead.String(),
	} {
		modules := filepath.Join(tmp, name, "node", "modules")
		if err := os.MkdirAll(modules, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(modules, "go.mod"), nil, 0o400), os.Chmod(modules, 0o500)); err != nil {
			t.Fatal(err)
		}
		if owner == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(tmp, name, ownerFile), []byte(owner+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("other-dead", filepath.Join(tmp, "sam-demo-link")); err != nil {
		t.Fatal(err)
	}
	made, err := NewTransientFolder(t.Context(), "sam-demo-")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"other-dead", "sam-demo-alive", "sam-demo-link", "sam-demo-strange", "sam-demo-unknown"}
	if got := names(t, tmp, filepath.Base(made.Path)); !slices.Equal(got, want) {
		t.Errorf("there are %v", got)
	}
	second, err := NewTransientFolder(t.Context(), "sam-demo-")
	if err != nil {
		t.Fatal(err)
	}
	if !fileExists(made.Path) {
		t.Error("a second one of the same process removed the first")
	}
	if err := errors.Join(made.Remove(), made.Remove(), second.Remove()); err != nil {
		t.Error(err)
	}
	if got := names(t, tmp, ""); !slices.Equal(got, want) {
		t.Errorf("left are %v", got)
	}
}

// names are what is in a folder, in order, without one of them.
func names(t *testing.T, dir, without string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if entry.Name() != without {
			found = append(found, entry.Name())
		}
	}
	return found
}

func TestAnOwnerThatCannotBeReadOwnsNothing(t *testing.T) {
	t.Parallel()
	self, err := ownerOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if read, ok := parseOwner(self.String()); !ok || read != self || read.gone() {
		t.Errorf("this process is %v, %v", read, ok)
	}
	for _, text := range []string{"", "a", "a b -1 c", "a b 0 c", "a b c d", "a b 1 c d", strings.Repeat("x ", 5)} {
		if _, ok := parseOwner(text); ok {
			t.Errorf("%q was taken", text)
		}
	}
}
