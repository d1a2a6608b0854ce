package github

import (
	"strings"

	"sam/sandbox/dice"
)

// FaultReport says what was asked for and what has come of it. A fault that was
// chosen may still miss: nothing overtook the delivery, or the app was down.
type FaultReport struct {
	dice.Report[FaultKind, Rule]
	// ContentLimited counts the calls refused because an installation has created
	// too much, by GitHub's own limits.
	ContentLimited int `json:"content_limited"`
	// TooSoon counts the calls that a client made while a limit still lasted of
	// which it had been told, however it was told.
	TooSoon int `json:"too_soon"`
}

// SetFaults replaces all rules, from the next delivery, call and request of git
// on. Counts of hits go on. Without rules nothing goes wrong any more.
func (s *Server) SetFaults(f Faults) error {
	if err := f.Check(); err != nil {
		return err
	}
	s.dice.Load(f.Seed, f.Rules)
	return nil
}

// Faults reports the rules and the counts.
func (s *Server) Faults() FaultReport {
	return FaultReport{Report: s.dice.Report(), ContentLimited: int(s.limited.Load()), TooSoon: int(s.tooSoon.Load())}
}

// occasion is something that a fault may strike: a delivery has an event, a
// request a method and a path.
type occasion struct {
	at            place
	method, path  string
	event, action string
}

// roll returns the rule that strikes an occasion; fits says for which of those that
// match it is one. It may be called with Server.mu or a courier's held.
func (s *Server) roll(o occasion, fits func(Rule) bool) (rule Rule, strikes bool) {
	return s.dice.Roll(func(r Rule) bool { return r.Kind.at()&o.at != 0 && r.matches(o) && fits(r) })
}

func (r Rule) matches(o occasion) bool {
	if r.Event != "" && r.Event != o.event && r.Event != o.event+"."+o.action {
		return false
	}
	return (r.Method == "" || r.Method == o.method) && (r.Path == "" || pathMatches(r.Path, o.path))
}

// pathMatches compares segment by segment, as Rule.Path says.
func pathMatches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	for i, segment := range want {
		switch {
		case segment == "**" && i == len(want)-1:
			return true
		case i >= len(have):
			return false
		case segment == "*" && have[i] != "", strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && have[i] != "":
		case segment != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
