package hetzner

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// What a machine may take at most: until it is there or has no power any more, and
// until it is gone. One that takes longer has failed, so that its orders go on and
// its server can be deleted.
const (
	bootWithin   = 3 * time.Minute
	removeWithin = time.Minute
)

// order is something to do with a machine. They are obeyed one after the other.
type order int

const (
	bootUp order = iota
	halt
	die // halt, and nobody is told
	destroy
)

// tender keeps one server's machine as its orders say, in a goroutine of its own.
// A nil tender is of a server that has no machine: it takes orders, and has nothing
// to do.
type tender struct {
	machines Machines
	spec     MachineSpec

	mu      sync.Mutex
	queue   []order
	rule    Rule // of the next boot
	wake    chan struct{}
	ended   bool
	status  string
	machine Machine
}

func newTender(machines Machines, spec MachineSpec) *tender {
	return &tender{machines: machines, spec: spec, wake: make(chan struct{}, 1), status: "none"}
}

func (t *tender) order(o order) {
	if t == nil {
		return
	}
	t.mu.Lock()
	t.queue = append(t.queue, o)
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default: // it is awake
	}
}

// bootWith orders a boot that a fault may befall; one of no kind is none.
func (t *tender) bootWith(rule Rule) {
	t.mu.Lock()
	t.rule = rule
	t.mu.Unlock()
	t.order(bootUp)
}

func (t *tender) next() (order, Rule, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		return 0, Rule{}, false
	}
	o := t.queue[0]
	t.queue = t.queue[1:]
	return o, t.rule, true
}

// there says whether there may still be something of the machine.
func (t *tender) there() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.ended
}

// state is the word that History has for it.
func (t *tender) state() string {
	if t == nil {
		return "none"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

func (t *tender) is(status string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status = status
}

func (t *tender) log() string {
	t.mu.Lock()
	m := t.machine
	t.mu.Unlock()
	if m == nil {
		return ""
	}
	return m.Log()
}

// tend obeys orders until the machine is to be destroyed or ctx ends, and leaves
// nothing of it.
func (s *Server) tend(ctx context.Context, sv *server, t *tender) {
	log := s.log.With().Int64("server", t.spec.ID).Str("name", t.spec.Name).Logger()
	var exited <-chan struct{}
	var boots, dies <-chan time.Time
	var rule Rule
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWithin)
		defer cancel()
		if t.machine != nil {
			if err := t.machine.Remove(last); err != nil {
				log.Error().Err(err).Msg("a machine could not be removed: look for it on the host")
			}
		}
		t.is("gone")
		t.mu.Lock()
		t.ended = true
		t.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			for {
				o, with, more := t.next()
				if !more {
					break
				}
				switch o {
				case destroy:
					return
				case bootUp:
					rule, boots = with, after(0)
					if rule.Kind == MachineNeverBoots {
						boots = nil
					}
					if rule.Kind == MachineSlow {
						boots = after(rule.lasts())
					}
				case halt, die:
					boots, dies, exited = nil, nil, nil
					s.halt(ctx, t, log)
				}
			}
		case <-boots:
			boots = nil
			if exited = s.bootNow(ctx, t, log); exited != nil && (rule.Kind == MachineDies || rule.Kind == MachineOff) {
				dies = after(rule.lasts())
			}
		case <-dies:
			dies, exited = nil, nil
			s.halt(ctx, t, log)
			if rule.Kind == MachineOff {
				s.poweredOff(sv)
			}
		case <-exited:
			exited = nil
			t.is("down")
			log.Info().Msg("a machine powered itself off")
			s.poweredOff(sv)
		}
	}
}

func after(d time.Duration) <-chan time.Time { return time.NewTimer(d).C }

// bootNow boots the machine, or boots it again, and returns what is closed when it
// goes off; nil when it did not boot.
func (s *Server) bootNow(ctx context.Context, t *tender, log zerolog.Logger) <-chan struct{} {
	t.is("booting")
	ctx, cancel := context.WithTimeout(ctx, bootWithin)
	defer cancel()
	var err error
	m := t.machine
	if m == nil {
		m, err = t.machines.Boot(ctx, t.spec)
	} else {
		err = m.Restart(ctx)
	}
	if err != nil {
		t.is("did not boot: " + err.Error())
		log.Error().Err(err).Msg("a machine did not boot")
		return nil
	}
	t.mu.Lock()
	t.machine = m
	t.mu.Unlock()
	t.is("up")
	log.Info().Msg("a machine is up")
	return m.Exited()
}

func (s *Server) halt(ctx context.Context, t *tender, log zerolog.Logger) {
	if t.machine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bootWithin)
	defer cancel()
	if err := t.machine.Halt(ctx); err != nil {
		log.Error().Err(err).Msg("a machine could not be halted")
	}
	t.is("down")
}
