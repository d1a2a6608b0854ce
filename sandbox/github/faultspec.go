package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ParseFaults reads what a command line says of faults: JSON of Faults, or a list
// such as "deliveries=0.1,bad_gateway_after=0.05,primary_403=2x/3s". Each entry is
// a kind or a group of them (deliveries, calls, git, all), a probability or how
// often it strikes before it is spent (2x), and how long it lasts where it does.
func ParseFaults(text string) (Faults, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "{") {
		var f Faults
		if err := decodeStrictly([]byte(text), &f); err != nil {
			return Faults{}, fmt.Errorf("read the faults: %w", err)
		}
		return f, f.Check()
	}
	var f Faults
	for entry := range strings.SplitSeq(text, ",") {
		rules, err := parseEntry(strings.TrimSpace(entry))
		if err != nil {
			return Faults{}, fmt.Errorf("fault %q: %w", entry, err)
		}
		f.Rules = append(f.Rules, rules...)
	}
	return f, f.Check()
}

func parseEntry(entry string) ([]Rule, error) {
	name, value, ok := strings.Cut(entry, "=")
	if !ok {
		return nil, errors.New("write it as kind=probability, or kind=3x for the next three")
	}
	var kinds []FaultKind
	group, grouped := map[string]place{
		"deliveries": onDelivery, "calls": onCall, "git": onGit, "all": onDelivery | onCall | onGit,
	}[name]
	for _, k := range faultKinds() {
		if (grouped && k.at&group != 0) || string(k.kind) == name {
			kinds = append(kinds, k.kind)
		}
	}
	if len(kinds) == 0 {
		return nil, fmt.Errorf("there is no such kind; there are all, deliveries, calls, git, %s", joined(FaultKinds()))
	}
	often, lasts, timed := strings.Cut(value, "/")
	rule := Rule{}
	var err error
	if count, counted := strings.CutSuffix(often, "x"); counted {
		rule.Next, err = strconv.Atoi(count)
	} else {
		rule.Probability, err = strconv.ParseFloat(often, 64)
	}
	if err == nil && timed {
		rule.For, err = time.ParseDuration(lasts)
	}
	if err != nil {
		return nil, err
	}
	rules := make([]Rule, len(kinds))
	for i, kind := range kinds {
		rules[i] = rule
		rules[i].Kind = kind
		if grouped && kind.lasts() == 0 {
			rules[i].For = 0 // of a group, those that last take it
		}
	}
	return rules, nil
}

// decodeStrictly reads one JSON value and refuses fields that it has no place for.
func decodeStrictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
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
	if err := decodeStrictly(text, &in); err != nil {
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
