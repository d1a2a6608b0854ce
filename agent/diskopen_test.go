package agent

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"sam/task"
)

func TestAFileWithoutANameIsMeasuredAndMemoryIsNot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, 1<<20)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	link := func(fd uintptr) string { return "/proc/self/fd/" + strconv.Itoa(int(fd)) }
	var u usage
	if u.nameless(link(file.Fd())); u.bytes != 0 {
		t.Errorf("a file that has a name takes %d bytes more", u.bytes)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 2 { // as two programs have it
		if u.nameless(link(file.Fd())); u.bytes < 1<<20 || u.bytes > 3<<19 {
			t.Errorf("without a name it takes %d bytes", u.bytes)
		}
	}
	name := []byte("memory\x00")
	number := map[string]uintptr{"amd64": 319, "arm64": 279}[runtime.GOARCH] // of memfd_create(2)
	fd, _, errno := syscall.Syscall(number, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		t.Skipf("SKIPPED, NOT TESTED: there is no memfd_create here: %v", errno)
	}
	memory := os.NewFile(fd, "memory")
	defer memory.Close()
	if _, err := memory.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	was := u.bytes
	if u.nameless(link(fd)); u.bytes != was {
		t.Errorf("memory takes %d bytes of the disk", u.bytes-was)
	}
}

func TestAnAgentDoesNotHideWhatItTakesOfTheDiskInFilesWithoutAName(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"open in its tree":                  `exec 3> big; rm big; head -c 60000000 /dev/zero >&3`,
		"open in its container's own files": `exec 3> /var/tmp/big; rm /var/tmp/big; head -c 60000000 /dev/zero >&3`,
		// Each is there with its name for a while; together they are too large.
		"only mapped, as what runs is": `for i in 1 2; do cp /bin/sleep big; head -c 30000000 /dev/zero >> big; ./big 600 &
			until readlink /proc/$!/exe | grep -q big; do sleep 0.01; done; rm big; done; wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := docker(t)
			g := newTestGateway(t)
			newUpstream(t, g)
			o := e.options(t, g)
			o.Disk = 40 << 20
			n := startNode(g, o, func(n *Node) { n.drivers = newDrivers(filling{script}) })
			t.Cleanup(n.stop)
			s := start(g, "thidden", 1, "x")
			g.command(frame(s))
			if end := last(g.finished(s.Ref)); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "of the node's disk, and it may take 40 MiB") {
				t.Errorf("it ended with %+v", end)
			}
		})
	}
}
