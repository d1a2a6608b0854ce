package hetzner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
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

// check refuses rules that could never strike, or mean something else than they
// say.
func (r Rule) check() error {
	about := r.Kind.about()
	_, bad := path.Match(r.Path, "/")
	switch {
	case about.kind == "":
		return fmt.Errorf("kind %q is none of %s", r.Kind, joined(FaultKinds()))
	case math.IsNaN(r.Probability) || r.Probability < 0 || r.Probability > 1:
		return fmt.Errorf("probability %v is not from 0 to 1", r.Probability)
	case r.Next < 0 || r.Skip < 0 || r.For < 0:
		return fmt.Errorf("next %d, skip %d and for %s must not be negative", r.Next, r.Skip, time.Duration(r.For))
	case r.Probability == 0 && r.Next == 0:
		return errors.New("it never strikes: give it a probability, or next")
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
func (f Faults) Check() error {
	for i, r := range f.Rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("rule %d (%s): %w", i+1, r.Kind, err)
		}
	}
	return nil
}

func joined(kinds []FaultKind) string {
	var names []string
	for _, k := range kinds {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// ParseFaults reads what a command line says of faults: JSON of Faults, or a list
// such as "resource_unavailable=2x,answer_lost=0.1,machine_boots_slowly=1x/20s".
// Each entry is a kind, a probability or how often it strikes before it is spent
// (2x), and how long it lasts where it does.
func ParseFaults(text string) (Faults, error) {
	text = strings.TrimSpace(text)
	var f Faults
	if strings.HasPrefix(text, "{") {
		if err := decodeStrictly([]byte(text), &f); err != nil {
			return Faults{}, fmt.Errorf("read the faults: %w", err)
		}
		return f, f.Check()
	}
	for entry := range strings.SplitSeq(text, ",") {
		rule, err := parseEntry(strings.TrimSpace(entry))
		if err != nil {
			return Faults{}, fmt.Errorf("fault %q: %w", entry, err)
		}
		f.Rules = append(f.Rules, rule)
	}
	return f, f.Check()
}

func parseEntry(entry string) (Rule, error) {
	name, value, ok := strings.Cut(entry, "=")
	if !ok {
		return Rule{}, errors.New("write it as kind=probability, or kind=3x for the next three")
	}
	rule := Rule{Kind: FaultKind(name)}
	if !slices.Contains(FaultKinds(), rule.Kind) {
		return rule, fmt.Errorf("there is no such kind; there are %s", joined(FaultKinds()))
	}
	often, lasts, timed := strings.Cut(value, "/")
	var err error
	if count, counted := strings.CutSuffix(often, "x"); counted {
		rule.Next, err = strconv.Atoi(count)
	} else {
		rule.Probability, err = strconv.ParseFloat(often, 64)
	}
	if err == nil && timed {
		err = rule.For.UnmarshalText([]byte(lasts))
	}
	return rule, err
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
