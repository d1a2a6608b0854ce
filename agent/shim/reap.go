package shim

import (
	"context"
	"encoding/binary"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// children are the programs that run, by process id. It alone waits for processes, its programs' and those that lost
// their parent.
type children struct {
	finishing sync.WaitGroup

	mu  sync.Mutex
	all map[int]*program
}

// add starts a program; none is reaped meanwhile.
func (c *children) add(start func() (*program, error)) (*program, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := start()
	if err == nil {
		c.all[p.pid] = p
	}
	return p, err
}

// reap takes all that are dead.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		pid := dead()
		if pid == 0 {
			return
		}
		var status syscall.WaitStatus
		release := func() { status = take(pid) }
		p := c.all[pid]
		if p == nil {
			release()
			continue
		}
		delete(c.all, pid)
		p.reaped(release)
		c.finishing.Go(func() { p.finish(status) })
	}
}

// dead is a child that has ended and is not reaped, 0 when there is none.
func dead() int {
	const all = 0       // P_ALL of waitid(2)
	var info [128]byte  // siginfo_t
	const whichPID = 16 // where si_pid is in it
	const unreaped = syscall.WEXITED | syscall.WNOHANG | syscall.WNOWAIT
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, all, 0, uintptr(unsafe.Pointer(&info)), unreaped, 0, 0) //nolint:gosec // the kernel fills it in during the call
		switch errno {
		case 0:
			return int(binary.NativeEndian.Uint32(info[whichPID:]))
		case syscall.EINTR:
		default: // none at all
			return 0
		}
	}
}

// stopAll ends every process but the shim itself, daemons too, and returns when none is left or ctx has ended. It is for
// the first process of a container: of any other one, "every process" is the machine's.
func stopAll(ctx context.Context, grace time.Duration) error {
	const everyone = -1
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	number := syscall.SIGTERM
	if grace <= 0 {
		number = syscall.SIGKILL
	}
	if err := syscall.Kill(everyone, number); err == syscall.ESRCH {
		return nil
	}
	for {
		select {
		case <-tick.C:
		case <-patience.C:
			number = syscall.SIGKILL
		case <-ctx.Done():
			return ctx.Err()
		}
		ask := syscall.Signal(0)
		if number == syscall.SIGKILL {
			ask = number // again and again: some may have been born meanwhile
		}
		if err := syscall.Kill(everyone, ask); err == syscall.ESRCH {
			return nil
		}
	}
}
