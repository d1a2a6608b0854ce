package app

import (
	"github.com/spf13/cobra"

	"sam/agent/shim"
)

// newShim is the first process of a workspace's container, which a node starts there.
func newShim() *cobra.Command {
	return &cobra.Command{
		Use:                "shim",
		Short:              "The first process of a workspace's container, started by sam node",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := shim.Main(args, cmd.ErrOrStderr()); code != 0 {
				return exitError(code)
			}
			return nil
		},
	}
}
