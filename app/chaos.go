package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/sandbox/chaos"
)

// newSandboxChaos is what `make chaos` runs: see docs/chaos.md.
func newSandboxChaos() *cobra.Command {
	var o chaos.Options
	var verbose bool
	cmd := &cobra.Command{
		Use:    "chaos",
		Short:  "Run three replicas and three nodes, do violence to them, and count what was lost or done twice",
		Hidden: true, // a tool for who works on SAM, not for who uses it
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := "info"
			if verbose {
				level = "debug"
			}
			ctx := newLog(config.Log{Level: level, Format: "console"}, cmd.ErrOrStderr()).WithContext(cmd.Context())
			var err error
			if o.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find the path of sam: %w", err)
			}
			if o.Dir, err = os.MkdirTemp("", "sam-chaos-"); err != nil {
				return fmt.Errorf("make the run's folder: %w", err)
			}
			if o.Seed == 0 {
				o.Seed = uint64(time.Now().UnixNano())
			}
			o.Permissions, o.Events = appPermissions(), appEvents()
			report, err := chaos.Run(ctx, o)
			if err != nil {
				return fmt.Errorf("%w (seed %d; its files are in %s)", err, o.Seed, o.Dir)
			}
			line, err := json.Marshal(report)
			if err != nil {
				return fmt.Errorf("encode the report: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", line)
			return verdict(o, report)
		},
	}
	cmd.Flags().DurationVar(&o.Duration, "for", 3*time.Minute, "how long tasks arrive and violence strikes")
	cmd.Flags().DurationVar(&o.Patience, "patience", 6*time.Minute, "how long everything may take to finish afterwards")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 0, "decides the load and the violence; 0: the clock does")
	cmd.Flags().StringVar(&o.Break, "break", "", "take one protection away, which only a binary built with the tag broken can: "+strings.Join(chaos.Protections(), ", "))
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log everything that happens")
	return cmd
}

// verdict is nil when the promises were kept, or, of a broken product, when the checker saw that it is broken. The files
// of a run that went well are removed; of one that did not, they are kept and what was found is said.
func verdict(o chaos.Options, report *chaos.Report) error {
	missed := report.Missed()
	switch {
	case o.Break != "" && !report.Saw(o.Break):
		return fmt.Errorf("the checker did not see that %q was taken away: it is blind there, or the violence never struck (%v; files in %s)", o.Break, report.Faults, o.Dir)
	case o.Break != "":
		return os.RemoveAll(o.Dir)
	case !report.Kept():
		return fmt.Errorf("promises were broken, seed %d:\n  %s\nThe logs and Redis's data are in %s", o.Seed, strings.Join(report.Findings(), "\n  "), filepath.Clean(o.Dir))
	case len(missed) > 0:
		return fmt.Errorf("these kinds of fault never struck, so nothing is known about them: %s (seed %d; files in %s)", strings.Join(missed, ", "), o.Seed, o.Dir)
	case len(report.Faults) < 5:
		return fmt.Errorf("only %d kinds of fault struck", len(report.Faults))
	}
	return os.RemoveAll(o.Dir)
}
