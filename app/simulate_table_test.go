package app

import (
	"strings"
	"testing"

	"sam/runner/policy/simulator"
)

func TestATableSaysHowSureItIsAndOfWhat(t *testing.T) {
	// The interval around 20 would reach below 0 and is cut there: half of it is still 127.06.
	cut := simulator.Line{Policy: "hour", Rate: 17, Seeds: 2, ColdPct: 20, EURPer100: 2, CI95: map[string][2]float64{"cold_pct": {0, 147.06}, "eur_per_100": {1.5, 2.5}}}
	one := simulator.Line{Policy: "hour", Rate: 17, Seeds: 1, ColdPct: 20, EURPer100: 2}
	for name, c := range map[string]struct {
		line     simulator.Line
		trace    bool
		says     string
		not, nor string
	}{
		"an interval that ends at 0": {cut, false, "20.0 ± 127.1 %", "73.5", "of the one trace"},
		"money":                      {cut, false, "2.000 ± 0.500", "73.5", "of the one trace"},
		"seeds":                      {cut, false, "Means over 2 seeds", "One run", "of the one trace"},
		"one run":                    {one, false, "One run: how sure the numbers are it cannot say.", "±", "of the one trace"},
		"one trace":                  {cut, true, "Means over 2 runs of the one trace", "One run", "seeds"},
	} {
		var out strings.Builder
		if err := tabulate(&out, []simulator.Line{c.line}, c.trace); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); !strings.Contains(text, c.says) || strings.Contains(text, c.not) || strings.Contains(text, c.nor) {
			t.Errorf("%s: want %q, and neither %q nor %q, in\n%s", name, c.says, c.not, c.nor, text)
		}
	}
}
