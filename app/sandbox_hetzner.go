package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sam/config"
	"sam/sandbox/hetzner"
	"sam/sandbox/hetzner/container"
)

// The tokens of the stand-in's one project. They are long enough for what checks the length.
const (
	hetznerToken    = "sandbox-hetzner-read-and-write-Vq7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee1"
	hetznerReadOnly = "sandbox-hetzner-only-read-Tq7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee1Uu0Oo"
)

// hetznerAsk is what the command line says.
type hetznerAsk struct {
	listen, token, faults, pace, boot, prefix, image string
	reach                                            []string
	seed                                             uint64
}

func newSandboxHetzner() *cobra.Command {
	var ask hetznerAsk
	cmd := &cobra.Command{
		Use:   "hetzner",
		Short: "Run a Hetzner Cloud that behaves, with machines that boot if one likes",
		Long: "Run a Hetzner Cloud that behaves: servers, actions, prices, addresses, firewalls, labels, a rate limit and a bill.\n" +
			"hcloud, Hetzner's own command, can use it. What it holds is gone when it ends, machines included.\n\n" +
			"With --boot container its servers boot: what their user data says is done in containers of this host's engine, which\n" +
			"have a network and an engine of their own. --reach names what of this host they reach, from their own addresses.\n\n" +
			"--faults makes it fail as Hetzner does: a list such as resource_unavailable=2x,answer_lost=0.1,action_slow=1x/30s of\n" +
			"kinds, each with a probability or how often (2x), and how long where it lasts; or JSON. docs/sandbox.md has every kind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := newLog(config.Log{Level: "info", Format: "console"}, cmd.ErrOrStderr()).WithContext(cmd.Context())
			return runHetzner(ctx, cmd, ask)
		},
	}
	cmd.Flags().StringVar(&ask.listen, "listen", "127.0.0.1:3002", "`ADDR` to listen on")
	cmd.Flags().StringVar(&ask.token, "token", hetznerToken, "the `TOKEN` that reads and writes")
	cmd.Flags().StringVar(&ask.faults, "faults", "", "`SPEC` of what goes wrong, and how often (default nothing)")
	cmd.Flags().Uint64Var(&ask.seed, "seed", 0, "`N` from which faults are drawn (default made up, and printed)")
	cmd.Flags().StringVar(&ask.pace, "pace", "brisk", "how long actions take: brisk, or measured as at Hetzner (`PACE`)")
	cmd.Flags().StringVar(&ask.boot, "boot", "none", "what servers boot: none, or container (`WHAT`)")
	cmd.Flags().StringVar(&ask.prefix, "prefix", "hetzner", "`NAME` before those of all containers")
	cmd.Flags().StringVar(&ask.image, "image", "", "`IMAGE` that is every machine's root file system (default the workspaces' own)")
	cmd.Flags().StringSliceVar(&ask.reach, "reach", nil, "`ADDR`s of this host that machines reach, such as 127.0.0.1:8080")
	return cmd
}

// options checks what the command line says.
func (ask hetznerAsk) options(log zerolog.Logger) (hetzner.Options, hetzner.Faults, error) {
	opts := hetzner.Options{Log: log, Tokens: []hetzner.Token{
		{Secret: ask.token, Project: "sandbox"}, {Secret: hetznerReadOnly, Project: "sandbox", ReadOnly: true},
	}}
	paces := map[string]hetzner.Timing{"brisk": hetzner.Brisk(), "measured": hetzner.Measured()}
	timing, ok := paces[ask.pace]
	if !ok {
		return opts, hetzner.Faults{}, fmt.Errorf("--pace %s: there are brisk and measured", ask.pace)
	}
	opts.Timing = timing
	if !slices.Contains([]string{"none", "container"}, ask.boot) {
		return opts, hetzner.Faults{}, fmt.Errorf("--boot %s: there are none and container", ask.boot)
	}
	if ask.boot == "none" && len(ask.reach) > 0 {
		return opts, hetzner.Faults{}, fmt.Errorf("--reach %s: there is nothing that could reach it without --boot container", strings.Join(ask.reach, ","))
	}
	if ask.faults == "" {
		return opts, hetzner.Faults{}, nil
	}
	faults, err := hetzner.ParseFaults(ask.faults)
	if err != nil {
		return opts, faults, fmt.Errorf("--faults: %w", err)
	}
	if ask.seed != 0 {
		faults.Seed = ask.seed
	}
	if faults.Seed == 0 {
		faults.Seed = rand.Uint64() //nolint:gosec // which faults strike is no secret
	}
	return opts, faults, nil
}

func runHetzner(ctx context.Context, cmd *cobra.Command, ask hetznerAsk) (err error) {
	opts, faults, err := ask.options(*zerolog.Ctx(ctx))
	if err != nil {
		return err
	}
	if ask.boot == "container" {
		engine, err := container.New(ctx, container.Options{Prefix: ask.prefix, Image: ask.image, Reach: ask.reach, Log: opts.Log})
		if err != nil {
			return err
		}
		defer func() {
			if err := engine.Close(); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("the folder of the machines' sockets stays behind")
			}
		}()
		opts.Machines = engine
	}
	s, err := hetzner.New(opts) //nolint:contextcheck // machines are tended, and removed, when the command's context has ended
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.SetFaults(faults); err != nil {
		return fmt.Errorf("--faults: %w", err)
	}
	d, err := newDoor(ctx, "hetzner", ask.listen, s.Handler())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if len(faults.Rules) > 0 {
		fmt.Fprintf(out, "Faults                %d rules, seed %d\n", len(faults.Rules), faults.Seed)
	}
	fmt.Fprintf(out, "Hetzner's stand-in    %s/v1\nControl               %s/_sandbox/ (see docs/sandbox.md)\n", d.url(), d.url())
	fmt.Fprintf(out, "Token                 %s\nToken, read only      %s\n", ask.token, hetznerReadOnly)
	fmt.Fprintf(out, "Hetzner's own command export HCLOUD_ENDPOINT=%s/v1 HCLOUD_TOKEN=%s\n", d.url(), ask.token)
	return d.serve(ctx)
}
