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
			// Only what is as it is in the file may be given back so: it is read from there again.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.length, syscall.MADV_DONTNEED)
		}
		if !pause(ctx, 5*time.Second) {
			return
		}
	}
}

type mapping struct{ from, length uintptr }

// codeMappings are the parts of this program's own file in memory that may be given back.
func codeMappings() []mapping {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return nil
	}
	return unwritten(string(smaps), own)
}

// unwritten finds the mappings of a file that are read-only and as they are in it. A loader may have written to others
// before it made them read-only (RELRO), as it does in a position-independent program. smaps is as in proc_pid_smaps(5).
func unwritten(smaps, file string) []mapping {
	var found []mapping
	var candidate mapping
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		var from, to uintptr
		switch n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); {
		case n == 2 && len(fields) > 1: // a mapping begins
			candidate = mapping{}
			if len(fields) > 5 && filepath.Clean(fields[5]) == file && strings.HasPrefix(fields[1], "r-") && to > from {
				candidate = mapping{from, to - from}
			}
		case len(fields) > 1 && fields[0] == "Anonymous:" && fields[1] == "0" && candidate.length > 0:
			found = append(found, candidate)
		}
	}
	return found
}
