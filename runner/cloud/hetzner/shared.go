package hetzner

import (
	"sync"
	"time"
)

// shared is something that Hetzner is asked for once for all who want it. Its zero value was not asked for yet.
type shared[T any] struct {
	mu    sync.Mutex
	asked time.Time
	is    T
}

// since returns what ask has said when it was called at that time or later, and else calls it. Who comes meanwhile waits for the
// same answer; who asks in vain leaves it to the next.
func (s *shared[T]) since(at time.Time, ask func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.asked.IsZero() && !s.asked.Before(at) {
		return s.is, nil
	}
	began := time.Now()
	is, err := ask()
	if err == nil {
		s.asked, s.is = began, is
	}
	return is, err
}

// forget has it asked for anew.
func (s *shared[T]) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = time.Time{}
}
