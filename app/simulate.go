package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sam/runner/policy"
	"sam/runner/policy/simulator"
)

// simulation is what `sam simulate` was asked for.
type simulation struct {
	trace    string
	policies []string
	rates    []float64
	seed     uint64
	seeds    int
	options  simulator.Options
	price    float64
	json     bool
	svg      string
	write    string
}

// maxSeeds keeps a run to some minutes.
const maxSeeds = 10_000

func newSimulate() *cobra.Command {
	s := simulation{options: simulator.Defaults()}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Say what keeping machines warm would cost, and how often a person would wait for one",
		Long: "Run the pool's own decisions over a trace of tasks, or over four synthetic weeks of a team's, with machines that\n" +
			"boot, have slots, and are paid by the begun hour. For each policy it prints the share of tasks that started cold,\n" +
			"how long they waited, what 100 tasks cost, and what nobody could have undercut who knew the future.\n\n" +
			"A trace is a CSV file with the columns at,account,repository,thread,seconds. Seeds above 1000 were not used while\n" +
			"the policies were chosen. docs/simulate.md says what is modelled, and what was measured.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if s.write != "" {
				return s.writeTraces(cmd)
			}
			return s.run(cmd)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.trace, "trace", "", "`FILE.csv` of tasks to run instead of the synthetic ones")
	flags.StringSliceVar(&s.policies, "policy", policy.Names(), "`P` to simulate, or several with commas; also fixed-10m, hour-renew-30m and the like")
	flags.Float64SliceVar(&s.rates, "rate", []float64{17, 70}, "`TASKS` on an office day, of the synthetic ones")
	flags.Lookup("rate").DefValue = "17,70" // as it is written; else it is shown with six decimals
	flags.IntVar(&s.seeds, "seeds", 20, "`N` runs for each policy, with a seed each")
	flags.Uint64Var(&s.seed, "seed", 1001, "the first `SEED`; of a trace only the times to boot depend on it")
	flags.IntVar(&s.options.Slots, "slots", s.options.Slots, "`N` workspaces that a machine runs at once")
	flags.IntVar(&s.options.Machines, "machines", s.options.Machines, "`N` machines at most for an account")
	flags.Float64Var(&s.price, "price", float64(s.options.Hourly)/1e6, "`EUR` for a begun hour of a machine with its address")
	flags.BoolVar(&s.json, "json", false, "one JSON object a line, with confidence intervals, instead of a table")
	flags.StringVar(&s.svg, "svg", "", "also draw cost against cold starts to `FILE`")
	flags.StringVar(&s.write, "write-traces", "", "write the synthetic traces to `DIR` and simulate nothing")
	return cmd
}

// check says what of the flags cannot be; given says which were there.
func (s *simulation) check(given func(flag string) bool) error {
	for flag, value := range map[string]string{"trace": s.trace, "svg": s.svg, "write-traces": s.write} {
		if given(flag) && value == "" {
			return fmt.Errorf("--%s is empty: name a file or a folder, or leave it out", flag)
		}
	}
	switch {
	case s.trace != "" && (s.write != "" || given("rate")):
		return errors.New("--trace is a trace of its own: leave out --rate and --write-traces, or it")
	case s.seeds < 1 || s.seeds > maxSeeds:
		return fmt.Errorf("--seeds is %d; it is to be from 1 to %d", s.seeds, maxSeeds)
	case s.options.Slots < 1 || s.options.Slots > 1000:
		return fmt.Errorf("--slots is %d; it is to be from 1 to 1000", s.options.Slots)
	case s.options.Machines < 1 || s.options.Machines > 10_000:
		return fmt.Errorf("--machines is %d; it is to be from 1 to 10000", s.options.Machines)
	case !(s.price > 0 && s.price <= 1000):
		return fmt.Errorf("--price is %g; it is to be above 0 and up to 1000 EUR for an hour", s.price)
	case len(s.policies) == 0:
		return fmt.Errorf("--policy is empty; leave it out for %s", strings.Join(policy.Names(), ", "))
	}
	for i, name := range s.policies {
		if slices.Contains(s.policies[:i], name) {
			return fmt.Errorf("--policy: %s is there twice", name)
		}
	}
	for i, rate := range s.rates {
		if !(rate > 0 && rate <= 10_000) {
			return fmt.Errorf("--rate is %g; it is to be above 0 and up to 10000 tasks a day", rate)
		}
		if slices.Contains(s.rates[:i], rate) {
			return fmt.Errorf("--rate: %g is there twice", rate)
		}
	}
	s.options.Hourly = int64(s.price*1e6 + 0.5)
	return nil
}

// cases are what the policies are compared on.
func (s *simulation) cases() ([]simulator.Case, error) {
	if s.trace == "" {
		var all []simulator.Case
		for _, rate := range s.rates {
			c := simulator.SyntheticCase(rate, s.seed, s.seeds)
			for i, t := range c.Traces {
				if len(t.Arrivals) == 0 {
					return nil, fmt.Errorf("--rate is %g; with seed %d no task comes in four weeks: raise it", rate, c.Seeds[i])
				}
			}
			all = append(all, c)
		}
		return all, nil
	}
	file, err := os.Open(s.trace)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer file.Close()
	t, err := simulator.ReadCSV(s.trace, file)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	return []simulator.Case{simulator.TraceCase(t, s.seed, s.seeds)}, nil
}

func (s *simulation) run(cmd *cobra.Command) error {
	var policies []policy.Keeper
	for _, name := range s.policies {
		k, err := policy.Named(name)
		if err != nil {
			return fmt.Errorf("--policy: %w", err)
		}
		policies = append(policies, k)
	}
	cases, err := s.cases()
	if err != nil {
		return err
	}
	if s.svg != "" { // what cannot be written is told before minutes are spent
		if err := writable(s.svg); err != nil {
			return fmt.Errorf("--svg: %w", err)
		}
	}
	lines, err := compare(cmd.Context(), cases, policies, s.options)
	if err != nil {
		return err
	}
	if s.svg != "" {
		if err := drawLines(s.svg, lines); err != nil {
			return fmt.Errorf("--svg: %w", err)
		}
	}
	if !s.json {
		return tabulate(cmd.OutOrStdout(), lines, s.trace != "")
	}
	out := json.NewEncoder(cmd.OutOrStdout())
	for _, l := range lines {
		if err := out.Encode(l); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

// writable says why a file cannot be written. What is in it stays.
func writable(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // a plot is no secret
	if err != nil {
		return err
	}
	return file.Close()
}

func compare(ctx context.Context, cases []simulator.Case, policies []policy.Keeper, o simulator.Options) ([]simulator.Line, error) {
	var all []simulator.Line
	for _, c := range cases {
		lines, err := simulator.Compare(ctx, c, policies, o)
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	return all, nil
}

// writeTraces writes each synthetic trace to a file of its own name.
func (s *simulation) writeTraces(cmd *cobra.Command) error {
	cases, err := s.cases()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.write, 0o755); err != nil { //nolint:gosec // traces are no secret
		return fmt.Errorf("--write-traces: %w", err)
	}
	for _, c := range cases {
		for _, t := range c.Traces {
			path := filepath.Join(s.write, t.Name+".csv")
			if err := writeTrace(path, t); err != nil {
				return fmt.Errorf("--write-traces: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %d tasks\n", path, len(t.Arrivals))
		}
	}
	return nil
}

func writeTrace(path string, t simulator.Trace) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(t.WriteCSV(file), file.Close())
}
