package hetzner

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"sam/sandbox/dice"
)

// Faults says what goes wrong. With the same seed, rules and order of occasions it
// goes wrong in the same places.
type Faults struct {
	Seed  uint64 `json:"seed"`
	Rules []Rule `json:"rules"`
}

// Rule makes one kind of fault strike: what matches, with Probability, at most
// Next times, after the first Skip. Of the rules that would strike one occasion
// the first does.
type Rule struct {
	Kind FaultKind `json:"kind"`
	// Probability is from 0 to 1. 0 with Next stands for 1.
	Probability float64 `json:"probability,omitempty"`
	// Next is after how many strikes the rule is spent. 0: never.
	Next int `json:"next,omitempty"`
	// Skip is how many occasions are let through before anything strikes.
	Skip int `json:"skip,omitempty"`
	// Method of a call. Empty: any.
	Method string `json:"method,omitempty"`
	// Path of a call below /v1, as path.Match has it: /servers, /servers/*. Of an action
	// it is its command: /create_server; of a machine its server's name: /sam-*. Empty:
	// any.
	Path string `json:"path,omitempty"`
	// For is how long it lasts; see the kinds. Zero: the kind's own.
	For Duration `json:"for,omitzero"`
}

// Duration is written as Go writes one: "1.5s".
type Duration time.Duration

// MarshalText writes "1.5s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "1.5s".
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

func (r Rule) lasts() time.Duration {
	if r.For > 0 {
		return time.Duration(r.For)
	}
	return r.Kind.about().lasts
}

// Fault is the kind that strikes.
func (r Rule) Fault() FaultKind { return r.Kind }

// Odds are how often it strikes.
func (r Rule) Odds() dice.Odds {
	return dice.Odds{Probability: r.Probability, Next: r.Next, Skip: r.Skip}
}

// Check refuses rules that could never strike, or mean something else than they
// say.
func (r Rule) Check() error {
	about := r.Kind.about()
	if about.kind == "" {
		return fmt.Errorf("kind %q is none of %s", r.Kind, dice.Names(FaultKinds()))
	}
	if err := r.Odds().Check(); err != nil {
		return err
	}
	_, bad := path.Match(r.Path, "/")
	switch {
	case r.For < 0:
		return fmt.Errorf("for %s must not be negative", time.Duration(r.For))
	case r.For > 0 && about.lasts == 0:
		return errors.New("for means nothing here: it does not last")
	case about.at != onCall && r.Method != "":
		return errors.New("only a call has a method")
	case r.Method != strings.ToUpper(r.Method):
		return fmt.Errorf("method %q is not in capitals", r.Method)
	case bad != nil || (r.Path != "" && !strings.HasPrefix(r.Path, "/")):
		return fmt.Errorf("path %q is no pattern such as /servers/*", r.Path)
	}
	return nil
}

// Check says which rule cannot be meant, and why.
func (f Faults) Check() error { return dice.Check(f.Rules) }

// ParseFaults reads what a command line says of faults: JSON of Faults, or a list
// such as "resource_unavailable=2x,answer_lost=0.1,machine_boots_slowly=1x/20s".
// Each entry is a kind, a probability or how often it strikes before it is spent
// (2x), and how long it lasts where it does.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	err := dice.Read(text, &f, func(name, value string) error {
		kind := FaultKind(name)
		if !slices.Contains(FaultKinds(), kind) {
			return fmt.Errorf("there is no such kind; there are %s", dice.Names(FaultKinds()))
		}
		odds, lasts, err := dice.ParseValue(value)
		f.Rules = append(f.Rules, Rule{
			Kind: kind, Probability: odds.Probability, Next: odds.Next, Skip: odds.Skip, For: Duration(lasts),
		})
		return err
	})
	if err != nil {
		return Faults{}, err
	}
	return f, f.Check()
}
