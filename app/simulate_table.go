package app

import (
	"fmt"
	"io"
	"text/tabwriter"

	"sam/runner/policy/simulator"
)

// tabulate prints what `sam simulate` found for people: a block for each rate. Of one trace the runs differ in the times to boot
// alone, which it says.
func tabulate(w io.Writer, lines []simulator.Line, trace bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	rate := 0.0 // there is none of 0
	for i, l := range lines {
		if l.Rate != rate {
			rate = l.Rate
			if i > 0 {
				fmt.Fprintln(table)
			}
			fmt.Fprintf(table, "%g tasks a day\tcold\twait p50\tp95\tp99\tEUR per 100\tidle\tcold at best\tEUR at best\tagainst fixed-30m\t\n", l.Rate)
		}
		name := l.Policy
		if l.Default {
			name += " (default)"
		}
		against := ""
		if v := l.VersusFixed30m; v != nil {
			against = fmt.Sprintf("%.0f %% of the cost, %.0f %% of the cold starts", 100*v.Cost, 100*v.Cold)
		}
		fmt.Fprintf(table, "%s\t%.1f%s %%\t%.0f s\t%.0f s\t%.0f s\t%.3f%s\t%.0f %%\t%.1f %%\t%.3f\t%s\t\n",
			name, l.ColdPct, plusMinus(l, "cold_pct", l.ColdPct, 1), l.WaitP50, l.WaitP95, l.WaitP99,
			l.EURPer100, plusMinus(l, "eur_per_100", l.EURPer100, 3), l.IdlePct, l.BoundColdPct, l.BoundEUR, against)
	}
	if len(lines) > 0 {
		fmt.Fprintf(table, "\n")
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	_, err := fmt.Fprintf(w, "%s Cold: no slot of a ready machine was free when the\n"+
		"task's turn came. At best: nobody who knew the future could pay less with no more cold starts, or wait less often\n"+
		"for no more money. docs/simulate.md says more.\n", over(lines, trace))
	return err
}

// over says what the numbers are the means of, and how sure they are.
func over(lines []simulator.Line, trace bool) string {
	seeds := 0
	if len(lines) > 0 {
		seeds = lines[0].Seeds
	}
	switch {
	case seeds == 1:
		return "One run: how sure the numbers are it cannot say."
	case trace:
		return fmt.Sprintf("Means over %d runs of the one trace; ± is half of a 95 %% confidence interval of what the times to boot\nchange, and says nothing of other weeks.", seeds)
	}
	return fmt.Sprintf("Means over %d seeds; ± is half of a 95 %% confidence interval.", seeds)
}

// plusMinus is half the width of a number's confidence interval; nothing of a single run. It is measured upwards: downwards the
// interval ends at 0.
func plusMinus(l simulator.Line, name string, mean float64, digits int) string {
	interval, ok := l.CI95[name]
	if !ok {
		return ""
	}
	return fmt.Sprintf(" ± %.*f", digits, interval[1]-mean)
}
