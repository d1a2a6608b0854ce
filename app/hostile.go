package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/sandbox/hostile"
)

// newSandboxHostile is what `make hostile` runs: see docs/hostile.md.
func newSandboxHostile() *cobra.Command {
	var o hostile.Options
	cmd := &cobra.Command{
		Use:    "hostile",
		Short:  "Run an agent and a repository that mean harm, and say what was refused, contained, or got out",
		Hidden: true, // a tool for who works on SAM, not for who uses it
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			ctx := newLog(config.Log{Level: "info", Format: "console"}, cmd.ErrOrStderr()).WithContext(cmd.Context())
			if o.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find the path of sam: %w", err)
			}
			if o.Intruder, err = filepath.Abs(o.Intruder); err != nil {
				return fmt.Errorf("find the intruder: %w", err)
			}
			if o.Dir, err = os.MkdirTemp("", "sam-hostile-"); err != nil {
				return fmt.Errorf("make the run's folder: %w", err)
			}
			o.Permissions, o.Events = appPermissions(), appEvents()
			report, err := hostile.Run(ctx, o)
			if report != nil {
				report.Print(cmd.ErrOrStderr())
			}
			if err != nil {
				return fmt.Errorf("%w (its files are in %s)", err, o.Dir)
			}
			line, err := json.Marshal(report)
			if err != nil {
				return fmt.Errorf("encode the report: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", line)
			if !report.Held() {
				return fmt.Errorf("something escaped, was not tried, or is not told; the run's files are in %s", o.Dir)
			}
			return os.RemoveAll(o.Dir)
		},
	}
	cmd.Flags().StringVar(&o.Intruder, "intruder", "bin/intruder", "the program of sandbox/hostile/intruder, built static, `FILE`")
	return cmd
}
