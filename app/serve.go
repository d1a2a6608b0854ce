package app

import (
	"os"

	"github.com/spf13/cobra"

	"sam/config"
)

func newServe() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: deliveries from GitHub, the queue of tasks, the gateway for nodes",
		Long: "Run the server. It needs a registered GitHub App and a Redis; see docs/configuration.md.\n" +
			"Every key of the file can be given as a variable too: github.app_id is SAM_GITHUB_APP_ID.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(path, os.Environ())
			if err != nil {
				return err
			}
			ctx := newLog(c.Log, cmd.ErrOrStderr()).WithContext(cmd.Context())
			s, err := newServer(ctx, c)
			if err != nil {
				return err
			}
			s.lameDuck = lameDuck
			return s.run(ctx)
		},
	}
	cmd.Flags().StringVar(&path, "config", os.Getenv("SAM_CONFIG"), "the configuration `FILE` (YAML); also SAM_CONFIG")
	return cmd
}
