package shim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// changeAttributes tries, with a file of its own, what takes it out of its project, and says what came of each.
func changeAttributes(path string) {
	file, err := os.Create(path)
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return
	}
	defer file.Close()
	var attributes [64]byte
	ioctl := func(command uintptr) error {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), command, uintptr(unsafe.Pointer(&attributes)))
		return errno
	}
	fmt.Fprintln(os.Stdout, "look:", ioctl(0x801c581f)) // FS_IOC_FSGETXATTR
	for _, command := range projectCommands() {
		fmt.Fprintln(os.Stdout, "change:", ioctl(uintptr(command)))
		fmt.Fprintln(os.Stdout, "change:", ioctl(uintptr(command)|1<<40)) // which is the same to the kernel
	}
	_, _, errno := syscall.Syscall6(fileSetattr, file.Fd(), 0, uintptr(unsafe.Pointer(&attributes)), 0, 0, 0)
	fmt.Fprintln(os.Stdout, "change:", errno)
}

func TestNoProgramMayTakeItsFilesOutOfTheirProject(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	free, err := exec.Command(os.Args[0], "attributes", file).CombinedOutput()
	if err != nil || strings.Contains(string(free), "change: operation not permitted") && os.Getuid() == 0 {
		t.Fatalf("without the shim it may not either: %s, %v", free, err)
	}
	a := newShim(t)
	a.start("attributes", false, os.Args[0], "attributes", file)
	printed, _ := a.output("attributes", 0)
	if refused := strings.Count(printed, "change: operation not permitted"); refused != strings.Count(printed, "change:") || refused != 2*len(projectCommands())+1 {
		t.Errorf("it may all but %d:\n%s", refused, printed)
	}
	if strings.Contains(printed, "look: operation not permitted") {
		t.Errorf("it may not even look:\n%s", printed)
	}
}
