package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"sam/agent/shim"
)

// guardAnswers bounds how long a guard that is to end everything may take: longer than it takes when all is well with it,
// for an agent can stop (SIGSTOP) its own guard.
const guardAnswers = shim.GuardWithin + 5*time.Second

// guarded runs cmd as run does, under `sam shim guard`: when it returns without an error nothing is left of what the
// program started, daemons with a session of their own included. The same becomes of it should the node agent be killed.
// sam is the path of the sam binary.
func guarded(ctx context.Context, sam, dir string, env []string, cmd Command, wait patience) (Exit, error) {
	path, err := findProgram(ctx, env, cmd)
	if err != nil {
		return Exit{}, err
	}
	// The guard ends everything at the end of the one pipe, and says in the other what became of the program.
	theirEnd, end, err := os.Pipe()
	if err != nil {
		return Exit{}, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	defer end.Close()
	defer theirEnd.Close()
	words, theirWords, err := os.Pipe()
	if err != nil {
		return Exit{}, fmt.Errorf("start %s: %w", cmd.Args[0], err)
	}
	defer words.Close()
	defer theirWords.Close()
	c := prepare(ctx, sam, dir, env, cmd)
	c.Args = append([]string{"sam", "shim", shim.GuardCommand, path}, cmd.Args...)
	c.ExtraFiles = []*os.File{theirEnd, theirWords}
	if err := c.Start(); err != nil {
		return Exit{}, fmt.Errorf("start the guard of %s: %w", cmd.Args[0], err)
	}
	_, _ = theirEnd.Close(), theirWords.Close()

	said := json.NewDecoder(words)
	var first, last shim.Guarded
	if err := said.Decode(&first); err == nil && first.PID != 0 && cmd.Started != nil {
		cmd.Started()
	}
	exited := awaitExit(c.Process.Pid)
	climb(ctx, exited, -c.Process.Pid, cmd.Interrupt, wait, func() { _ = end.Close() })
	stuck := !within(exited, guardAnswers)
	if stuck {
		kill(c.Process.Pid, syscall.SIGKILL)
	}
	exit, err := reap(c, cmd)
	switch {
	case err != nil:
		return Exit{}, err
	case stuck:
		return Exit{}, fmt.Errorf("the guard of %s did not end it within %s, so what the program started may still run on the node", cmd.Args[0], guardAnswers)
	case first.Refused != "":
		return Exit{}, errors.New(first.Refused)
	case said.Decode(&last) != nil || last.Exit == nil:
		return Exit{}, fmt.Errorf("the guard of %s %s, so what the program started may still run on the node", cmd.Args[0], exit)
	case last.Exit.Words != "":
		return Exit{}, fmt.Errorf("%s ended, but %s on the node", cmd.Args[0], last.Exit.Words)
	}
	return Exit{Code: last.Exit.Code, Signal: syscall.Signal(last.Exit.Signal)}, nil
}
