package shim

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// A file's owner may give it to another project, and so take it out of the quota that the node has set for its workspace
// (docs/disk.md). So the shim has the kernel refuse, to itself and to all that it starts, the calls that do so: ioctl(2) with
// FS_IOC_FSSETXATTR, and with FS_IOC_SETFLAGS, which can end a folder's handing on of its project; and file_setattr(2), which
// engines may come to allow. Nothing else that a workspace needs goes this way: chattr(1) does, whose other flags need
// privileges.

// What is looked at of a call, by its offset in struct seccomp_data; the lower half of the second argument on the machines
// that SAM runs on.
const (
	callNumber  = 0
	callMachine = 4
	callCommand = 24
)

const (
	fileSetattr = 469        // on every machine
	x32         = 0x40000000 // set in the numbers of one more calling convention of x86

	refuse = 0x00050000 | uint32(syscall.EPERM) // SECCOMP_RET_ERRNO
	permit = 0x7fff0000                         // SECCOMP_RET_ALLOW
)

// ioctls are the numbers of ioctl(2), by machine (AUDIT_ARCH_…): those of a 64-bit kernel, and of the 32-bit programs that it runs.
func ioctls() [][2]uint32 {
	return [][2]uint32{{0xc000003e, 16}, {0xc000003e, x32 | 514}, {0x40000003, 54}, {0xc00000b7, 29}, {0x40000028, 54}}
}

// projectCommands are FS_IOC_FSSETXATTR, and FS_IOC_SETFLAGS of 64-bit and of 32-bit programs.
func projectCommands() []uint32 { return []uint32{0x401c5820, 0x40086602, 0x40046602} }

// filterProjects is the filter. The kernel reads a command as 32 bits, and so does the filter: what is in the upper half of a
// register changes nothing.
func filterProjects() []syscall.SockFilter {
	load := func(what uint32) syscall.SockFilter {
		return syscall.SockFilter{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: what}
	}
	unless := func(value uint32, skip int) syscall.SockFilter { // skips so many instructions unless it is the value
		return syscall.SockFilter{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: value, Jf: uint8(skip)} //nolint:gosec // few
	}
	give := func(action uint32) syscall.SockFilter {
		return syscall.SockFilter{Code: syscall.BPF_RET | syscall.BPF_K, K: action}
	}
	commands := []syscall.SockFilter{load(callCommand)}
	for _, command := range projectCommands() {
		commands = append(commands, unless(command, 1), give(refuse))
	}
	commands = append(commands, give(permit))
	var filter []syscall.SockFilter
	for _, call := range ioctls() {
		filter = append(filter, load(callMachine), unless(call[0], 2+len(commands)), load(callNumber), unless(call[1], len(commands)))
		filter = append(filter, commands...)
	}
	return append(filter, load(callNumber),
		syscall.SockFilter{Code: syscall.BPF_ALU | syscall.BPF_AND | syscall.BPF_K, K: ^uint32(x32)},
		unless(fileSetattr, 1), give(refuse), give(permit))
}

// keepProjects puts the filter before all threads of this process, and what they start, for good. Without privileges that
// needs no_new_privs, which the engine has set unless the workspace may have sudo; then nothing is refused, and errors.Is
// says syscall.EACCES.
func keepProjects() error {
	const setFilter, allThreads = 1, 1 // SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
	numbers := map[string]uintptr{"amd64": 317, "arm64": 277}
	number, known := numbers[runtime.GOARCH]
	if !known {
		return errors.New("keep files in their project: not known how on " + runtime.GOARCH)
	}
	filter := filterProjects()
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}                          //nolint:gosec // few
	left, _, errno := syscall.Syscall(number, setFilter, allThreads, uintptr(unsafe.Pointer(&program))) //nolint:gosec // as the kernel wants it
	switch {
	case errno != 0:
		return fmt.Errorf("keep files in their project: %w", errno)
	case left != 0:
		return fmt.Errorf("keep files in their project: thread %d has another filter", left)
	}
	return nil
}
