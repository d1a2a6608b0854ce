package model

import (
	"net/http"
	"slices"
	"strconv"
)

const (
	// maxTries bounds how many conversations are remembered.
	maxTries = 1024
	// refusals is how often `limited` refuses one.
	refusals = 2
)

// tries counts how often `limited` has refused a conversation.
type tries struct {
	seen  map[string]int // by the conversation's seed
	order []string       // oldest first
}

// attempt says how often this very request was made before. Anthropic's SDKs say it themselves, in
// x-stainless-retry-count. Claude Code does its own retries and sends 0 with each of them, byte for byte the same request:
// nothing in it tells them apart, so here alone the server must remember. It forgets a request that gets its answer: who
// makes it again later is refused again.
func (s *Server) attempt(seed string, h http.Header) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := strconv.Atoi(h.Get("X-Stainless-Retry-Count"))
	if err != nil || n <= 0 {
		n = s.tries.seen[seed]
	}
	s.tries.note(seed, n+1)
	return n
}

// note remembers how many tries there were of what is refused still.
func (t *tries) note(seed string, made int) {
	_, known := t.seen[seed]
	switch {
	case made > refusals && known:
		delete(t.seen, seed)
		t.order = slices.DeleteFunc(t.order, func(one string) bool { return one == seed })
		return
	case made > refusals:
		return
	case !known:
		t.order = append(t.order, seed)
	}
	t.seen[seed] = made
	if len(t.order) > maxTries {
		delete(t.seen, t.order[0])
		t.order = t.order[1:]
	}
}
