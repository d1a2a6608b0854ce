package hetzner

import (
	"slices"
	"time"
)

// agenda is what happens by itself later: actions that end. It is settled by every
// call before it is served, and by a timer, so that machines boot when nobody asks.
type agenda struct {
	jobs    []job
	timer   *time.Timer
	stopped bool
}

// job does something at its time, or later with that time: a clock that jumps
// leaves no gap.
type job struct {
	due time.Time
	do  func(at time.Time)
}

// later puts a job on the agenda. With mu held.
func (s *Server) later(due time.Time, do func(at time.Time)) {
	a := &s.agenda
	at, _ := slices.BinarySearchFunc(a.jobs, due, func(j job, due time.Time) int {
		if j.due.After(due) {
			return 1
		}
		return -1 // those of one moment stay in their order
	})
	a.jobs = slices.Insert(a.jobs, at, job{due, do})
	s.arm()
}

// settle does what is due, in order. With mu held.
func (s *Server) settle() {
	for now, a := s.now(), &s.agenda; len(a.jobs) > 0 && !a.jobs[0].due.After(now); {
		next := a.jobs[0]
		a.jobs = a.jobs[1:]
		next.do(next.due)
	}
	s.arm()
}

// arm sets the timer to the next job. Who gives a clock of their own calls, and so
// settles; the timer is for the real one. With mu held.
func (s *Server) arm() {
	a := &s.agenda
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.stopped || len(a.jobs) == 0 {
		return
	}
	wait := max(a.jobs[0].due.Sub(s.now()), time.Millisecond)
	a.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.agenda.stopped {
			s.settle()
		}
	})
}

// stop drops the agenda. With mu held.
func (a *agenda) stop() {
	a.stopped, a.jobs = true, nil
	if a.timer != nil {
		a.timer.Stop()
	}
}
