package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sam/agent"
	"sam/agent/demo"
	"sam/config"
)

func newNode() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run on a machine that is to do the work: dials the server and runs agents",
		Long: "Run on a machine that is to do the work. It dials the server's public address and needs no open port.\n" +
			"Its credential is the file that the server writes where node.token_file says; see docs/configuration.md.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.LoadAgent(path, os.Environ())
			if err != nil {
				return err
			}
			token, err := config.Secret("token_file", c.TokenFile)
			if err != nil {
				return err
			}
			ctx := newLog(c.Log, cmd.ErrOrStderr()).WithContext(cmd.Context())
			return runNode(ctx, c.Gateway, token, c.Dir, c.Slots)
		},
	}
	cmd.Flags().StringVar(&path, "config", os.Getenv("SAM_NODE_CONFIG"), "the configuration `FILE` (YAML); also SAM_NODE_CONFIG")
	return cmd
}

// runNode is a node until ctx ends.
func runNode(ctx context.Context, gateway, token, dir string, slots int) error {
	name, _, ok := strings.Cut(token, ".")
	if !ok {
		return errors.New("the node's credential is not one that a server wrote: it has no name before a dot")
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the path of sam: %w", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("find the node's folder: %w", err)
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	n, err := agent.New(agent.Options{
		Gateway: gateway, Token: token, Name: name, Version: Version(), Dir: dir, Slots: slots,
		Executable: executable, HTTP: &http.Client{Transport: transport},
	})
	if err != nil {
		return err
	}
	zerolog.Ctx(ctx).Info().Str("node", name).Str("gateway", gateway).Str("dir", dir).Msg("the node starts")
	return n.Run(ctx)
}

// demoAgent is the command by which a node starts the demo's coding agent.
const demoAgent = "demo-agent"

// newDemoAgent is the coding agent of the demo: a program of its own, that a node starts in a workspace.
func newDemoAgent() *cobra.Command {
	return &cobra.Command{
		Use:                demoAgent,
		Short:              "The built-in agent of the demo, started by sam node in a workspace",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := demo.Main(args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()); code != 0 {
				return exitError(code)
			}
			return nil
		},
	}
}
