package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// restartAfter is how long a program that ended stays down: what a supervisor waits.
const restartAfter = 500 * time.Millisecond

// endWithin is how long a program may take to end when it is asked to; a replica drains for up to 20 s.
const endWithin = 25 * time.Second

// program is the sam binary in a process that is started again whenever it ends, as a supervisor does.
type program struct {
	name   string
	binary string
	args   []string
	env    []string
	log    string // the file that its output is appended to

	mu      sync.Mutex
	process *os.Process // nil while it is down
	paused  bool
	starts  int
}

// run keeps the program running until ctx ends, and returns when it has ended.
func (p *program) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := p.once(ctx); err != nil {
			return err
		}
		rest(ctx, restartAfter)
	}
	return nil
}

// once runs it until it ends. When ctx ends it is asked to end, and after endWithin it is made to.
func (p *program) once(ctx context.Context) error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("keep the log of %s: %w", p.name, err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(p.binary, p.args...) //nolint:noctx // it is given time to end
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.mu.Lock()
	p.process, p.paused = cmd.Process, false
	p.starts++
	p.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = p.signal(syscall.SIGTERM)
		_ = p.signal(syscall.SIGCONT)
		timer := time.NewTimer(endWithin)
		defer timer.Stop()
		select {
		case err = <-ended:
		case <-timer.C:
			zerolog.Ctx(ctx).Warn().Str("program", p.name).Msg("it did not end when it was asked to")
			_ = p.signal(syscall.SIGKILL)
			err = <-ended
		}
	}
	p.mu.Lock()
	p.process = nil
	p.mu.Unlock()
	// What it had started is orphaned when it was killed; a workspace's agent ends by itself, and here no later than this.
	if ctx.Err() != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	zerolog.Ctx(ctx).Debug().Str("program", p.name).AnErr("ended", err).Msg("a program ended")
	return nil
}

// errDown: a program is down at this moment, and will be back.
var errDown = errors.New("it is down")

func (p *program) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return errDown
	}
	if err := p.process.Signal(sig); err != nil {
		return fmt.Errorf("send %s %s: %w", p.name, sig, err)
	}
	return nil
}

// kill ends it without warning. One that is down or paused is left alone: it reports whether it was killed.
func (p *program) kill() bool {
	return !p.isPaused() && p.signal(syscall.SIGKILL) == nil
}

// freeze pauses it, unless it is down or paused already: its connections stay open, and it answers nothing until thaw.
func (p *program) freeze() bool {
	if p.isPaused() || p.signal(syscall.SIGSTOP) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = true
	return true
}

func (p *program) thaw() {
	_ = p.signal(syscall.SIGCONT) // it may have ended meanwhile
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
}

func (p *program) isPaused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// started says how often it was started.
func (p *program) started() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.starts
}

// rest waits, unless ctx ends. It reports whether it waited to the end.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// until asks again and again whether something is so, until it is or ctx ends; then the error is the last reason why not.
func until(ctx context.Context, every time.Duration, is func() error) error {
	for {
		why := is()
		if why == nil {
			return nil
		}
		if !rest(ctx, every) {
			return fmt.Errorf("waited in vain: %w", why)
		}
	}
}
