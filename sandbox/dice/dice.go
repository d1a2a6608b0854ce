package dice

import (
	"maps"
	"math/rand/v2"
	"sync"
)

// Dice draw for the rules that they were loaded with, and count. The zero value has
// no rules: nothing goes wrong. All methods are safe for concurrent use; the lock is
// an innermost one and may be taken with any other held.
type Dice[K ~string, R Rule[K]] struct {
	mu    sync.Mutex
	seed  uint64
	rules []*loaded[R]
	hits  map[K]int
}

// loaded draws from a sequence of its own, so that what one rule decides does not
// depend on what matches another.
type loaded[R any] struct {
	rule            R
	odds            Odds
	random          *rand.Rand
	matched, struck int
}

// Report says what was asked for and what has come of it.
type Report[K ~string, R Rule[K]] struct {
	Seed  uint64          `json:"seed"`
	Rules []RuleReport[R] `json:"rules"`
	// Hits counts, since the stand-in began, the faults that had their effect. Every
	// kind of a rule is there, if with 0.
	Hits map[K]int `json:"hits"`
}

// RuleReport is a rule with how many occasions matched it, and how many of them it
// chose. A chosen one may still miss: there was nothing that it could spoil.
type RuleReport[R any] struct {
	Rule    R   `json:"rule"`
	Matched int `json:"matched"`
	Struck  int `json:"struck"`
}

// Load replaces all rules, from the next occasion on; Check them before. Counts of
// hits go on. With the same seed, rules and order of occasions the same ones are
// struck, in every version: what a seed has found once it finds again.
func (d *Dice[K, R]) Load(seed uint64, rules []R) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seed, d.rules = seed, nil
	for i, r := range rules {
		random := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // a repeatable sequence is the point
		d.rules = append(d.rules, &loaded[R]{rule: r, odds: r.Odds(), random: random})
	}
}

// Roll returns the rule that strikes an occasion, if one does: the first of those
// that would. matches says which rules the occasion is one for; it is called with
// the lock held and must take none. Every rule that matches draws, whether or not an
// earlier one strikes; one that is spent is not asked any more.
func (d *Dice[K, R]) Roll(matches func(R) bool) (rule R, strikes bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.rules {
		if (l.odds.Next > 0 && l.struck >= l.odds.Next) || !matches(l.rule) {
			continue
		}
		l.matched++
		lucky := l.odds.Probability > 0 && l.random.Float64() >= l.odds.Probability
		if lucky || l.matched <= l.odds.Skip || strikes {
			continue
		}
		l.struck++
		rule, strikes = l.rule, true
	}
	return rule, strikes
}

// Hit counts a fault that has had its effect.
func (d *Dice[K, R]) Hit(kind K) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hits == nil {
		d.hits = map[K]int{}
	}
	d.hits[kind]++
}

// Report tells of the rules and the counts.
func (d *Dice[K, R]) Report() Report[K, R] {
	d.mu.Lock()
	defer d.mu.Unlock()
	report := Report[K, R]{Seed: d.seed, Rules: []RuleReport[R]{}, Hits: map[K]int{}}
	for _, l := range d.rules {
		report.Rules = append(report.Rules, RuleReport[R]{l.rule, l.matched, l.struck})
		report.Hits[l.rule.Fault()] = 0
	}
	maps.Copy(report.Hits, d.hits)
	return report
}
