package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// The quotas of XFS are tested on XFS. Where this kernel mounts it with quotas, that is a file of the test's own. Where it
// does not, as kernels of small virtual machines do not, the tests run in another kernel: User Mode Linux, which is a
// program, with this machine's files and a disk of the test's own.

// quotaFolder is set for tests that run in that kernel: a folder on XFS with project quotas. Beside it is "plain", on XFS
// without.
const quotaFolder = "SAM_TEST_XFS"

// onXFS runs tests in a folder on XFS with project quotas, and one on XFS without, or skips loudly.
func onXFS(t *testing.T, tests func(t *testing.T, quotas, plain string)) {
	t.Helper()
	if inside := os.Getenv(quotaFolder); inside != "" {
		tests(t, inside, filepath.Join(filepath.Dir(inside), "plain"))
		return
	}
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short leaves out the quotas of XFS. Run without -short")
	}
	dir := t.TempDir()
	var disks, mounts []string
	for _, name := range []string{"quotas", "plain"} {
		disk, on := filepath.Join(dir, name+".xfs"), filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(on, 0o755), os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 1<<30)); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mkfs.xfs", "-q", disk).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED, NOT TESTED: nothing ran on XFS, for mkfs.xfs makes none: %v %s. scripts/tools installs it, as root on Debian", err, out)
		}
		disks, mounts = append(disks, disk), append(mounts, on)
	}
	out, err := exec.Command("mount", "-o", "loop,prjquota", disks[0], mounts[0]).CombinedOutput()
	if err == nil {
		t.Cleanup(func() { unmount(t, mounts[0]) })
		if out, err := exec.Command("mount", "-o", "loop,noquota", disks[1], mounts[1]).CombinedOutput(); err != nil {
			t.Fatalf("mount XFS without quotas: %v %s", err, out)
		}
		t.Cleanup(func() { unmount(t, mounts[1]) })
		tests(t, mounts[0], mounts[1])
		return
	}
	kernel, missing := exec.LookPath("linux.uml")
	if missing != nil {
		t.Skipf("SKIPPED, NOT TESTED: nothing ran on XFS with quotas. This kernel mounts none (%s), and there is no other: %v. scripts/tools installs user-mode-linux, as root on Debian", strings.TrimSpace(string(out)), missing)
	}
	inAnotherKernel(t, kernel, dir, disks)
}

func unmount(t *testing.T, folder string) {
	if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
		t.Errorf("unmount %s: %v %s", folder, err, out)
	}
}

// bootedMark begins the last line of a kernel that ran a test to its end, which goes on with the test's exit code.
const bootedMark = "the test ended with exit code "

// inAnotherKernel runs this test in User Mode Linux. Its first process is this test binary, as boot has it; the race
// detector has no room there, so it is built anew without.
func inAnotherKernel(t *testing.T, kernel, dir string, disks []string) {
	t.Helper()
	binary := filepath.Join(dir, "agent.test")
	c := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", binary, "sam/agent")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build this test without the race detector: %v\n%s", err, out)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c = exec.CommandContext(ctx, kernel, "mem=768M", "rootfstype=hostfs", "rootflags=/", "rw", "quiet", "con=null", "con0=null,fd:1",
		"ubd0="+disks[0], "ubd1="+disks[1], "uml_dir="+filepath.Join(dir, "uml"), "init="+binary, "--", "boot", dir, here, t.Name())
	var printed bytes.Buffer
	c.Stdout, c.Stderr = &printed, &printed
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) } // its processes are of its group
	c.WaitDelay = 10 * time.Second
	err = c.Run()
	words := strings.ReplaceAll(printed.String(), "\r", "") // a console's
	t.Logf("in User Mode Linux, for this kernel mounts no XFS with quotas:\n%s", words)
	if !strings.Contains(words, bootedMark+"0\n") || !strings.Contains(words, "--- PASS: "+t.Name()) {
		t.Errorf("the test did not pass there; the kernel ended with %v", err)
	}
}

// boot is the first process of that kernel: it mounts what the test needs, runs it, and ends the kernel. Nobody is there to
// hear of an error but the console.
func boot(args []string) {
	dir, here, name := args[0], args[1], args[2]
	mounted := errors.Join(
		mountAt("proc", "proc", "/proc", ""),
		mountAt("/dev/ubda", "xfs", filepath.Join(dir, "quotas"), "prjquota"),
		mountAt("/dev/ubdb", "xfs", filepath.Join(dir, "plain"), "noquota"),
		os.Mkdir(filepath.Join(dir, "quotas", "tmp"), 0o755),
		bringUpLoopback(),
	)
	code := -1
	if mounted != nil {
		fmt.Fprintln(os.Stdout, mounted)
	} else {
		c := exec.Command(filepath.Join(dir, "agent.test"), "-test.v", "-test.timeout=9m", "-test.run=^"+name+"$")
		c.Dir, c.Stdout, c.Stderr = here, os.Stdout, os.Stdout
		c.Env = []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "TMPDIR=" + filepath.Join(dir, "quotas", "tmp"),
			quotaFolder + "=" + filepath.Join(dir, "quotas"),
		}
		if err := c.Run(); err != nil {
			fmt.Fprintln(os.Stdout, err)
		}
		code = c.ProcessState.ExitCode()
	}
	fmt.Fprintf(os.Stdout, "%s%d\n", bootedMark, code)
	syscall.Sync()
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stdout, err)
	}
}

func mountAt(what, kind, where, options string) error {
	if err := syscall.Mount(what, where, kind, 0, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", what, where, err)
	}
	return nil
}

// bringUpLoopback does what `ip link set lo up` does.
func bringUpLoopback() error {
	const setFlags = 0x8914 // SIOCSIFFLAGS
	var request struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return fmt.Errorf("bring up the loopback: %w", err)
	}
	defer func() { _ = syscall.Close(socket) }()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), setFlags, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("bring up the loopback: %w", errno)
	}
	return nil
}
