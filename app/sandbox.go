package app

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"sam/config"
	"sam/sandbox/github"
	"sam/sandbox/seed"
)

func newSandbox() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a stand-in for one of the services that SAM needs",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSandboxGitHub(), newSandboxModel(), newSandboxHetzner(), newSandboxChaos(), newSandboxHostile())
	return cmd
}

func newSandboxGitHub() *cobra.Command {
	var listen, dir, webhook, faults string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "github",
		Short: "Run a GitHub that behaves, with the demo's repository, people and App",
		Long: "Run a GitHub that behaves: REST under /api/v3/, git over HTTP, webhooks, and pages. It holds the demo's\n" +
			"repository and an App, whose id, key and webhook secret it writes to --dir with a configuration for sam serve.\n" +
			"What it holds is gone when it ends.\n\n" +
			"--faults makes it fail as GitHub does: a list such as deliveries=0.1,bad_gateway_after=0.05,primary_403=2x/3s of kinds\n" +
			"or groups (all, deliveries, calls, git), each with a probability or how often (2x), and how long where it lasts; or\n" +
			"JSON. With the same --seed and order of calls it fails in the same places. docs/sandbox.md has every kind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wrong, err := faultsOf(faults, seed)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("make the folder for the App's credentials: %w", err)
			}
			ctx := newLog(config.Log{Level: "info", Format: "console"}, cmd.ErrOrStderr()).WithContext(cmd.Context())
			hub, err := newHub(ctx, listen, "", nil)
			if err != nil {
				return err
			}
			defer hub.close(ctx)
			c, err := hub.configure(dir)
			if err != nil {
				return err
			}
			path := filepath.Join(dir, "sam.yml")
			if err := writeConfig(path, c); err != nil {
				return err
			}
			if err := hub.install(webhook); err != nil {
				return err
			}
			if err := hub.SetFaults(wrong); err != nil {
				return fmt.Errorf("--faults: %w", err)
			}
			if len(wrong.Rules) > 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "Faults             %d rules, seed %d\n", len(wrong.Rules), wrong.Seed)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "GitHub's stand-in  %s\nREST               %s\nControl            %s/_sandbox/ (see docs/sandbox.md)\nApp                %s (id %d), deliveries go to %s\nConfiguration      %s: run `sam serve --config %s`\n",
				hub.url(), c.GitHub.APIURL, hub.url(), hub.app.Slug, hub.app.ID, webhook, path, path)
			return hub.serve(ctx)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:3000", "`ADDR` to listen on")
	cmd.Flags().StringVar(&dir, "dir", "data/sandbox-github", "`DIR` for the App's credentials and the configuration")
	cmd.Flags().StringVar(&webhook, "webhook", "http://127.0.0.1:8080/api/github/hook", "`URL` that deliveries go to")
	cmd.Flags().StringVar(&faults, "faults", "", "`SPEC` of what goes wrong, and how often (default nothing)")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "`N` from which faults are drawn (default made up, and printed)")
	return cmd
}

// faultsOf reads --faults and --seed.
func faultsOf(spec string, seed uint64) (github.Faults, error) {
	if spec == "" {
		return github.Faults{}, nil
	}
	faults, err := github.ParseFaults(spec)
	if err != nil {
		return github.Faults{}, fmt.Errorf("--faults: %w", err)
	}
	if seed != 0 {
		faults.Seed = seed
	}
	if faults.Seed == 0 {
		faults.Seed = rand.Uint64() //nolint:gosec // which faults strike is no secret
	}
	return faults, nil
}

// hub is the stand-in for GitHub with the demo's people, repository and App in it.
type hub struct {
	*github.Server
	door *door
	app  github.App
}

// The people of the demo. Who may what is what one wants to try: ada may ask for work, tom is told that he may not, eve
// is answered with silence.
const (
	maintainer = "ada"
	triager    = "tom"
	stranger   = "eve"
)

// newHub makes and seeds the stand-in and listens. Its repositories are in dir; empty: in a folder of its own. watch, when
// not nil, is put around all that it serves.
func newHub(ctx context.Context, listen, dir string, watch func(http.Handler) http.Handler) (_ *hub, err error) {
	s, err := github.New(github.Options{Dir: dir, Pages: github.Pages, Log: *zerolog.Ctx(ctx)})
	if err != nil {
		return nil, err
	}
	h := &hub{Server: s}
	defer func() {
		if err != nil {
			h.close(ctx)
		}
	}()
	handler := s.Handler()
	if watch != nil {
		handler = watch(handler)
	}
	if h.door, err = newDoor(ctx, "github", listen, handler); err != nil {
		return nil, err
	}
	s.SetURL(h.url())
	return h, h.seed()
}

func (h *hub) url() string                     { return h.door.url() }
func (h *hub) serve(ctx context.Context) error { return h.door.serve(ctx) }

func (h *hub) close(ctx context.Context) {
	if h.door != nil {
		_ = h.door.listener.Close() // closed already when it has served
	}
	if err := h.Close(); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("closing GitHub's stand-in failed")
	}
}

// seed makes the people, the repository with its issue, and the App.
func (h *hub) seed() error {
	for _, login := range []string{maintainer, triager, stranger} {
		if _, err := h.CreateUser(login); err != nil {
			return fmt.Errorf("seed the stand-in: %w", err)
		}
	}
	title, body := seed.Issue()
	steps := []func() error{
		func() error { _, err := h.CreateOrganization(seed.Owner, maintainer); return err },
		func() error {
			_, err := h.CreateRepository(github.RepositorySpec{
				Owner: seed.Owner, Name: seed.Repository, Files: seed.Files(), Protected: []string{"main"},
			})
			return err
		},
		func() error { return h.SetCollaborator(seed.Owner, seed.Repository, maintainer, "maintain") },
		func() error { return h.SetCollaborator(seed.Owner, seed.Repository, triager, "triage") },
		func() error { _, err := h.CreateIssue(stranger, seed.Owner, seed.Repository, title, body); return err },
	}
	var err error
	if h.app, err = appOf(h.Server); err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("seed the stand-in: %w", err)
		}
	}
	return nil
}

// appPermissions and appEvents are those of app.yml.
func appPermissions() map[string]string {
	return map[string]string{"contents": "write", "issues": "write", "pull_requests": "write"}
}

func appEvents() []string { return []string{"issue_comment", "issues", "pull_request", "repository"} }

// appOf registers SAM as app.yml would.
func appOf(s *github.Server) (github.App, error) {
	app, err := s.CreateApp(github.AppSpec{
		Name: "SAM", Owner: maintainer,
		Permissions: appPermissions(), Events: appEvents(),
	})
	if err != nil {
		return github.App{}, fmt.Errorf("register the App: %w", err)
	}
	return app, nil
}

// install points the App's deliveries somewhere and installs it on the repository.
func (h *hub) install(webhook string) error {
	if err := h.SetWebhook(h.app.ID, webhook); err != nil {
		return fmt.Errorf("set the App's webhook: %w", err)
	}
	if _, err := h.Install(h.app.ID, seed.Owner, seed.Repository); err != nil {
		return fmt.Errorf("install the App: %w", err)
	}
	return nil
}

// configure writes the App's credentials to dir and returns a server's configuration that uses them.
func (h *hub) configure(dir string) (config.Server, error) {
	c := config.Defaults()
	c.GitHub = config.GitHub{
		AppID: h.app.ID, APIURL: h.url() + "/api/v3/", WebURL: h.url(),
		PrivateKeyFile:    filepath.Join(dir, "app.pem"),
		WebhookSecretFile: filepath.Join(dir, "webhook-secret"),
	}
	c.Node.TokenFile = filepath.Join(dir, "node-token")
	return c, errors.Join(
		os.WriteFile(c.GitHub.PrivateKeyFile, h.app.PrivateKeyPEM, 0o600),
		os.WriteFile(c.GitHub.WebhookSecretFile, []byte(h.app.WebhookSecret+"\n"), 0o600),
	)
}

// writeConfig writes the part of a configuration that differs from the defaults.
func writeConfig(path string, c config.Server) error {
	text := fmt.Sprintf(`# Written by sam sandbox github: a server for the stand-in.
github:
  app_id: %d
  private_key_file: app.pem
  webhook_secret_file: webhook-secret
  api_url: %s
  web_url: %s
node:
  token_file: node-token
`, c.GitHub.AppID, strconv.Quote(c.GitHub.APIURL), strconv.Quote(c.GitHub.WebURL))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the server's configuration: %w", err)
	}
	return nil
}

// listenOr is the wanted address, or a free port when that one is taken.
func listenOr(ctx context.Context, wanted string) string {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", wanted)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "127.0.0.1:0"
	}
	if err == nil {
		_ = l.Close() // it was only a question
	}
	return wanted
}
