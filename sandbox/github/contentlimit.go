package github

import (
	"net/http"
	"strings"
	"time"
)

// ContentLimits is how much content one installation may create; GitHub documents
// 80 a minute and 500 an hour, "in general". 0 is GitHub's number, less than 0 no
// limit.
type ContentLimits struct {
	PerMinute int `json:"per_minute"`
	PerHour   int `json:"per_hour"`
}

func (l ContentLimits) orGitHubs() ContentLimits {
	if l.PerMinute == 0 {
		l.PerMinute = 80
	}
	if l.PerHour == 0 {
		l.PerHour = 500
	}
	return l
}

// SetContentLimits changes what every installation may create, from its next call
// on.
func (s *Server) SetContentLimits(l ContentLimits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contentLimits = l.orGitHubs()
}

// creates says whether a call creates content by GitHub's count. What exactly
// counts is not documented; here it is every POST, PUT and PATCH below a
// repository, edits and reactions too, which is the strict reading.
func (rt route) creates() bool {
	return (rt.method == http.MethodPost || rt.method == http.MethodPut || rt.method == http.MethodPatch) &&
		strings.HasPrefix(rt.path, "/repos/{owner}/{repo}/")
}

// create counts what an installation creates, and refuses it beyond the limits.
// What was refused does not count. With mu held.
func (s *Server) create(c *call, rt route) *Error {
	if c.id.inst == nil || !rt.creates() {
		return nil
	}
	now, id := s.now(), c.id.inst.id
	recent := s.contents[id]
	for len(recent) > 0 && now.Sub(recent[0]) >= time.Hour {
		recent = recent[1:]
	}
	var free time.Time // when the next one may come
	for _, limit := range []struct {
		n    int
		span time.Duration
	}{{s.contentLimits.PerMinute, time.Minute}, {s.contentLimits.PerHour, time.Hour}} {
		if limit.n < 0 || len(recent) < limit.n {
			continue
		}
		// The limit is full until the n-th latest leaves its span.
		if at := recent[len(recent)-limit.n].Add(limit.span); at.After(now) && at.After(free) {
			free = at
		}
	}
	if free.IsZero() {
		s.contents[id] = append(recent, now)
		return nil
	}
	s.contents[id] = recent
	s.limited.Add(1)
	return s.secondary(block{until: free, status: http.StatusForbidden, told: true, content: true})
}
