package dice_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sam/sandbox/dice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type kind string

// rule is the least that a stand-in can say: it is for the occasions of its place.
type rule struct {
	Kind  kind
	Place string
	odds  dice.Odds
}

func (r rule) Fault() kind     { return r.Kind }
func (r rule) Odds() dice.Odds { return r.odds }
func (r rule) Check() error {
	if r.Kind == "" {
		return errors.New("it has no kind")
	}
	return r.odds.Check()
}

type table = dice.Dice[kind, rule]

func anywhere(rule) bool { return true }

// draw writes down what strikes so many occasions: the kind's first letter, or a
// dot where nothing did.
func draw(d *table, occasions int) string {
	var seen strings.Builder
	for range occasions {
		r, strikes := d.Roll(anywhere)
		if !strikes {
			r.Kind = "."
		}
		seen.WriteByte(r.Kind[0])
	}
	return seen.String()
}

func TestASeedStrikesInEveryVersionWhatItStruckWhenItWasTriedFirst(t *testing.T) {
	var d table
	d.Load(7, []rule{
		{Kind: "late", odds: dice.Odds{Probability: 0.2}},
		{Kind: "conflict", odds: dice.Odds{Probability: 0.5, Skip: 4, Next: 6}},
		{Kind: "failed", odds: dice.Odds{Next: 2, Skip: 9}},
	})
	if got, want := draw(&d, 48), "..l...lc.ffc..lc.lcl.c.c...l...ll......l..l...l."; got != want {
		t.Errorf("struck %s, want %s", got, want)
	}
	var counts [][2]int
	for _, r := range d.Report().Rules {
		counts = append(counts, [2]int{r.Matched, r.Struck})
	}
	if want := [][2]int{{48, 11}, {24, 6}, {11, 2}}; !reflect.DeepEqual(counts, want) {
		t.Errorf("matched and struck %v, want %v", counts, want)
	}
}

func TestAnotherSeedStrikesElsewhere(t *testing.T) {
	pattern := func(seed uint64) string {
		var d table
		d.Load(seed, []rule{{Kind: "late", odds: dice.Odds{Probability: 0.5}}})
		return draw(&d, 64)
	}
	if one := pattern(1); one != pattern(1) || one == pattern(2) {
		t.Errorf("seed 1: %s, then %s; seed 2: %s", one, pattern(1), pattern(2))
	}
}

func TestWhatOneRuleDecidesDoesNotDependOnTheOthers(t *testing.T) {
	second := rule{Kind: "second", odds: dice.Odds{Probability: 0.3}}
	only := func(r rule) bool { return r.Kind == "second" }
	pattern := func(between int) (seen []bool) {
		var d table
		d.Load(3, []rule{{Kind: "first", odds: dice.Odds{Probability: 0.5}}, second})
		for range 40 {
			for range between {
				d.Roll(func(r rule) bool { return r.Kind == "first" })
			}
			_, strikes := d.Roll(only)
			seen = append(seen, strikes)
		}
		return seen
	}
	if alone, among := pattern(0), pattern(3); !reflect.DeepEqual(alone, among) {
		t.Errorf("alone %v, among others %v", alone, among)
	}
}

func TestNothingGoesWrongWithoutRules(t *testing.T) {
	var d table
	if got := draw(&d, 3); got != "..." {
		t.Errorf("struck %s", got)
	}
	text, err := json.Marshal(d.Report())
	if want := `{"seed":0,"rules":[],"hits":{}}`; err != nil || string(text) != want {
		t.Errorf("report %s, %v; want %s", text, err, want)
	}
}

func TestARuleThatIsSpentIsNotAskedAnyMore(t *testing.T) {
	var d table
	d.Load(0, []rule{{Kind: "late", odds: dice.Odds{Next: 2, Skip: 1}}})
	asked := 0
	for range 6 {
		d.Roll(func(rule) bool { asked++; return true })
	}
	if r := d.Report().Rules[0]; asked != 3 || r.Matched != 3 || r.Struck != 2 {
		t.Errorf("asked %d times, matched %d, struck %d", asked, r.Matched, r.Struck)
	}
}

func TestHitsGoOnWhenTheRulesAreReplaced(t *testing.T) {
	var d table
	d.Load(1, []rule{{Kind: "late", odds: dice.Odds{Next: 1}}})
	d.Hit("late")
	d.Load(2, []rule{{Kind: "twin", odds: dice.Odds{Next: 1}}})
	report := d.Report()
	if want := map[kind]int{"late": 1, "twin": 0}; report.Seed != 2 || len(report.Rules) != 1 || !reflect.DeepEqual(report.Hits, want) {
		t.Errorf("report %+v, want the hits %v", report, want)
	}
}

func TestDiceAreThrownByManyAtOnce(t *testing.T) {
	var d table
	d.Load(1, []rule{{Kind: "late", odds: dice.Odds{Next: 40}}})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if r, strikes := d.Roll(anywhere); strikes {
					d.Hit(r.Kind)
				}
				d.Report()
			}
		})
	}
	all.Wait()
	if report := d.Report(); report.Hits["late"] != 40 || report.Rules[0].Struck != 40 {
		t.Errorf("80 occasions and a rule for the next 40: %+v", report)
	}
}

func TestTheRuleThatCannotBeMeantIsNamed(t *testing.T) {
	fine := rule{Kind: "late", odds: dice.Odds{Probability: 0.1}}
	if err := dice.Check([]rule{fine, fine}); err != nil {
		t.Error(err)
	}
	for want, odds := range map[string]dice.Odds{
		"rule 2 (twin): probability 1.5 is not from 0 to 1":               {Probability: 1.5},
		"rule 2 (twin): probability -1 is not from 0 to 1":                {Probability: -1},
		"rule 2 (twin): probability NaN is not from 0 to 1":               {Probability: math.NaN()},
		"rule 2 (twin): next -1 and skip 0 must not be negative":          {Next: -1},
		"rule 2 (twin): next 1 and skip -2 must not be negative":          {Next: 1, Skip: -2},
		"rule 2 (twin): it never strikes: give it a probability, or next": {Skip: 3},
	} {
		if err := dice.Check([]rule{fine, {Kind: "twin", odds: odds}}); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %q", odds, err, want)
		}
	}
}

func TestFaultsAreReadAsAListOrAsJSON(t *testing.T) {
	var got []string
	into := struct{ Seed int }{}
	entry := func(name, value string) error { got = append(got, name+" "+value); return nil }
	if err := dice.Read(" late=0.1, twin=2x/3s ", &into, entry); err != nil || !reflect.DeepEqual(got, []string{"late 0.1", "twin 2x/3s"}) {
		t.Errorf("read %q, %v", got, err)
	}
	if err := dice.Read(` {"seed": 4}`, &into, nil); err != nil || into.Seed != 4 {
		t.Errorf("read %+v, %v", into, err)
	}
	refusal := errors.New("there is no such kind")
	for text, want := range map[string]string{
		"":              `fault "": write it as kind=probability`,
		"late=1x,twin":  `fault "twin": write it as kind=probability`,
		"flood=1x":      `fault "flood=1x": there is no such kind`,
		`{"sed":4}`:     `read the faults: json: unknown field "sed"`,
		`{"seed":4} {}`: "read the faults: there is more than one JSON value",
	} {
		err := dice.Read(text, &into, func(name, _ string) error {
			if name == "late" {
				return nil
			}
			return refusal
		})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestAnEntrySaysHowOftenAndHowLong(t *testing.T) {
	for value, want := range map[string]struct {
		odds  dice.Odds
		lasts time.Duration
		err   string
	}{
		"0.25":        {odds: dice.Odds{Probability: 0.25}},
		"0.25/1500ms": {odds: dice.Odds{Probability: 0.25}, lasts: 1500 * time.Millisecond},
		"3x":          {odds: dice.Odds{Next: 3}},
		"3x/1h":       {odds: dice.Odds{Next: 3}, lasts: time.Hour},
		"":            {err: "invalid syntax"},
		"x":           {err: "invalid syntax"},
		"often":       {err: "invalid syntax"},
		"1x/soon":     {err: "invalid duration"},
	} {
		odds, lasts, err := dice.ParseValue(value)
		switch {
		case want.err != "":
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: %v, want %q", value, err, want.err)
			}
		case err != nil || odds != want.odds || lasts != want.lasts:
			t.Errorf("%q: %+v for %s, %v; want %+v for %s", value, odds, lasts, err, want.odds, want.lasts)
		}
	}
}
