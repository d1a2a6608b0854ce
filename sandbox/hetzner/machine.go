package hetzner

import (
	"context"
	"fmt"
)

// Machines makes what a server is while it is on. A context is of the call alone: it
// has a deadline, and a machine outlives it.
type Machines interface {
	// Boot makes a machine and begins its boot, in which it does what its user data
	// says. It returns when the machine is there, which may be long before its boot is
	// over. A machine that cannot be made leaves nothing behind.
	Boot(ctx context.Context, spec MachineSpec) (Machine, error)
}

// Machine is one machine that was booted. Its methods are not called at the same
// time as each other, but for Log.
type Machine interface {
	// Halt takes its power. Its disk stays.
	Halt(ctx context.Context) error
	// Restart boots it again after Halt. Its user data is not run once more.
	Restart(ctx context.Context) error
	// Remove takes it away, with its disk and whatever it has started on the host.
	Remove(ctx context.Context) error
	// Exited is closed when it has powered itself off, or was halted. Restart makes a
	// new one.
	Exited() <-chan struct{}
	// Log is what it has printed while it booted.
	Log() string
}

// MachineSpec is what a machine is told of itself.
type MachineSpec struct {
	ID       int64
	Name     string
	IPv4     string // empty: it has none
	UserData string
}

// boot begins the boot of a server's machine. With mu held.
func (s *Server) boot(sv *server) {
	if s.machines == nil || s.closed {
		return
	}
	if sv.tender == nil {
		sv.tender = newTender(s.machines, s.spec(sv))
		s.tended.Go(func() { s.tend(s.alive(), sv, sv.tender) })
	}
	rule, strikes := s.roll(occasion{at: onMachine, path: "/" + sv.name}, anyRule)
	if strikes {
		s.dice.Hit(rule.Kind)
	}
	sv.tender.bootWith(rule)
}

func (s *Server) spec(sv *server) MachineSpec {
	spec := MachineSpec{ID: sv.id, Name: sv.name, UserData: sv.userData}
	if sv.ipv4 != nil {
		spec.IPv4 = sv.ipv4.ip
	}
	return spec
}

// poweredOff is what the API learns of a machine that went off by itself.
func (s *Server) poweredOff(sv *server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sv.status == running {
		sv.status = off
	}
}

// MachineLog returns what a server's machine printed while it booted.
func (s *Server) MachineLog(id int64) (string, error) {
	t, err := s.tenderOf(id)
	if err != nil {
		return "", err
	}
	return t.log(), nil
}

// KillMachine has a server's machine die; the API goes on saying that it runs.
func (s *Server) KillMachine(id int64) error {
	t, err := s.tenderOf(id)
	if err == nil {
		t.order(die)
	}
	return err
}

func (s *Server) tenderOf(id int64) (*tender, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.projects {
		if sv := p.servers[id]; sv != nil {
			if sv.tender == nil {
				return nil, fmt.Errorf("server %d has no machine: it was not on yet, or none are booted here", id)
			}
			return sv.tender, nil
		}
	}
	return nil, notFound("server", id)
}
