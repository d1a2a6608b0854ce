package dice

import (
	"errors"
	"fmt"
	"math"
)

// Rule is what a stand-in says of one thing that goes wrong. K is its kinds of
// fault.
type Rule[K ~string] interface {
	// Fault is the kind that the rule makes strike.
	Fault() K
	Odds() Odds
	// Check says why the rule cannot be meant: it could never strike, or means
	// something else than it says. It includes Odds.Check.
	Check() error
}

// Odds are how often a rule strikes what it matches: with Probability, at most Next
// times, after the first Skip.
type Odds struct {
	// Probability is from 0 to 1. 0 with Next stands for 1.
	Probability float64
	// Next is after how many strikes the rule is spent. 0: never.
	Next int
	// Skip is how many occasions are let through before anything strikes.
	Skip int
}

// Check refuses odds that are none, or at which nothing would ever strike.
func (o Odds) Check() error {
	switch {
	case math.IsNaN(o.Probability) || o.Probability < 0 || o.Probability > 1:
		return fmt.Errorf("probability %v is not from 0 to 1", o.Probability)
	case o.Next < 0 || o.Skip < 0:
		return fmt.Errorf("next %d and skip %d must not be negative", o.Next, o.Skip)
	case o.Probability == 0 && o.Next == 0:
		return errors.New("it never strikes: give it a probability, or next")
	}
	return nil
}

// Check says which rule cannot be meant, and why.
func Check[K ~string, R Rule[K]](rules []R) error {
	for i, r := range rules {
		if err := r.Check(); err != nil {
			return fmt.Errorf("rule %d (%s): %w", i+1, r.Fault(), err)
		}
	}
	return nil
}
