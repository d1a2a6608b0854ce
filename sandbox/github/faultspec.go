package github

import (
	"encoding/json"
	"fmt"
	"time"

	"sam/sandbox/dice"
)

// ParseFaults reads what a command line says of faults: JSON of Faults, or a list
// such as "deliveries=0.1,bad_gateway_after=0.05,primary_403=2x/3s". Each entry is
// a kind or a group of them (deliveries, calls, git, all), a probability or how
// often it strikes before it is spent (2x), and how long it lasts where it does.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	err := dice.Read(text, &f, func(name, value string) error {
		kinds, grouped := kindsOf(name)
		if len(kinds) == 0 {
			return fmt.Errorf("there is no such kind; there are all, deliveries, calls, git, %s", dice.Names(FaultKinds()))
		}
		odds, lasts, err := dice.ParseValue(value)
		for _, kind := range kinds {
			rule := Rule{Kind: kind, Probability: odds.Probability, Next: odds.Next, Skip: odds.Skip, For: lasts}
			if grouped && kind.lasts() == 0 {
				rule.For = 0 // of a group, those that last take it
			}
			f.Rules = append(f.Rules, rule)
		}
		return err
	})
	if err != nil {
		return Faults{}, err
	}
	return f, f.Check()
}

// kindsOf are the kinds that an entry's name stands for: a group's, or the one.
func kindsOf(name string) (kinds []FaultKind, grouped bool) {
	group, grouped := map[string]place{
		"deliveries": onDelivery, "calls": onCall, "git": onGit, "all": onDelivery | onCall | onGit,
	}[name]
	for _, k := range faultKinds() {
		if (grouped && k.at&group != 0) || string(k.kind) == name {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds, grouped
}

// ruleWithout is Rule without its methods, so that they do not call themselves.
type ruleWithout Rule

type ruleJSON struct {
	ruleWithout
	For string `json:"for,omitempty"`
}

// MarshalJSON writes For as Go writes a duration.
func (r Rule) MarshalJSON() ([]byte, error) {
	out := ruleJSON{ruleWithout: ruleWithout(r)}
	if r.For != 0 {
		out.For = r.For.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON refuses fields that a rule does not have.
func (r *Rule) UnmarshalJSON(text []byte) error {
	var in ruleJSON
	if err := dice.Decode(text, &in); err != nil {
		return err
	}
	*r = Rule(in.ruleWithout)
	if in.For == "" {
		return nil
	}
	lasts, err := time.ParseDuration(in.For)
	if err != nil {
		return fmt.Errorf("for: %w", err)
	}
	r.For = lasts
	return nil
}
