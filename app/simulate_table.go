package app

import (
	"fmt"
	"io"
	"text/tabwriter"

	"sam/runner/policy/simulator"
)

// tabulate prints what `sam simulate` found for people: a block for each rate.
func tabulate(w io.Writer, lines []simulator.Line) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, l := range lines {
		if i == 0 || lines[i-1].Rate != l.Rate {
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
		fmt.Fprintf(table, "%s\t%.1f ± %.1f %%\t%.0f s\t%.0f s\t%.0f s\t%.3f ± %.3f\t%.0f %%\t%.1f %%\t%.3f\t%s\t\n",
			name, l.ColdPct, half(l, "cold_pct"), l.WaitP50, l.WaitP95, l.WaitP99, l.EURPer100, half(l, "eur_per_100"), l.IdlePct,
			l.BoundColdPct, l.BoundEUR, against)
	}
	if len(lines) > 0 {
		fmt.Fprintf(table, "\n")
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	_, err := fmt.Fprintf(w, "Means over %d seeds; ± is half of a 95 %% confidence interval. Cold: no slot of a ready machine was free when the\n"+
		"task's turn came. At best: nobody who knew the future could pay less with no more cold starts, or wait less often\n"+
		"for no more money. docs/simulate.md says more.\n", seedsOf(lines))
	return err
}

func seedsOf(lines []simulator.Line) int {
	if len(lines) == 0 {
		return 0
	}
	return lines[0].Seeds
}

// half is half the width of a number's confidence interval; 0 of a single run.
func half(l simulator.Line, name string) float64 {
	interval := l.CI95[name]
	return (interval[1] - interval[0]) / 2
}
