package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// endWithin is how long a program may take to end when it is asked to.
const endWithin = 25 * time.Second

// program is the sam binary in a process of its own.
type program struct {
	cmd   *exec.Cmd
	log   *os.File
	ended chan struct{}
}

// startProgram starts a command of sam with nothing of SAM's in its environment but what is given.
func startProgram(binary, command, log string, env ...string) (*program, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep the log of sam %s: %w", command, err)
	}
	cmd := exec.Command(binary, command) //nolint:noctx // it is given time to end
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SAM_") && !strings.HasPrefix(entry, "ANTHROPIC_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("start sam %s: %w", command, err)
	}
	p := &program{cmd: cmd, log: out, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // however it ended
	}()
	return p, nil
}

// stop asks it to end, and makes it when it does not.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(endWithin)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = p.log.Close()
}
