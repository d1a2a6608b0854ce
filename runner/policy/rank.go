package policy

import (
	"slices"
	"time"
)

// score orders the machines that could take a task.
type score struct {
	avoid bool
	has   int // 2: mirror and environment, 1: mirror, 0: neither
	idle  bool
	paid  time.Time
	name  string
}

func scoreOf(m *candidate, r *Request) score {
	s := score{avoid: m.Name == r.Avoid, idle: m.free == m.Slots, paid: m.Paid, name: m.Name}
	if m.mirrors[r.Project] {
		s.has = 1
		if r.Image == "" || slices.Contains(m.Images, r.Image) {
			s.has = 2
		}
	}
	return s
}

func (s *score) before(o *score) bool {
	switch {
	case s.avoid != o.avoid:
		return o.avoid
	case s.has != o.has:
		return s.has > o.has
	case s.idle != o.idle:
		return s.idle
	case !s.paid.Equal(o.paid):
		return s.paid.After(o.paid)
	default:
		return s.name < o.name
	}
}
