package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

func write(t *testing.T, path string, bytes int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, bytes), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderIsMeasuredByWhatItTakesOfTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	write(t, filepath.Join(outside, "huge"), 8<<20)
	tree := filepath.Join(dir, "tree")
	write(t, filepath.Join(tree, "a", "b", "file"), 1<<20)
	for i := range 10 {
		if err := os.Link(filepath.Join(tree, "a", "b", "file"), filepath.Join(tree, "a", string(rune('0'+i)))); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(tree, "sparse"), 0)
	if err := os.Truncate(filepath.Join(tree, "sparse"), 1<<40); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"out": outside, "loop": ".", "file": filepath.Join(outside, "huge")} {
		if err := os.Symlink(to, filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var u usage
	if err := u.measure(t.Context(), root, "tree"); err != nil || u.bytes < 1<<20 || u.bytes > 2<<20 {
		t.Errorf("it takes %d bytes, %v", u.bytes, err)
	}
	u = usage{}
	if err := errors.Join(u.measure(t.Context(), root, "gone"), u.measure(t.Context(), root, "tree/out")); err != nil || u.bytes != 0 {
		t.Errorf("what is not there, or a link, takes %d bytes, %v", u.bytes, err)
	}
	deep := tree
	for range maxDepth + 2 {
		deep += "/d"
	}
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := u.measure(t.Context(), root, "tree"); !errors.Is(err, errTooDeep) {
		t.Errorf("of folders without end it says %v", err)
	}
}

// filling is a driver that has a program write, and then waits.
type filling struct{ script string }

func (filling) Name() string { return "demo" }
func (filling) Real() bool   { return false }

func (f filling) Run(ctx context.Context, w Workspace, _ wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	if err := emit(stepped(task.StepAgent, time.Now(), "")); err != nil {
		return task.End{}, err
	}
	if _, err := w.Exec(ctx, Command{Args: []string{"sh", "-c", f.script + "\nexec sleep 600"}, Key: agentKey}); err != nil {
		return task.End{}, err
	}
	return task.End{}, context.Cause(ctx)
}

func TestAWorkspaceThatTakesMoreOfTheDiskThanItMayIsStopped(t *testing.T) {
	t.Parallel()
	scripts := map[string]string{
		"its tree": "head -c 60000000 /dev/zero > big",
		"its home": `head -c 60000000 /dev/zero > "$HOME/big"`,
		"nesting":  `i=0; while [ $i -lt 450 ]; do mkdir d && cd d || exit; i=$((i+1)); done`,
	}
	for what, script := range scripts {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			u := newUpstream(t, g)
			o := nodeOptions(g, t.TempDir())
			o.Disk = 20 << 20
			n := startNode(g, o, func(n *Node) {
				n.drivers = newDrivers(filling{"git commit --quiet --allow-empty --message=halfway\n" + script})
			})
			t.Cleanup(n.stop)
			s := start(g, "tfill", 1, "x")
			g.command(frame(s))
			end := last(g.finished(s.Ref))
			if end.Outcome != task.GaveUp || what != "nesting" && !strings.Contains(end.Reason, "of the node's disk, and it may take 20 MiB (`disk`") {
				t.Errorf("it ended with %+v", end)
			}
			if got := gitIn(t, u.dir, "log", "-1", "--format=%s", s.Branch); got != "halfway" {
				t.Errorf("pushed is %q", got)
			}
			g.await("its slot", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
			n.stop()
			if home := n.workspaces.home(s.Thread); fileExists(filepath.Join(home, "big")) {
				t.Error("its home is left, with what the next attempt would be stopped by")
			}
		})
	}
}

func TestWhatAContainerWritesToItsOwnFilesCounts(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	o.Disk = 20 << 20
	n := startNode(g, o, func(n *Node) { n.drivers = newDrivers(filling{"head -c 60000000 /dev/zero > /var/tmp/big"}) })
	t.Cleanup(n.stop)
	s := start(g, "tlayer", 1, "x")
	g.command(frame(s))
	if end := last(g.finished(s.Ref)); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "of the node's disk, and it may take 20 MiB") {
		t.Errorf("it ended with %+v", end)
	}
}

// scarce lets a test say how much room the node's disk has.
func scarce(free *atomic.Int64) func(*Node) {
	return func(n *Node) {
		n.disk.space = func() (int64, float64, error) { return free.Load(), 1, nil }
	}
}

func TestANodeWithoutRoomTakesNoTaskAndSaysWhy(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	var free atomic.Int64
	free.Store(100 << 20)
	n := startNode(g, nodeOptions(g, t.TempDir()), scarce(&free))
	t.Cleanup(n.stop)
	s := start(g, "tfull", 1, "x")
	g.command(frame(s))
	if end := last(g.finished(s.Ref)); end.Outcome != task.Lost || !strings.Contains(end.Reason, "100 MiB left, and 2048 MiB are to stay free (`keep_free`") {
		t.Errorf("it ended with %+v", end)
	}
}

func TestWhenTheDiskRunsFullTheLargestWorkspaceIsStopped(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	var free atomic.Int64
	free.Store(100 << 30)
	n := startNode(g, nodeOptions(g, t.TempDir()), scarce(&free), func(n *Node) {
		n.drivers = newDrivers(filling{`case "$HOME" in */7-13.home) head -c 9000000 /dev/zero > big;; esac`})
	})
	t.Cleanup(n.stop)
	small := start(g, "tsmall", 1, "x")
	g.command(frame(small))
	g.await("an agent that runs", func() bool { return len(g.events[small.Ref]) > 2 })
	large := start(g, "tlarge", 1, "x")
	large.Thread = "7-13"
	g.command(frame(large))
	g.await("both agents measured", func() bool {
		n.disk.mu.Lock()
		defer n.disk.mu.Unlock()
		return slices.ContainsFunc(n.disk.watched, func(w *watched) bool { return w.thread == "7-13" && w.bytes > 8<<20 }) &&
			slices.ContainsFunc(n.disk.watched, func(w *watched) bool { return w.thread == "7-12" && w.bytes > 0 })
	})
	n.disk.mu.Lock()
	for _, w := range n.disk.watched {
		stop := w.stop
		w.stop = func(why *stopped) { free.Store(100 << 30); stop(why) } // there is room as soon as one is stopped
	}
	n.disk.mu.Unlock()
	free.Store(1 << 30)
	g.await("the end of one", func() bool { return over(g.events[large.Ref]) })
	if end := last(g.finished(large.Ref)); end.Outcome != task.Lost || !strings.Contains(end.Reason, "nearly full") {
		t.Errorf("it ended with %+v", end)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if over(g.events[small.Ref]) {
		t.Error("the other one is stopped as well")
	}
}

func TestOneAttemptAtATimeIsStoppedForRoom(t *testing.T) {
	t.Parallel()
	var told []string
	d := &disk{space: func() (int64, float64, error) { return 0, 1, nil }}
	for thread, bytes := range map[string]int64{"7-1": 10, "7-2": 30, "7-3": 20} {
		d.watched = append(d.watched, &watched{thread: thread, bytes: bytes, stop: func(*stopped) { told = append(told, thread) }})
	}
	for range 3 {
		if !d.stopLargest(t.Context()) {
			t.Error("nothing is stopped")
		}
	}
	d.watched = slices.DeleteFunc(d.watched, func(w *watched) bool { return w.stopped }) // it has ended
	d.stopLargest(t.Context())
	if !slices.Equal(told, []string{"7-2", "7-3"}) {
		t.Errorf("stopped are %v", told)
	}
	if (&disk{}).stopLargest(t.Context()) {
		t.Error("where nothing runs something is stopped")
	}
}

func over(events []task.Event) bool {
	return slices.ContainsFunc(events, func(e task.Event) bool { return e.Kind == task.Finished })
}

// aged sets back when a tree was used.
func aged(t *testing.T, tree string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(tree+usedSuffix, at, at); err != nil {
		t.Fatal(err)
	}
}

// left makes what attempts leave, used so long ago, and lists what of it is there after a sweep.
func swept(t *testing.T, n *Node, ages map[string]time.Duration, short func() bool) []string {
	t.Helper()
	w := n.workspaces
	for name, age := range ages {
		base := strings.TrimSuffix(name, pushedSuffix)
		tree := w.tree(base)
		write(t, filepath.Join(tree, "file"), 10)
		if name != base {
			write(t, w.tree(name), 0)
		}
		if !strings.Contains(base, keptInfix) {
			write(t, filepath.Join(w.home(base), "file"), 10)
		}
		if err := w.borrows(tree, 7); err != nil {
			t.Fatal(err)
		}
		aged(t, tree, age)
	}
	n.sweep(t.Context(), short)
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestIdleWorkspacesGoByAgeAndNoneThatHoldsWorkOrIsInUse(t *testing.T) {
	t.Parallel()
	const old = idleWorkspace + time.Hour
	ages := map[string]time.Duration{
		"7-1.pushed": old, "7-2.pushed": time.Hour, "7-3": old, "7-4.kept-1": old, "7-5.pushed": old, "7-5.kept-2": old,
	}
	n := newNode(t, newTestGateway(t))
	unlock, err := n.workspaces.locks.lock(t.Context(), "7-5")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	got := swept(t, n.Node, ages, never)
	if want := []string{"7-2", "7-2.home", "7-3", "7-3.home", "7-4.kept-1", "7-5", "7-5.home", "7-5.kept-2"}; !slices.Equal(got, want) {
		t.Errorf("left are %v", got)
	}
}

func TestTheLogOfAnEnvironmentGoesWithItsThreadsWorkspace(t *testing.T) {
	t.Parallel()
	n := newNode(t, newTestGateway(t))
	for _, thread := range []string{"7-1", "7-2"} {
		write(t, environmentLogOf(n.options.Dir, thread), 10)
	}
	swept(t, n.Node, map[string]time.Duration{"7-1.pushed": idleWorkspace + time.Hour, "7-2.pushed": time.Hour}, never)
	if fileExists(environmentLogOf(n.options.Dir, "7-1")) || !fileExists(environmentLogOf(n.options.Dir, "7-2")) {
		t.Error("the log that is left is not that of the workspace that is")
	}
}

func TestWithoutRoomIdleWorkspacesGoOldestFirstUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	n := newNode(t, newTestGateway(t))
	short := func() bool { return fileExists(n.workspaces.tree("7-2")) }
	got := swept(t, n.Node, map[string]time.Duration{
		"7-1.pushed": 3 * time.Hour, "7-2.pushed": 2 * time.Hour, "7-3.pushed": time.Hour, "7-4": 4 * time.Hour,
	}, short)
	if want := []string{"7-3", "7-3.home", "7-4", "7-4.home"}; !slices.Equal(got, want) {
		t.Errorf("left are %v", got)
	}
}

func TestOfVeryManyWorkspacesWithWorkTheOldestGo(t *testing.T) {
	t.Parallel()
	n := newNode(t, newTestGateway(t))
	ages := map[string]time.Duration{}
	for i := range maxUnpushed + 3 {
		ages["7-"+string(rune('a'+i%26))+string(rune('a'+i/26))] = time.Duration(i) * time.Hour
	}
	got := swept(t, n.Node, ages, never)
	trees := slices.DeleteFunc(got, func(name string) bool { return strings.HasSuffix(name, ".home") })
	if len(trees) != maxUnpushed {
		t.Errorf("%d are left", len(trees))
	}
	for i := range 3 {
		i += maxUnpushed
		if name := "7-" + string(rune('a'+i%26)) + string(rune('a'+i/26)); slices.Contains(trees, name) {
			t.Errorf("%s is left", name)
		}
	}
}

func TestATreeOfWhichNothingIsNotedIsTakenForUsedNow(t *testing.T) {
	t.Parallel()
	n := newNode(t, newTestGateway(t))
	write(t, filepath.Join(n.workspaces.tree("7-1"), "file"), 10)
	write(t, n.workspaces.tree("7-1")+pushedSuffix, 0)
	if err := os.Chtimes(n.workspaces.tree("7-1"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	n.sweep(t.Context(), never)
	if !fileExists(n.workspaces.tree("7-1")) || !n.workspaces.borrowed(99) {
		t.Error("it went by its own word, or is not taken for one that borrows")
	}
	aged(t, n.workspaces.tree("7-1"), idleWorkspace+time.Hour)
	n.sweep(t.Context(), never)
	if fileExists(n.workspaces.tree("7-1")) {
		t.Error("it stays for ever")
	}
}
