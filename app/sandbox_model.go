package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/sandbox/model"
)

// scriptedKey is long and odd: agents blank their key wherever its letters occur in what they print.
const scriptedKey = "sk-ant-sandbox-q7vX2mWkR9tLz4Hn"

func newSandboxModel() *cobra.Command {
	var listen, key, scenario string
	var names []string
	for _, s := range model.Scenarios() {
		names = append(names, string(s))
	}
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Run a scripted model behind Anthropic's Messages API",
		Long: "Run a scripted model behind Anthropic's Messages API, with streaming and tools. What it answers is decided by the\n" +
			"conversation: a request that says \"scenario NAME\" picks one of these. It understands nothing, and its tokens are\n" +
			"estimates.\n\n" + scenarioHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if scenario != "" && !slices.Contains(names, scenario) {
				return fmt.Errorf("there is no scenario %q: choose one of %s", scenario, strings.Join(names, ", "))
			}
			ctx := newLog(config.Log{Level: "info", Format: "console"}, cmd.ErrOrStderr()).WithContext(cmd.Context())
			m := model.New(model.Options{APIKey: key, Scenario: model.Scenario(scenario)})
			defer m.Close()
			d, err := newDoor(ctx, "model", listen, m.Handler())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "A scripted model  %s\nKey               %s\n", d.url(), key)
			return d.serve(ctx)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:3001", "`ADDR` to listen on")
	cmd.Flags().StringVar(&key, "key", scriptedKey, "the API `KEY` that it takes")
	cmd.Flags().StringVar(&scenario, "scenario", "", "always play this `SCENARIO`")
	return cmd
}
