package shim

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// private keeps programs of the shim's own user from reading its memory and its files.
func private() {
	const dumpable = 4 // PR_SET_DUMPABLE of prctl(2)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, dumpable, 0, 0)
}

// frugal keeps the shim small until ctx ends, for there is one in every workspace. It is a small part of a large binary,
// whose other parts ran once when it started: their code is given back, and read again should it ever be needed.
func frugal(ctx context.Context) {
	debug.SetGCPercent(20)
	runtime.GOMAXPROCS(min(2, runtime.GOMAXPROCS(0)))
	code := codeMappings()
	debug.FreeOSMemory()
	for {
		for _, m := range code {
			// Only a read-only mapping of a file may be given back so: its content is the file's.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.length, syscall.MADV_DONTNEED)
		}
		if !pause(ctx, 5*time.Second) {
			return
		}
	}
}

type mapping struct{ from, length uintptr }

// codeMappings are the read-only parts of the program's own file in memory.
func codeMappings() []mapping {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	var found []mapping
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		var mode string
		fields := strings.Fields(line)
		if len(fields) < 6 || filepath.Clean(fields[5]) != own {
			continue
		}
		if _, err := fmt.Sscanf(fields[0]+" "+fields[1], "%x-%x %s", &from, &to, &mode); err == nil && to > from &&
			strings.HasPrefix(mode, "r-") {
			found = append(found, mapping{from, to - from})
		}
	}
	return found
}
