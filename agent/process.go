package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command is a program to run in a workspace.
type Command struct {
	Args []string // looked up in the workspace's PATH
	Env  []string // added to the workspace's own environment
	// Key names a program that may outlive sam node, where the workspace does: called again with the key of a program that
	// was started before, Exec gives its output from the first byte instead of starting it again, and passes over the input
	// it has. Whatever is left of such a program, daemons too, ends with it. Empty for one that ends with sam node.
	Key string
	// Stdin, nil for none; one that can be closed is closed when the program has ended. Stdout and Stderr may be nil; what is
	// written to them comes in the program's own chunks, from a goroutine each, and a writer that blocks holds the program up.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Cut, when it is not nil, is told where so many bytes of what the program prints are left out, between what is written
	// before and what comes after. Only a workspace that cuts calls it, with one call at a time.
	Cut func(bytes int64)
	// Leaves lets what the program leaves in its process group go on when it ends by itself, where the workspace is a container.
	Leaves bool
	// Started is called once, as soon as the program runs.
	Started func()
	// Interrupt is the program's own way to be asked to end: the first rung of the ladder, before SIGTERM. It closes the
	// input or writes a request to it; nil skips the rung.
	Interrupt func()
}

// Exit is how a program ended: with a code, or by a signal (0 when not).
type Exit struct {
	Code   int
	Signal syscall.Signal
}

func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("was ended by signal %d (%s)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("ended with exit code %d", e.Code)
}

// agentKey is the key of the agent itself: there is one in each attempt's workspace.
const agentKey = "agent"

// closeInput ends a read of a program's input that nobody will take.
func closeInput(input io.Reader) {
	if open, ok := input.(io.Closer); ok {
		_ = open.Close()
	}
}

// patience is how long each rung of the stop ladder waits before the next.
type patience struct{ interrupt, terminate time.Duration }

// stderrAfterExit bounds how long a finished program's output is waited for when something outside its process group
// still holds the pipe.
const stderrAfterExit = 2 * time.Second

// run runs cmd in a process group of its own until it has ended, and whatever is left of the group with it. When ctx ends,
// it climbs the ladder: interrupt, SIGTERM to the group, SIGKILL to the group. An error means that it could not be
// started; how it ended is in Exit. It is for programs that are SAM's own choice: what an agent may have chosen runs under a
// guard (guard.go). It goes before the node when memory runs out.
//
// Should the node agent itself be killed, the kernel kills the program (Pdeathsig). That is tied to the thread that
// started it; Go ends no thread that is not locked to a goroutine.
func run(ctx context.Context, dir string, env []string, cmd Command, wait patience) (Exit, error) {
	path, err := findProgram(ctx, env, cmd)
	if err != nil {
		return Exit{}, err
	}
	path, args := expendable(path, cmd.Args)
	c := prepare(ctx, path, dir, env, cmd)
	c.Args = args
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := c.Start(); err != nil {
		return Exit{}, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	if cmd.Started != nil {
		cmd.Started()
	}
	group := -c.Process.Pid
	exited := awaitExit(c.Process.Pid)
	climb(ctx, exited, group, cmd.Interrupt, wait, func() {
		kill(group, syscall.SIGKILL)
		<-exited
	})
	// The leader is dead but not yet reaped, so its number cannot have been given to another group.
	kill(group, syscall.SIGKILL)
	return reap(c, cmd)
}

// findProgram returns the path of the command's program, unless ctx has ended.
func findProgram(ctx context.Context, env []string, cmd Command) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if len(cmd.Args) == 0 {
		return "", errors.New("no program named")
	}
	return lookPath(cmd.Args[0], env)
}

// prepare is a program that is not started, in a process group of its own.
func prepare(ctx context.Context, path, dir string, env []string, cmd Command) *exec.Cmd {
	// Not ctx: the standard library would kill the one process, at once.
	c := exec.CommandContext(context.WithoutCancel(ctx), path)
	c.Dir = dir
	c.Env = append(append([]string{}, env...), cmd.Env...)
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, cmd.Stdout, cmd.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = stderrAfterExit
	return c
}

// reap says how a program that has ended did so.
func reap(c *exec.Cmd, cmd Command) (Exit, error) {
	closeInput(cmd.Stdin)
	if err := c.Wait(); c.ProcessState == nil {
		return Exit{}, fmt.Errorf("wait for %s: %w", cmd.Args[0], err)
	}
	exit := Exit{Code: c.ProcessState.ExitCode()}
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Signal = status.Signal()
	}
	return exit, nil
}

// climb waits until exited, and from the end of ctx on takes one rung of the ladder after the other. The last one returns
// when nothing more can be done.
func climb(ctx context.Context, exited <-chan struct{}, group int, interrupt func(), wait patience, last func()) {
	select {
	case <-exited:
		return
	case <-ctx.Done():
	}
	if interrupt != nil {
		interrupt()
		if within(exited, wait.interrupt) {
			return
		}
	}
	kill(group, syscall.SIGTERM)
	if !within(exited, wait.terminate) {
		last()
	}
}

// kill signals a group that may be gone already: that is as good.
func kill(group int, signal syscall.Signal) { _ = syscall.Kill(group, signal) }

// awaitExit tells when the child has ended, and leaves it unreaped.
func awaitExit(pid int) <-chan struct{} {
	const byPID = 1 // P_PID of waitid(2)
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		for {
			_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
			if errno != syscall.EINTR {
				return
			}
		}
	}()
	return exited
}

// lookPath finds a program in the PATH of the environment it will run with, not in the node's.
func lookPath(name string, env []string) (string, error) {
	if strings.ContainsRune(name, '/') {
		return name, nil
	}
	path := ""
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, "PATH="); ok {
			path = value
		}
	}
	for dir := range strings.SplitSeq(path, ":") {
		if !strings.HasPrefix(dir, "/") {
			continue // a relative entry would find programs in the repository
		}
		candidate := strings.TrimSuffix(dir, "/") + "/" + name
		if found, err := exec.LookPath(candidate); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not in the PATH %q: install it on the node", name, path)
}
