package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// GuardCommand is the argument that makes `sam shim` a guard: it runs one program where there is no container to end with
// it, and ends whatever the program started, daemons too, before it ends itself.
//
//	sam shim guard PATH NAME ARGS…
//
// It is a subreaper (PR_SET_CHILD_SUBREAPER): a process that loses its parent becomes the guard's child, whatever session
// or group it has made for itself. SIGTERM is passed on to the program's group. Two more files are open in it:
//
//	3   nothing is ever written there. Its end, with sam node itself at the latest, means SIGKILL for all
//	4   takes what the guard says: a Guarded a line, as JSON
const GuardCommand = "guard"

// GuardWithin bounds how long a guard takes to end what its program left. SIGKILL is done in milliseconds: what is still
// there then hangs in the kernel, or is another user's.
const GuardWithin = 10 * time.Second

const (
	guardEnd   = 3
	guardWords = 4
)

// Guarded is what a guard says: that its program runs, and later how that ended; or only why it could not be started.
type Guarded struct {
	PID     int    `json:"pid,omitempty"`
	Exit    *Exit  `json:"exit,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// guard returns the exit code of the guard itself: 0 when all that there is to say is said.
func guard(args []string, stderr io.Writer) int {
	for _, fd := range []int{guardEnd, guardWords} {
		var what syscall.Stat_t // of what is there: without sam node's pipes, a file of the runtime's own
		if err := syscall.Fstat(fd, &what); err != nil || what.Mode&syscall.S_IFMT != syscall.S_IFIFO || len(args) < 2 {
			fmt.Fprintln(stderr, "sam shim guard is started by sam node, with a program and two pipes")
			return 2
		}
		syscall.CloseOnExec(fd)
	}
	words := json.NewEncoder(os.NewFile(guardWords, "words"))
	exit, err := guardProgram(args[0], args[1:], func(pid int) error { return words.Encode(Guarded{PID: pid}) })
	last := Guarded{Exit: &exit}
	if err != nil {
		last = Guarded{Refused: err.Error()}
	}
	if err := words.Encode(last); err != nil {
		return 1 // nobody hears it
	}
	return 0
}

// guardProgram runs the program, and returns when nothing of it is left. An error means that it was not started.
func guardProgram(path string, args []string, started func(pid int) error) (Exit, error) {
	const subreaper = 36 // PR_SET_CHILD_SUBREAPER of prctl(2)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, subreaper, 1, 0); errno != 0 {
		return Exit{}, fmt.Errorf("become what orphans go to: %w", errno)
	}
	// No signal from inside is to end it. Those that count have a channel that holds one of them, however many others come.
	others, children, terminate := make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(others)
	signal.Notify(children, syscall.SIGCHLD)
	signal.Notify(terminate, syscall.SIGTERM)

	kept := expend()
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	kept()
	if err != nil {
		return Exit{}, startError(path, err)
	}
	letGo()
	told := make(chan struct{})
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.NewFile(guardEnd, "end"))
		close(told)
	}()
	if started(pid) != nil {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // sam node is gone
	}
	for {
		if status, ended := reapUntil(pid); ended {
			exit := exitOf(status)
			if !endOffspring(children, GuardWithin) {
				exit.Words = fmt.Sprintf("something that it started could not be ended within %s, and may still run", GuardWithin)
			}
			return exit, nil
		}
		select {
		case <-children:
		case <-terminate:
			_ = syscall.Kill(-pid, syscall.SIGTERM)
		case <-told:
			told = nil // never ready again
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// letGo gives back what is the program's alone to read and write; stderr stays, for a guard that breaks.
func letGo() {
	null, err := syscall.Open(os.DevNull, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return // it only holds a pipe open for longer
	}
	_, _ = syscall.Dup3(null, 0, 0), syscall.Dup3(null, 1, 0)
	_ = syscall.Close(null)
}

// reapUntil takes all that are dead, and reports whether the program is one of them: then whatever is left of its group
// has been killed while its number was still its own.
func reapUntil(program int) (syscall.WaitStatus, bool) {
	for {
		pid := dead()
		if pid == 0 {
			return 0, false
		}
		if pid == program {
			_ = syscall.Kill(-program, syscall.SIGKILL)
		}
		if status := take(pid); pid == program {
			return status, true
		}
	}
}

// endOffspring kills every child until there is none, and reports whether it came to that within a time. One that dies
// leaves its own children to the guard, so all generations come by.
func endOffspring(died <-chan os.Signal, within time.Duration) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || pid > 0:
			continue
		case err != nil: // ECHILD
			return true
		}
		for _, pid := range offspring() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-died:
		case <-limit.C:
			return false
		}
	}
}

// take waits for a child, -1 for any, and returns how it ended.
func take(pid int) (status syscall.WaitStatus) {
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			return status
		}
	}
}

// offspring are the children of this process, dead ones too.
func offspring() []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var found []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // gone meanwhile, so not the guard's
		}
		// pid (name) state parent …: the name may hold anything.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			found = append(found, pid)
		}
	}
	return found
}
