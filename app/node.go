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
	unsafe := false
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
			token := ""
			if c.TokenFile != "" {
				if token, err = config.Secret("token_file", c.TokenFile); err != nil {
					return err
				}
			}
			ctx := newLog(c.Log, cmd.ErrOrStderr()).WithContext(cmd.Context())
			return runNode(ctx, agent.Options{
				Gateway: c.Gateway, Token: token, Name: c.Name, Bootstrap: c.BootstrapFile, BootReport: c.BootReport, Dir: c.Dir, Slots: c.Slots,
				Workspace: c.Workspace, UnsafeNoIsolation: c.UnsafeNoIsolation || unsafe,
				Image: c.Image, Sudo: c.Sudo, Memory: int64(c.Memory), CPUs: c.CPUs, Processes: int64(c.PIDs),
				Disk: int64(c.Disk), KeepFree: int64(c.KeepFree),
			})
		},
	}
	cmd.Flags().StringVar(&path, "config", os.Getenv("SAM_NODE_CONFIG"), "the configuration `FILE` (YAML); also SAM_NODE_CONFIG")
	cmd.Flags().BoolVar(&unsafe, unsafeFlag, false, "let a real agent run without a container, as this node's user, where no engine answers")
	return cmd
}

// unsafeFlag is the name of the flag that gives up isolation.
const unsafeFlag = "unsafe-no-isolation"

// runNode is a node until ctx ends. Its name comes with its credential, where it has one; what runs in workspaces is this
// binary unless the options name another.
func runNode(ctx context.Context, o agent.Options) error {
	if o.Token != "" {
		var ok bool
		if o.Name, _, ok = strings.Cut(o.Token, "."); !ok {
			return errors.New("the node's credential is not one that a server wrote: it has no name before a dot")
		}
	}
	var err error
	if o.Executable == "" {
		if o.Executable, err = os.Executable(); err != nil {
			return fmt.Errorf("find the path of sam: %w", err)
		}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("find the node's folder: %w", err)
	}
	transport := newTransport()
	defer transport.CloseIdleConnections()
	o.Version, o.HTTP = Version(), &http.Client{Transport: transport}
	n, err := agent.New(o)
	if err != nil {
		return err
	}
	zerolog.Ctx(ctx).Info().Str("node", o.Name).Str("gateway", o.Gateway).Str("dir", o.Dir).Msg("the node starts")
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
