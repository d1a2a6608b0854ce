package hetzner

import (
	"maps"
	"math/rand/v2"
	"path"
	"sync"
)

// dice decides where faults strike, and counts. Its lock is the innermost: it is
// taken with Server.mu held, and takes no other.
type dice struct {
	mu    sync.Mutex
	seed  uint64
	rules []*loadedRule
	hits  map[FaultKind]int
}

// loadedRule draws from a sequence of its own, so that what one rule decides does
// not depend on what matches another.
type loadedRule struct {
	Rule
	random          *rand.Rand
	matched, struck int
}

// FaultReport says what was asked for and what has come of it.
type FaultReport struct {
	Seed  uint64       `json:"seed"`
	Rules []RuleReport `json:"rules"`
	// Hits counts, since the server began, the faults that had their effect. Every
	// kind of a rule is there, if with 0.
	Hits map[FaultKind]int `json:"hits"`
}

// RuleReport is a rule with how many occasions matched it, and how many of them it
// chose.
type RuleReport struct {
	Rule    Rule `json:"rule"`
	Matched int  `json:"matched"`
	Struck  int  `json:"struck"`
}

// SetFaults replaces all rules, from the next occasion on. Counts of hits go on.
// Without rules nothing goes wrong any more.
func (s *Server) SetFaults(f Faults) error {
	if err := f.Check(); err != nil {
		return err
	}
	d := &s.dice
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seed, d.rules = f.Seed, nil
	for i, r := range f.Rules {
		d.rules = append(d.rules, &loadedRule{Rule: r, random: rand.New(rand.NewPCG(f.Seed, uint64(i)))}) //nolint:gosec // a repeatable sequence is the point
	}
	return nil
}

// Faults reports the rules and the counts.
func (s *Server) Faults() FaultReport {
	d := &s.dice
	d.mu.Lock()
	defer d.mu.Unlock()
	report := FaultReport{Seed: d.seed, Rules: []RuleReport{}, Hits: map[FaultKind]int{}}
	for _, r := range d.rules {
		report.Rules = append(report.Rules, RuleReport{r.Rule, r.matched, r.struck})
		report.Hits[r.Kind] = 0
	}
	maps.Copy(report.Hits, d.hits)
	return report
}

// occasion is something that a fault may strike: see Rule.Path.
type occasion struct {
	at           place
	method, path string
}

func (d *dice) roll(o occasion) (Rule, bool) {
	return d.rollFor(o, func(Rule) bool { return true })
}

// rollFor returns the rule that strikes an occasion; fits says for which rules it
// is one. Every rule that matches draws, whether or not an earlier one strikes.
func (d *dice) rollFor(o occasion, fits func(Rule) bool) (rule Rule, strikes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rules {
		if r.Kind.about().at != o.at || (r.Next > 0 && r.struck >= r.Next) || !r.matches(o) || !fits(r.Rule) {
			continue
		}
		r.matched++
		lucky := r.Probability > 0 && r.random.Float64() >= r.Probability
		if lucky || r.matched <= r.Skip || strikes {
			continue
		}
		r.struck++
		rule, strikes = r.Rule, true
	}
	return rule, strikes
}

func (r Rule) matches(o occasion) bool {
	fits, err := path.Match(r.Path, o.path)
	return (r.Method == "" || r.Method == o.method) && (r.Path == "" || (err == nil && fits))
}

// hit counts a fault that has had its effect.
func (d *dice) hit(kind FaultKind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hits == nil {
		d.hits = map[FaultKind]int{}
	}
	d.hits[kind]++
}
