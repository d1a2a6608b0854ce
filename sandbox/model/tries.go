package model

import (
	"net/http"
	"strconv"
)

// maxTries bounds how many conversations are remembered.
const maxTries = 1024

// tries counts how often `limited` has refused a conversation.
type tries struct {
	seen  map[string]int // by the conversation's seed
	order []string       // oldest first
}

// attempt says how often this very request was made before. Anthropic's SDKs say it themselves, in
// x-stainless-retry-count. Claude Code does its own retries and sends 0 with each of them, byte for byte the same request:
// nothing in it tells them apart, so here alone the server must remember.
func (s *Server) attempt(seed string, h http.Header) int {
	if n, err := strconv.Atoi(h.Get("X-Stainless-Retry-Count")); err == nil && n > 0 {
		return n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.tries.seen[seed]
	if !known {
		s.tries.order = append(s.tries.order, seed)
		if len(s.tries.order) > maxTries {
			delete(s.tries.seen, s.tries.order[0])
			s.tries.order = s.tries.order[1:]
		}
	}
	s.tries.seen[seed] = before + 1
	return before
}
