package hetzner

import (
	"path"

	"sam/sandbox/dice"
)

// FaultReport says what was asked for and what has come of it.
type FaultReport = dice.Report[FaultKind, Rule]

// SetFaults replaces all rules, from the next occasion on. Counts of hits go on.
// Without rules nothing goes wrong any more.
func (s *Server) SetFaults(f Faults) error {
	if err := f.Check(); err != nil {
		return err
	}
	s.dice.Load(f.Seed, f.Rules)
	return nil
}

// Faults reports the rules and the counts.
func (s *Server) Faults() FaultReport { return s.dice.Report() }

// occasion is something that a fault may strike: see Rule.Path.
type occasion struct {
	at           place
	method, path string
}

// anyRule is for occasions that every rule of their place fits.
func anyRule(Rule) bool { return true }

// roll returns the rule that strikes an occasion; fits says for which of those that
// match it is one.
func (s *Server) roll(o occasion, fits func(Rule) bool) (rule Rule, strikes bool) {
	return s.dice.Roll(func(r Rule) bool { return r.Kind.about().at == o.at && r.matches(o) && fits(r) })
}

func (r Rule) matches(o occasion) bool {
	fits, err := path.Match(r.Path, o.path)
	return (r.Method == "" || r.Method == o.method) && (r.Path == "" || (err == nil && fits))
}
