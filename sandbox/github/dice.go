package github

import (
	"math/rand/v2"
	"strings"
	"sync"
)

// dice decides where faults strike, and counts. Its lock is the innermost: it is
// taken with Server.mu or a courier's held, and takes no other.
type dice struct {
	mu      sync.Mutex
	seed    uint64
	rules   []*loadedRule
	hits    map[FaultKind]int
	limited int
	tooSoon int
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
	// ContentLimited counts the calls refused because an installation has created
	// too much, by GitHub's own limits.
	ContentLimited int `json:"content_limited"`
	// TooSoon counts the calls that a client made while a limit still lasted of
	// which it had been told, however it was told.
	TooSoon int `json:"too_soon"`
}

// RuleReport is a rule with how many occasions matched it, and how many of them
// it chose. A chosen one may still miss: nothing overtook it, or the app was down.
type RuleReport struct {
	Rule    Rule `json:"rule"`
	Matched int  `json:"matched"`
	Struck  int  `json:"struck"`
}

// SetFaults replaces all rules, from the next delivery, call and request of git
// on. Counts of hits go on. Without rules nothing goes wrong any more.
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
	report := FaultReport{Seed: d.seed, Rules: []RuleReport{}, Hits: map[FaultKind]int{}, ContentLimited: d.limited, TooSoon: d.tooSoon}
	for _, r := range d.rules {
		report.Rules = append(report.Rules, RuleReport{r.Rule, r.matched, r.struck})
		report.Hits[r.Kind] = 0
	}
	for kind, n := range d.hits {
		report.Hits[kind] = n
	}
	return report
}

// occasion is something that a fault may strike: a delivery has an event, a
// request a method and a path.
type occasion struct {
	at            place
	method, path  string
	event, action string
}

// roll returns the rule that strikes an occasion; fits says for which kinds it is
// one. Every rule that matches draws, whether or not an earlier one strikes.
func (d *dice) roll(o occasion, fits func(Rule) bool) (rule Rule, strikes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rules {
		if r.Kind.at()&o.at == 0 || (r.Next > 0 && r.struck >= r.Next) || !r.matches(o) || !fits(r.Rule) {
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

// hit counts a fault that has had its effect.
func (d *dice) hit(kind FaultKind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hits == nil {
		d.hits = map[FaultKind]int{}
	}
	d.hits[kind]++
}

func (d *dice) countTooSoon() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tooSoon++
}

func (d *dice) countLimited() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.limited++
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
