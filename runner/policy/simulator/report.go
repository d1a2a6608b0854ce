package simulator

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"sam/runner/policy"
)

// Line is what one policy came to at one rate: each number is the mean over the runs, one run for each seed.
type Line struct {
	Policy  string  `json:"policy"`
	Default bool    `json:"default"` // it is the policy of an account that chose none
	Rate    float64 `json:"rate"`    // tasks on an office day
	// ColdPct is the percentage of tasks that found no free slot on a ready machine when their turn in their thread came.
	ColdPct float64 `json:"cold_pct"`
	// WaitP50 and so on are quantiles of the time from a task's turn until its agent can begin, in seconds: 0 where the
	// machine is ready and has the repository.
	WaitP50 float64 `json:"wait_p50_s"`
	WaitP95 float64 `json:"wait_p95_s"`
	WaitP99 float64 `json:"wait_p99_s"`
	// EURPer100 is what 100 tasks cost in begun hours of machines with their addresses.
	EURPer100 float64 `json:"eur_per_100"`
	// IdlePct is the percentage of the paid time in which no task was on the machine.
	IdlePct float64 `json:"idle_pct"`
	// BoundEUR is, for 100 tasks, less than which nobody pays for the same work with no more cold starts; BoundColdPct,
	// fewer than which nobody has for no more money. Who knew the future could not beat them: see bound.
	BoundEUR     float64 `json:"bound_eur"`
	BoundColdPct float64 `json:"bound_cold_pct"`
	Seeds        int     `json:"seeds"`
	Tasks        int     `json:"tasks"` // in all runs
	// CI95 are the 95 % confidence intervals of the means, by Student's t over the seeds; absent when there is one seed.
	CI95 map[string][2]float64 `json:"ci95,omitempty"`
	// VersusFixed30m compares with fixed-30m over the same runs; absent when that was not run.
	VersusFixed30m *Ratio `json:"versus_fixed_30m,omitempty"`
}

// Ratio is a policy's sum over all runs divided by another's.
type Ratio struct {
	Cost float64 `json:"cost"`
	Cold float64 `json:"cold"`
}

// Case is what policies are compared on: traces, each with the seed of its machines' boot times.
type Case struct {
	Rate   float64
	Traces []Trace
	Seeds  []uint64
}

// SyntheticCase draws a trace for each of n seeds, from first on.
func SyntheticCase(rate float64, first uint64, n int) Case {
	c := Case{Rate: rate}
	for i := range n {
		seed := first + uint64(i)
		c.Seeds = append(c.Seeds, seed)
		c.Traces = append(c.Traces, Synthetic(rate, seed))
	}
	return c
}

// TraceCase runs one trace for each of n seeds: the boot times alone differ.
func TraceCase(t Trace, first uint64, n int) Case {
	c := Case{Rate: math.Round(t.Rate()*10) / 10}
	for i := range n {
		c.Seeds = append(c.Seeds, first+uint64(i))
		c.Traces = append(c.Traces, t)
	}
	return c
}

// Compare runs every policy over a case, each over the same traces and seeds. Lines are in the order of the policies.
func Compare(ctx context.Context, c Case, policies []policy.Keeper, o Options) ([]Line, error) {
	lines := make([]Line, 0, len(policies))
	sums := make([]Result, 0, len(policies))
	for _, p := range policies {
		var runs []Result
		var sum Result
		for i, t := range c.Traces {
			o.Policy, o.Seed = p, c.Seeds[i]
			r, err := Run(ctx, t, o)
			if err != nil {
				return nil, fmt.Errorf("policy %s, seed %d: %w", p.Name(), c.Seeds[i], err)
			}
			runs = append(runs, r)
			sum.Tasks, sum.Cold, sum.Cost = sum.Tasks+r.Tasks, sum.Cold+r.Cold, sum.Cost+r.Cost
		}
		line := summarise(runs)
		line.Policy, line.Default, line.Rate, line.Tasks = p.Name(), p.Name() == policy.Default, c.Rate, sum.Tasks
		lines, sums = append(lines, line), append(sums, sum)
	}
	base := slices.IndexFunc(policies, func(p policy.Keeper) bool { return p == policy.Fixed{For: 30 * time.Minute} })
	if base >= 0 {
		for i := range lines {
			lines[i].VersusFixed30m = &Ratio{
				Cost: round(float64(sums[i].Cost)/float64(max(1, sums[base].Cost)), 4),
				Cold: round(float64(sums[i].Cold)/float64(max(1, sums[base].Cold)), 4),
			}
		}
	}
	return lines, nil
}

// summarise takes the means of runs and how sure they are.
func summarise(runs []Result) Line {
	l := Line{Seeds: len(runs)}
	for name, m := range map[string]struct {
		into *float64
		of   func(Result) float64
	}{
		"cold_pct":       {&l.ColdPct, func(r Result) float64 { return 100 * per(float64(r.Cold), float64(r.Tasks)) }},
		"wait_p50_s":     {&l.WaitP50, func(r Result) float64 { return quantile(r.Waits, 0.50) }},
		"wait_p95_s":     {&l.WaitP95, func(r Result) float64 { return quantile(r.Waits, 0.95) }},
		"wait_p99_s":     {&l.WaitP99, func(r Result) float64 { return quantile(r.Waits, 0.99) }},
		"eur_per_100":    {&l.EURPer100, func(r Result) float64 { return per(float64(r.Cost)/1e6, float64(r.Tasks)/100) }},
		"idle_pct":       {&l.IdlePct, func(r Result) float64 { return 100 * per(float64(r.Paid-r.Worked), float64(r.Paid)) }},
		"bound_eur":      {&l.BoundEUR, func(r Result) float64 { return per(float64(r.Bound)/1e6, float64(r.Tasks)/100) }},
		"bound_cold_pct": {&l.BoundColdPct, func(r Result) float64 { return 100 * per(float64(r.ColdBound), float64(r.Tasks)) }},
	} {
		values := make([]float64, len(runs))
		for i, r := range runs {
			values[i] = m.of(r)
		}
		mean, half := interval(values)
		*m.into = round(mean, 4)
		if len(runs) > 1 {
			if l.CI95 == nil {
				l.CI95 = map[string][2]float64{}
			}
			l.CI95[name] = [2]float64{round(max(0, mean-half), 4), round(mean+half, 4)}
		}
	}
	return l
}

// quantile is the smallest value that the share p of all do not exceed, in seconds.
func quantile(waits []time.Duration, p float64) float64 {
	if len(waits) == 0 {
		return 0
	}
	ordered := slices.Clone(waits)
	slices.Sort(ordered)
	return ordered[max(0, int(math.Ceil(p*float64(len(ordered))))-1)].Seconds()
}

// interval is a mean and half the width of its 95 % confidence interval.
func interval(values []float64) (mean, half float64) {
	n := float64(len(values))
	if n == 0 {
		return 0, 0
	}
	for _, v := range values {
		mean += v / n
	}
	if n == 1 {
		return mean, 0
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	return mean, student(len(values)-1) * math.Sqrt(squares/(n-1)/n)
}

// student is the 97.5 % quantile of Student's t: the table up to 10 degrees of freedom, then the expansion of Cornish and
// Fisher around the normal quantile, which is right to three digits there.
func student(freedom int) float64 {
	table := []float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	const z = 1.959964
	v := float64(freedom)
	return z + (z*z*z+z)/(4*v) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*v*v) +
		(3*math.Pow(z, 7)+19*math.Pow(z, 5)+17*z*z*z-15*z)/(384*v*v*v)
}

func per(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

func round(v float64, digits int) float64 {
	scale := math.Pow10(digits)
	return math.Round(v*scale) / scale
}
