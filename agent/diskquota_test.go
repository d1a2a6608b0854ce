package agent

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sam/task"
)

func TestQuotasOfXFS(t *testing.T) {
	t.Parallel()
	onXFS(t, func(t *testing.T, quotas, plain string) {
		t.Run("are found where the kernel enforces them and nowhere else", func(t *testing.T) { quotasAreFound(t, quotas, plain) })
		t.Run("end an attempt that fills its workspace, and the next one has room", func(t *testing.T) { quotasEndAnAttempt(t, quotas) })
		t.Run("are a workspace's own, over a restart too", func(t *testing.T) { quotasAreOnesOwn(t, quotas) })
		t.Run("count what has no name", func(t *testing.T) { quotasCountTheNameless(t, quotas) })
		t.Run("bound the number of files", func(t *testing.T) { quotasBoundFiles(t, quotas) })
		t.Run("leave what is kept aside with its tree", func(t *testing.T) { quotasStayWithTheKept(t, quotas) })
		t.Run("keep what a shim prints apart", func(t *testing.T) { quotasKeepOutputApart(t, quotas) })
	})
}

func quotasAreFound(t *testing.T, quotas, plain string) {
	if _, err := openProjects(quotas, 1<<20); err != nil {
		t.Errorf("on XFS with quotas: %v", err)
	}
	if _, err := openProjects(plain, 1<<20); err == nil || !strings.Contains(err.Error(), "mount it with the option prjquota") {
		t.Errorf("on XFS without quotas: %v", err)
	}
	if _, err := openProjects("/proc/self", 1<<20); err == nil || !strings.Contains(err.Error(), "not XFS") {
		t.Errorf("elsewhere: %v", err)
	}
}

// testProjects are those of a folder of workspaces, each of which may take 16 MiB.
func testProjects(t *testing.T, quotas string) *projects {
	t.Helper()
	dir, err := os.MkdirTemp(quotas, "workspaces-") //nolint:usetesting // on that file system
	if err != nil {
		t.Fatal(err)
	}
	p, err := openProjects(dir, 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// begins is the start of an attempt.
func (p *projects) begins(t *testing.T, thread string) {
	t.Helper()
	if err := errors.Join(p.limit(thread), p.tree(thread)); err != nil {
		t.Fatal(err)
	}
}

func (p *projects) path(name ...string) string {
	return filepath.Join(append([]string{p.dir}, name...)...)
}

// fill writes up to so many MiB to a file, and says how many, and why no more. While it is open the file may have more
// than that: XFS allocates ahead.
func fill(path string, mebibytes int) (wrote int, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for wrote < mebibytes && err == nil {
		if _, err = file.Write(make([]byte, 1<<20)); err == nil {
			wrote++
		}
	}
	return wrote, err
}

// number is the project of a file or folder.
func number(t *testing.T, path string) uint32 {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	id, err := projectOf(file)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func quotasEndAnAttempt(t *testing.T, quotas string) {
	g := newTestGateway(t)
	u := newUpstream(t, g)
	dir, err := os.MkdirTemp(quotas, "node-") //nolint:usetesting // on that file system
	if err != nil {
		t.Fatal(err)
	}
	o := nodeOptions(g, dir)
	o.Disk, o.KeepFree = 48<<20, 64<<20
	script := `cat /dev/zero 2> ../said > big`
	n := startNode(g, o, func(n *Node) {
		n.drivers = newDrivers(filling{"git commit --quiet --allow-empty --message=halfway\n" + script})
	})
	t.Cleanup(n.stop)
	s := start(g, "tfull", 1, "x")
	g.command(frame(s))
	end := last(g.finished(s.Ref))
	if end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "took all of the node's disk that it may take, 48 MiB (`disk`") {
		t.Errorf("it ended with %+v", end)
	}
	if got := gitIn(t, u.dir, "log", "-1", "--format=%s", s.Branch); got != "halfway" {
		t.Errorf("pushed is %q", got)
	}
	if said, err := os.ReadFile(filepath.Join(dir, "workspaces", "said")); err != nil || !strings.Contains(string(said), "No space left on device") {
		t.Errorf("its programs were told %q, %v", said, err)
	}
	g.await("its slot", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
	n.stop()

	o.Dir = dir // the next process of the node
	n = startNode(g, o, func(n *Node) {
		n.drivers = newDrivers(filling{`head -c 9000000 /dev/zero > big && echo enough > ../said`})
	})
	t.Cleanup(n.stop)
	next := start(g, "tnext", 1, "x")
	g.command(frame(next))
	g.await("an agent that has room", func() bool {
		if over(g.events[next.Ref]) {
			return true
		}
		said, err := os.ReadFile(filepath.Join(dir, "workspaces", "said"))
		return err == nil && string(said) == "enough\n"
	})
	g.mu.Lock()
	if over(g.events[next.Ref]) {
		t.Errorf("the next one ended with %+v", last(g.events[next.Ref]))
	}
	g.mu.Unlock()
	use := n.workspaces.quota.use(next.Thread)
	if use.maxBytes != 48<<20 || use.bytes < 9000000 || use.bytes > 40<<20 {
		t.Errorf("it may take %d bytes, and has %d", use.maxBytes, use.bytes)
	}
	g.command(stopFrame(next.Ref, "Seen enough."))
	g.finished(next.Ref)
}

func quotasAreOnesOwn(t *testing.T, quotas string) {
	p := testProjects(t, quotas)
	root, err := os.Open(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var first uint32
	if err := p.in(func(r *os.Root, folder *os.File) (err error) { first, err = p.free(r, folder); return err }); err != nil {
		t.Fatal(err)
	}
	if err := limitProject(root, first, 1<<20, 10); err != nil { // somebody else's
		t.Fatal(err)
	}
	p.begins(t, "7-1")
	p.begins(t, "7-2")
	if wrote, err := fill(p.path("7-1", "big"), 20); !errors.Is(err, syscall.ENOSPC) || wrote < 14 || wrote > 16 {
		t.Errorf("it wrote %d MiB: %v", wrote, err)
	}
	if wrote, err := fill(p.path("7-1.home", "big"), 20); !errors.Is(err, syscall.ENOSPC) || wrote > 1 {
		t.Errorf("to its home it wrote %d MiB more: %v", wrote, err)
	}
	if wrote, err := fill(p.path("7-2", "big"), 14); err != nil {
		t.Errorf("the other one wrote %d MiB: %v", wrote, err)
	}
	one, two := number(t, p.path("7-1")), number(t, p.path("7-2"))
	if one == two || one == first || two == first || number(t, p.path("7-1.home")) != one {
		t.Errorf("their numbers are %d and %d, and %d was taken", one, two, first)
	}
	again, err := openProjects(p.dir, 32<<20) // by the next process, which is told another limit
	if err != nil {
		t.Fatal(err)
	}
	again.begins(t, "7-1")
	if use := again.use("7-1"); number(t, p.path("7-1")) != one || use.maxBytes != 32<<20 || full(use) != "" || full(p.use("7-2")) != "" {
		t.Errorf("after a restart it has the number %d, and %+v", number(t, p.path("7-1")), use)
	}
	if err := errors.Join(os.RemoveAll(p.path("7-1")), os.RemoveAll(p.path("7-1.home")), again.release("7-1")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint32{one, one + 1} {
		if use, err := quotaOf(root, id); err != nil || use.maxBytes != 0 || use.maxFiles != 0 { // what it took is given back a little later
			t.Errorf("of a workspace that is gone there is %+v, %v", use, err)
		}
	}
}

func quotasCountTheNameless(t *testing.T, quotas string) {
	p := testProjects(t, quotas)
	p.begins(t, "7-1")
	if _, err := fill(p.path("7-1", "big"), 10); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(p.path("7-1", "big"))
	if err := errors.Join(err, os.Remove(p.path("7-1", "big"))); err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if wrote, err := fill(p.path("7-1", "more"), 20); !errors.Is(err, syscall.ENOSPC) || wrote > 6 {
		t.Errorf("beside what has no name it wrote %d MiB: %v", wrote, err)
	}
	if use := p.use("7-1"); full(use) == "" {
		t.Errorf("it takes %+v, and is not full", use)
	}
}

func quotasBoundFiles(t *testing.T, quotas string) {
	p := testProjects(t, quotas)
	p.bytes = 4 << 20
	p.begins(t, "7-1")
	made := 0
	for ; made < 1100; made++ {
		file, err := os.Create(p.path("7-1", strconv.Itoa(made)))
		if errors.Is(err, syscall.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
	}
	if use := p.use("7-1"); use.files != use.maxFiles || !strings.Contains(full(use), "as many files as it may have, 1024") {
		t.Errorf("it made %d files, and has %+v", made, use)
	}
}

func quotasStayWithTheKept(t *testing.T, quotas string) {
	p := testProjects(t, quotas)
	w := &workspaces{dir: p.dir, quota: p}
	p.begins(t, "7-1")
	write(t, p.path("7-1", "work"), 1<<20)
	write(t, p.path("7-1.home", "deep", "er", "session"), 1<<20)
	was := number(t, p.path("7-1"))
	if err := w.keep(w.tree("7-1"), keptName(w.tree("7-1"), 1), 7); err != nil {
		t.Fatal(err)
	}
	p.begins(t, "7-1")
	is := number(t, p.path("7-1"))
	if is == was || number(t, p.path("7-1.kept-1", "work")) != was || number(t, p.path("7-1.home", "deep", "er", "session")) != is {
		t.Errorf("the thread has the number %d after %d, its kept work %d, its home %d", is, was,
			number(t, p.path("7-1.kept-1", "work")), number(t, p.path("7-1.home", "deep", "er", "session")))
	}
	if use := p.use("7-1"); use.bytes < 1<<20 || use.bytes > 3<<19 {
		t.Errorf("beside its home it takes %d bytes", use.bytes-1<<20)
	}
	if all, err := w.idle(); err != nil || len(all) != 2 {
		t.Errorf("what is idle is %+v, %v", all, err)
	}
}

func quotasKeepOutputApart(t *testing.T, quotas string) {
	p := testProjects(t, quotas)
	p.begins(t, "7-1")
	run := runFolder(filepath.Join(quotas, "run"))
	if err := errors.Join(run.make(), p.output("7-1", run)); err != nil {
		t.Fatal(err)
	}
	if _, err := fill(p.path("7-1", "big"), 20); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	wrote, err := fill(filepath.Join(run.shim(), "output"), 20)
	if err != nil || number(t, run.shim()) != number(t, p.path("7-1"))+1 {
		t.Errorf("it wrote %d MiB: %v", wrote, err)
	}
}
