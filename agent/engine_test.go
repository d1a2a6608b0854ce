package agent

import (
	"strconv"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/system"

	"sam/task"
)

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

func TestAContainerMayUseWhatTheNodeIsConfiguredFor(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	o.Memory, o.CPUs, o.Processes = 768<<20, 0.5, 99
	n := startNode(g, o)
	t.Cleanup(n.stop)
	s := start(g, "tlimits", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	for _, one := range e.ofNode(t, o.Dir) {
		c, err := e.client.ContainerInspect(t.Context(), one.id)
		if err != nil {
			t.Fatal(err)
		}
		if h := c.HostConfig; h.Memory != o.Memory || h.MemorySwap != o.Memory || h.NanoCPUs != 5e8 || *h.PidsLimit != 99 {
			t.Errorf("it may use %d bytes (%d with swap), %d billionths of a processor, %d processes", h.Memory, h.MemorySwap, h.NanoCPUs, *h.PidsLimit)
		}
	}
	g.command(stopFrame(s.Ref, "Seen enough."))
	g.finished(s.Ref)
	n.stop()
	for words, greed := range map[string]func(*Options){
		"lower cpus in the node's configuration":   func(o *Options) { o.CPUs = 1000 },
		"lower memory in the node's configuration": func(o *Options) { o.Memory = 1000 << 40 },
	} {
		much := o
		greed(&much)
		greedy, err := New(much)
		if err != nil {
			t.Fatal(err)
		}
		if err := greedy.Run(t.Context()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("more than there is: %v, not %q", err, words)
		}
	}
}

func TestAContainerIsGivenNoMoreThanTheMachineHas(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	for name, c := range map[string]struct {
		memory, there int64
		cpus          float64
		want          int64  // memory; 0: it is refused
		words         string // with
	}{
		"the default":                          {0, 16 * gib, 0, 4 * gib, ""},
		"the default on a small machine":       {0, 2 * gib, 0, 2 * gib, ""},
		"all that there is":                    {8 * gib, 8 * gib, 2, 8 * gib, ""},
		"an engine that does not say":          {1000 << 40, 0, 0, 1000 << 40, ""},
		"the default where nobody says":        {0, 0, 0, 4 * gib, ""},
		"more than there is":                   {1000 << 40, 8 * gib, 0, 0, "a container is to have 1048576000 MiB of memory and the machine has 8192 MiB, as its container engine says: lower memory in the node's configuration"},
		"more processors than there are":       {0, 8 * gib, 3, 0, "a container is to have 3 processors and the machine has 2: lower cpus"},
		"a bit more than a machine of 4 GB is": {4 * gib, 3900 << 20, 0, 0, "4096 MiB of memory and the machine has 3900 MiB"},
	} {
		e := &engine{memory: c.memory, cpus: c.cpus}
		err := e.share(system.Info{NCPU: 2, MemTotal: c.there})
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) || err == nil && e.memory != c.want {
			t.Errorf("%s: %d, %v", name, e.memory, err)
		}
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
