package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"sam/agent/shim"
	"sam/agent/wire"
	"sam/task"
)

// testEngine is the real engine, and the static sam binary that is a container's first process.
type testEngine struct {
	client *client.Client
	sam    string
}

// built is sam as it is released: static, which a test binary is not. The first test that needs it builds it, TestMain
// removes it.
var built struct {
	sync.Once
	path string
	err  error
}

func build() {
	dir, err := os.MkdirTemp("", "sam-built-")
	if err != nil {
		built.err = err
		return
	}
	built.path = filepath.Join(dir, "sam")
	c := exec.Command("go", "build", "-ldflags=-s -w", "-o", built.path, "sam")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("build sam: %w\n%s", err, out)
	}
}

// docker finds the engine, or skips loudly.
func docker(t *testing.T) testEngine {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: -short leaves out what needs a container engine")
	}
	c, err := openEngine(t.Context(), "")
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: no container engine answers (%v). scripts/tools starts one, as root on Debian", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.ImageInspect(t.Context(), DefaultImage); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: there is no image %s (%v). scripts/image builds it", DefaultImage, err)
	}
	built.Do(build)
	if built.err != nil {
		t.Fatal(built.err)
	}
	return testEngine{c, built.path}
}

// options are those of a node that works in containers.
func (e testEngine) options(t *testing.T, g *testGateway) Options {
	o := nodeOptions(g, nodeFolder(t))
	o.Workspace, o.Executable = KindDocker, e.sam
	return o
}

// nodeFolder is removed with what containers wrote in it.
func nodeFolder(t *testing.T) string {
	dir, err := os.MkdirTemp("", "sam-node-") //nolint:usetesting // what a container wrote is not the test's to remove as that would
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// workspace is one that is up, without a tree or a way to the gateway.
func (e testEngine) workspace(t *testing.T) *dockerWorkspace {
	t.Helper()
	return e.workspaceWith(t, false)
}

func (e testEngine) workspaceWith(t *testing.T, sudo bool) *dockerWorkspace {
	t.Helper()
	dir := nodeFolder(t)
	ending := make(chan struct{})
	w := &workspaces{dir: dir, runs: filepath.Join(dir, "run"), ending: ending, engine: &engine{
		client: e.client, image: DefaultImage, memory: 512 << 20, cpus: 1, sudo: sudo,
		node: "test", folder: dir, sam: e.sam, agents: filepath.Join(dir, "agents"),
	}}
	s := wire.Start{Thread: "7-12", Ref: wire.Ref{Task: "tbox", Epoch: 1}}
	made, b := w.container(s, heads{})
	b.objects = ""
	for _, folder := range []string{b.tree, b.home, w.engine.agents} {
		if err := errors.Join(os.MkdirAll(folder, 0o755), give(folder)); err != nil {
			t.Fatal(err)
		}
	}
	made.wait = patience{interrupt: 200 * time.Millisecond, terminate: 300 * time.Millisecond}
	t.Cleanup(func() {
		if err := made.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := made.up(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return made
}

// processes are the commands that run in a container beside the shim.
func (e testEngine) processes(t *testing.T, id string) []string {
	t.Helper()
	top, err := e.client.ContainerTop(t.Context(), id, []string{"-o", "pid,args"})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range top.Processes {
		if command := p[len(p)-1]; !strings.HasSuffix(command, "sam shim") {
			found = append(found, command)
		}
	}
	return found
}

func TestAContainerHasNothingThatItIsNotGiven(t *testing.T) {
	t.Parallel()
	e := docker(t)
	w := e.workspace(t)
	script := `
		id -u
		grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status
		ls /sys/class/net
		cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null
		cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
		touch /opt/sam/sam 2>&1; touch /opt/sam/agents/x 2>&1; touch /run/sam/node/x 2>&1
		ls /var/run/docker.sock 2>&1
		cat /proc/1/environ 2>&1
		env | grep -i token
		echo end`
	out, err := output(t.Context(), w, "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		strconv.Itoa(boxUser()) + "\n", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "\nlo\n", "\n512\n", "\n536870912\n",
		"'/opt/sam/sam'", "'/opt/sam/agents/x': Read-only file system", "'/run/sam/node/x': Read-only file system",
		"'/var/run/docker.sock': No such file", "/proc/1/environ: Permission denied",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in what it sees:\n%s", want, out)
		}
	}
	if strings.Contains(out, "eth0") {
		t.Errorf("it has a network:\n%s", out)
	}
	c, err := e.client.ContainerInspect(t.Context(), w.id)
	if err != nil {
		t.Fatal(err)
	}
	if h := c.HostConfig; h.Privileged || len(h.Binds) > 0 || h.PidMode != "" || h.UTSMode != "" || h.MemorySwap != h.Memory || h.NanoCPUs != 1e9 || len(h.Devices) > 0 {
		t.Errorf("it is made with %+v", h)
	}
}

func TestSudoIsToBeHadWhereItIsAllowedAndNothingMore(t *testing.T) {
	t.Parallel()
	w := docker(t).workspaceWith(t, true)
	out, err := output(t.Context(), w, "sh", "-c", "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status; ls /sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID and AUDIT_WRITE, by their bits; none is in effect without sudo.
	for _, want := range []string{strconv.Itoa(boxUser()) + "\n", "NoNewPrivs:\t0", "CapEff:\t0000000000000000", "CapBnd:\t00000000200000db", "\nlo\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in what it sees:\n%s", want, out)
		}
	}
}

func TestAProgramInAContainerRunsAsItDoesInAProcess(t *testing.T) {
	t.Parallel()
	w := docker(t).workspace(t)
	var out, words bytes.Buffer
	started := 0
	exit, err := w.Exec(t.Context(), Command{
		Args: []string{"sh", "-c", `read line; echo "$line $MORE in $PWD"; cat | wc -c; echo oops >&2; exit 7`}, Env: []string{"MORE=more"},
		Stdin: strings.NewReader("first\n" + strings.Repeat("x", 300<<10)), Stdout: &out, Stderr: &words, Started: func() { started++ },
	})
	if err != nil || exit != (Exit{Code: 7}) || started != 1 {
		t.Errorf("it %s, started %d times, %v", exit, started, err)
	}
	if want := "first more in /workspace\n307200\n"; out.String() != want || words.String() != "oops\n" {
		t.Errorf("it printed %q and %q", out.String(), words.String())
	}
	if exit, err := w.Exec(t.Context(), Command{Args: []string{"sh", "-c", "kill -9 $$"}}); err != nil || exit.Signal != 9 {
		t.Errorf("it %s, %v", exit, err)
	}
	for _, args := range [][]string{{"no-such-program"}, {"/no/such/program"}, {"/etc/passwd"}, nil} {
		if _, err := w.Exec(t.Context(), Command{Args: args}); err == nil {
			t.Errorf("%v ran", args)
		}
	}
}

func TestAProgramOfAnotherLibcSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := docker(t).workspace(t)
	// A program whose loader is not in the image: the same bytes as one that runs, with another loader's name.
	script := `sed 's|/lib64/ld-linux-x86-64.so.2|/lib64/ld-musl-x86-64.so.1|' /bin/true >stray; chmod +x stray`
	if _, err := output(t.Context(), w, "sh", "-c", script); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Exec(t.Context(), Command{Args: []string{"/workspace/stray"}}); err == nil || !strings.Contains(err.Error(), "another libc") {
		t.Errorf("got %v", err)
	}
}

func TestStoppedMeansThatNothingOfTheAgentIsLeft(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for _, row := range []struct {
		name, script string
		stop         bool
	}{
		{"it ignores SIGTERM", `trap '' TERM INT HUP; echo ready; while :; do sleep 0.01; done`, true},
		{"it has forked daemons", `for i in 1 2 3; do (setsid sh -c 'trap "" TERM; sleep 1000 & while :; do sleep 0.01; done' >/dev/null 2>&1 &); done; echo ready; sleep 1000`, true},
		{"it ended and left daemons", `(setsid sh -c 'trap "" TERM; while :; do sleep 0.01; done' >/dev/null 2>&1 &); echo ready; exit 0`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := e.workspace(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			out := &lines{max: 100, each: func([]byte, bool) {
				if row.stop {
					cancel(&stopped{reason: "Stopped by ada."})
				}
			}}
			began := time.Now()
			_, err := w.Exec(ctx, Command{Args: []string{"sh", "-c", row.script}, Key: agentKey, Stdout: out})
			if !row.stop && err != nil {
				t.Error(err)
			}
			if left := e.processes(t, w.id); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
			t.Logf("ended after %s", time.Since(began))
		})
	}
}

func TestAnAgentThatPrintsWithoutEndIsEndedAndSaysSo(t *testing.T) {
	t.Parallel()
	w := docker(t).workspace(t)
	var count counter
	_, err := w.Exec(t.Context(), Command{Args: []string{"sh", "-c", "exec head -c 1000000000 /dev/zero"}, Key: agentKey, Stdout: &count})
	if err == nil || !strings.Contains(err.Error(), "printed more than 256 MiB") {
		t.Errorf("got %v", err)
	}
	if count != shim.MaxOutput {
		t.Errorf("%d bytes came", count)
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func TestAnAttemptInAContainerEndsWithThePushedWorkOfTheAgent(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	u := newUpstream(t, g)
	n := startNode(g, e.options(t, g))
	t.Cleanup(n.stop)
	for i, request := range []string{"add rate limiting to /api/upload", "add a health check"} {
		s := start(g, "tbox"+strconv.Itoa(i), 1, request)
		began := time.Now()
		g.command(frame(s))
		g.said(s.Ref)
		t.Logf("the agent's first word came after %s", time.Since(began))
		events := g.finished(s.Ref)
		end := last(events)
		if end.Outcome != task.Done || end.Left {
			t.Fatalf("it ended with %+v", end)
		}
		for _, e := range events {
			if e.Step != nil {
				t.Logf("%s: %d ms %s", e.Step.Name, e.Step.MS, e.Step.Note)
			}
		}
		g.await("a beat without it", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
	}
	if got := gitIn(t, u.dir, "rev-list", "--count", "main..sam/12-uploads"); got != "2" {
		t.Errorf("the branch has %s commits", got)
	}
	if kept, err := filepath.Glob(filepath.Join(n.options.Dir, "workspaces", "*.kept-*")); err != nil || len(kept) > 0 {
		t.Errorf("a workspace whose work was pushed is kept: %v %v", kept, err)
	}
	g.mu.Lock()
	if kind := g.hellos[0].Workspace; kind != KindDocker {
		t.Errorf("the node reports %s", kind)
	}
	g.mu.Unlock()
	n.stop()
	noSecretOnDisk(t, n.options.Dir)
	if left := e.ofNode(t, n.options.Dir); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

// ofNode lists the containers of a node's folder.
func (e testEngine) ofNode(t *testing.T, dir string) []left {
	t.Helper()
	found, err := (&engine{client: e.client, node: "node-1", folder: dir}).list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAnAgentThatDiesInAContainerLeavesItsWorkBehindAndItIsKept(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	n := startNode(g, e.options(t, g))
	t.Cleanup(n.stop)
	for i, id := range []string{"tdiea", "tdieb"} {
		s := start(g, id, 1, "demo: die")
		g.command(frame(s))
		events := g.finished(s.Ref)
		if end := last(events); end.Outcome != task.Died || !end.Left || !strings.Contains(end.Reason, "signal 9") {
			t.Errorf("it ended with %+v", end)
		}
		told := slices.ContainsFunc(events, func(e task.Event) bool {
			return e.Step != nil && strings.Contains(e.Step.Note, "kept on the node as 7-12.kept-1")
		})
		if told != (i > 0) {
			t.Errorf("%s: that work was kept is told: %v", id, told)
		}
	}
}

// chatty is a driver whose agent counts, a line at a time, and waits for a file before the second half.
type chatty struct{}

func (chatty) Name() string { return "demo" }
func (chatty) Real() bool   { return true }

const chattyLines = 2000

func (chatty) Run(ctx context.Context, w Workspace, _ wire.Start, emit func(task.Event) error) (task.End, error) {
	script := fmt.Sprintf(`read word; echo "$word"; i=1; while [ $i -le %d ]; do echo line $i; [ $i = %d ] && while [ ! -e go ]; do sleep 0.05; done; i=$((i+1)); done
		rm go; git commit --quiet --allow-empty --message=counted; echo done`, chattyLines, chattyLines/2)
	var failed error
	exit, err := w.Exec(ctx, Command{
		Args: []string{"sh", "-c", script}, Key: agentKey, Stdin: strings.NewReader("hello\n"),
		Stdout: &lines{max: 100, each: func(line []byte, _ bool) { failed = errors.Join(failed, emit(said(string(line)))) }},
	})
	if err = errors.Join(err, failed); err != nil {
		return task.End{}, err
	}
	if exit != (Exit{}) {
		return task.End{}, errors.New("it " + exit.String())
	}
	return task.End{Outcome: task.Done, Headline: "Counted"}, nil
}

func TestANodeThatRestartsGoesOnWithAnAgentInAContainerAndLosesNoEvent(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	u := newUpstream(t, g)
	o := e.options(t, g)
	counts := func(n *Node) { n.drivers = newDrivers(chatty{}) }
	n := startNode(g, o, counts)
	s := start(g, "tgoon", 1, "count")
	g.command(frame(s))
	g.await("half of it", func() bool { return len(g.events[s.Ref]) > chattyLines/4 })
	n.stop()
	if found := e.ofNode(t, o.Dir); len(found) != 1 || !found[0].running {
		t.Fatalf("while no node runs there are %+v", found)
	}
	noSecretOnDisk(t, o.Dir)
	// Once more, with the agent waiting: nothing new to tell, nothing told again.
	n = startNode(g, o, counts)
	g.await("the first half, and the agent at work", func() bool {
		return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 1 && slices.ContainsFunc(g.events[s.Ref], func(e task.Event) bool { return e.Text == fmt.Sprint("line ", chattyLines/2) })
	})
	n.stop()
	tree := filepath.Join(o.Dir, "workspaces", s.Thread)
	if err := os.WriteFile(filepath.Join(tree, "go"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	n = startNode(g, o, counts)
	defer n.stop()
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done {
		t.Fatalf("it ended with %+v", end)
	}
	want := []string{"hello"}
	for i := 1; i <= chattyLines; i++ {
		want = append(want, fmt.Sprint("line ", i))
	}
	want = append(want, "done")
	var got []string
	for _, e := range events {
		if e.Kind == task.Said {
			got = append(got, e.Text)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("said were %d lines, not %d", len(got), len(want))
	}
	if got := u.branches(); got != "main\nsam/12-uploads" {
		t.Errorf("the branches are %q", got)
	}
	n.stop()
	if found := e.ofNode(t, o.Dir); len(found) > 0 {
		t.Errorf("containers are left: %v", found)
	}
	if left, err := os.ReadDir(filepath.Join(o.Dir, "attempts")); err != nil || len(left) > 0 {
		t.Errorf("noted attempts are left: %v %v", left, err)
	}
}

func TestAnAttemptThatTheGatewayForgotMeanwhileGoesWithItsContainer(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	n := startNode(g, o)
	s := start(g, "tgone", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	n.stop()
	g.change(func() { delete(g.after, s.Ref) })
	n = startNode(g, o)
	defer n.stop()
	g.await("a beat", func() bool { return len(g.hellos) == 2 && len(g.beats) > 0 })
	if found := e.ofNode(t, o.Dir); len(found) > 0 {
		t.Errorf("containers are left: %v", found)
	}
}

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

func TestAnImageThatIsNotThereSaysHowToComeByIt(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	o.Image = "127.0.0.1:1/no/such:image"
	n := startNode(g, o)
	t.Cleanup(n.stop)
	s := start(g, "timage", 1, "demo: pretend")
	g.command(frame(s))
	if end := last(g.finished(s.Ref)); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, o.Image) || !strings.Contains(end.Reason, "docs/workspaces.md") {
		t.Errorf("it ended with %+v", end)
	}
}

func TestTheShimsSocketIsNotFollowedElsewhere(t *testing.T) {
	t.Parallel()
	run := runFolder(filepath.Join(t.TempDir(), "run"))
	if err := run.make(); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", elsewhere)
	if err != nil {
		t.Skipf("the test's folder has too long a name: %v", err)
	}
	defer listener.Close()
	if err := os.Symlink(elsewhere, filepath.Join(run.shim(), shim.Socket)); err != nil {
		t.Fatal(err)
	}
	if conn, err := run.dial(t.Context()); err == nil {
		_ = conn.Close()
		t.Error("a link to another socket was followed")
	}
}

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

func TestANodeWithoutAnEngineMakesProcessesOrSaysThatItCannotMakeContainers(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	o := nodeOptions(g, t.TempDir())
	o.Engine = "unix:///no/such/engine.sock"
	o.Workspace = WorkspaceAuto
	n := startNode(g, o)
	g.await("its hello", func() bool { return len(g.hellos) == 1 && g.hellos[0].Workspace == KindProcess })
	n.stop()
	o.Workspace = KindDocker
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

// installed is a driver that runs what is installed on the node for it, and asks the broker for what the forwarder has.
type installed struct{}

func (installed) Name() string { return "demo" }
func (installed) Real() bool   { return true }

func (installed) Run(ctx context.Context, w Workspace, s wire.Start, emit func(task.Event) error) (task.End, error) {
	out, err := output(ctx, w, w.Agents()+"/tool/run")
	if err != nil {
		return task.End{}, err
	}
	code, err := output(ctx, w, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "x-api-key: "+s.Token, w.Broker()+wire.ModelPath+s.Task+"/nothing")
	if err != nil {
		return task.End{}, err
	}
	if err := emit(said(strings.TrimSpace(out) + " " + code)); err != nil {
		return task.End{}, err
	}
	return task.End{Outcome: task.Done, Headline: "Ran"}, nil
}

func TestAnInstalledAgentRunsInAContainerAndReachesItsModelOnly(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	n := startNode(g, o, func(n *Node) { n.drivers = newDrivers(installed{}) })
	t.Cleanup(n.stop)
	tool := filepath.Join(o.Dir, "agents", "tool")
	if err := errors.Join(os.Mkdir(tool, 0o755), os.WriteFile(filepath.Join(tool, "run"), []byte("#!/bin/sh\necho installed\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	s := start(g, "ttool", 1, "anything")
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done {
		t.Fatalf("it ended with %+v", end)
	}
	// This gateway has no model: 404 is its own answer, got through the container's loopback.
	if !slices.ContainsFunc(events, func(e task.Event) bool { return e.Text == "installed 404" }) {
		t.Errorf("it did not reach them: %+v", events)
	}
}

// earnest is a driver of a real agent that does nothing.
type earnest struct{}

func (earnest) Name() string { return "demo" }
func (earnest) Real() bool   { return true }

func (earnest) Run(context.Context, Workspace, wire.Start, func(task.Event) error) (task.End, error) {
	return task.End{Outcome: task.Done, Headline: "Nothing"}, nil
}
