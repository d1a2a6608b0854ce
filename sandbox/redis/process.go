package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startWithin bounds how long redis-server may take to answer.
const startWithin = 20 * time.Second

// endWithin is how long redis-server may take to end when it is asked to. Then it is killed.
const endWithin = 5 * time.Second

// process is a redis-server that can be ended and started again with the same arguments.
type process struct {
	path string
	args []string

	mu     sync.Mutex
	cmd    *exec.Cmd     // nil when it does not run
	exited chan struct{} // closed when cmd has ended
}

func newProcess(path string, args ...string) *process { return &process{path: path, args: args} }

// start starts it and returns when it takes connections.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return errors.New("redis-server runs already")
	}
	cmd := exec.Command(p.path, p.args...) //nolint:noctx // end ends it, with time to write
	// It dies with who started it, and a Ctrl-C at the terminal is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("read redis-server's output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	p.cmd, p.exited = cmd, make(chan struct{})
	up := make(chan struct{})
	var tail []string // read only after exited is closed
	go func(exited chan struct{}) {
		defer close(exited)
		var once sync.Once
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			tail = append(tail[max(0, len(tail)-5):], lines.Text())
			if saysReady(lines.Text()) {
				once.Do(func() { close(up) })
			}
		}
		_ = cmd.Wait() // its exit code is no news: end asked for it, or tail says why
	}(p.exited)
	timer := time.NewTimer(startWithin)
	defer timer.Stop()
	select {
	case <-up:
		return nil
	case <-p.exited:
		p.cmd = nil
		return fmt.Errorf("redis-server ended at once: %s", strings.Join(tail, " / "))
	case <-timer.C:
		return errors.Join(fmt.Errorf("redis-server was not ready within %s", startWithin), p.endLocked(syscall.SIGKILL))
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.endLocked(syscall.SIGKILL))
	}
}

// saysReady reports whether a line of a server's or a Sentinel's log says that it takes connections.
func saysReady(line string) bool {
	return strings.Contains(line, "eady to accept connections") || strings.Contains(line, "+monitor master")
}

// end ends it by a signal and waits for its end. One that does not run is ended already.
func (p *process) end(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endLocked(sig)
}

func (p *process) endLocked(sig syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	// One that is paused would never see SIGTERM.
	for _, s := range []syscall.Signal{sig, syscall.SIGCONT} {
		if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end redis-server: %w", err)
		}
	}
	timer := time.NewTimer(endWithin)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		// A replica that writes its first append-only file refuses SIGTERM, and forgets that it was asked.
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("kill redis-server: %w", err)
		}
		<-p.exited
	}
	p.cmd = nil
	return nil
}

// signal sends one that runs a signal.
func (p *process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return errors.New("redis-server does not run")
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("send redis-server %s: %w", sig, err)
	}
	return nil
}

// runs reports whether it was started and not ended since.
func (p *process) runs() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd != nil
}

// option is the value of one of its arguments.
func (p *process) option(name string) string {
	for i, a := range p.args[:len(p.args)-1] {
		if a == name {
			return p.args[i+1]
		}
	}
	return ""
}
