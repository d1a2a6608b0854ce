package app

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/agent/wire"
	"sam/config"
	"sam/dashboard"
	"sam/forge"
	"sam/gateway"
	"sam/handlers"
	"sam/runner"
	"sam/runner/cloud/local"
	"sam/runner/pool"
	"sam/store"
	"sam/store/blob"
	"sam/task"
)

// server is everything that `sam serve` runs.
type server struct {
	blobs     io.Closer
	store     *store.Store
	consume   store.Handlers
	sweep     handlers.Sweep
	runner    *runner.Runner
	pool      *pool.Pool
	programs  *gateway.Programs
	gateway   *gateway.Gateway
	dashboard *dashboard.Dashboard
	public    *door
	pages     *door // the dashboard's
	operator  *door
	token     string // the standing node's credential
	outbound  *http.Transport
	readiness readiness
	lameDuck  time.Duration // how long a draining server still answers
}

// newServer wires the whole server and opens its listeners. Nothing is served before run. Close it when it will not
// run.
func newServer(ctx context.Context, c config.Server) (_ *server, err error) {
	key, err := config.SecretFile("github.private_key_file", c.GitHub.PrivateKeyFile)
	if err != nil {
		return nil, err
	}
	secret, err := config.Secret("github.webhook_secret_file", c.GitHub.WebhookSecretFile)
	if err != nil {
		return nil, err
	}
	ring, err := loadKeys(c.Keys)
	if err != nil {
		return nil, err
	}

	if plain := c.Public.Plain(); plain != "" {
		zerolog.Ctx(ctx).Warn().Str("address", plain).Msg("nodes reach this server without TLS: whoever is on their way reads projects' secrets and tasks' tokens. Put a proxy with TLS before it and set public.url to its https address")
	}
	s := &server{outbound: newTransport()}
	defer func() {
		if err != nil {
			s.close(ctx)
		}
	}()
	var blobs blob.Store
	if blobs, s.blobs, err = openBlobs(ctx, c.Blob, s.outbound); err != nil {
		return nil, err
	}
	if s.store, err = openStore(ctx, c.Redis, c.Tasks.Keep, blobs); err != nil {
		return nil, err
	}
	if s.dashboard, err = dashboard.New(dashboard.Options{Store: s.store, GitHub: c.GitHub.WebURL}); err != nil {
		return nil, err
	}
	if s.pages, err = newDoor(ctx, "dashboard", c.Dashboard.Listen, s.dashboard.Handler(), hostOf(c.Dashboard.URL)); err != nil {
		return nil, err
	}
	pages := c.Dashboard.URL
	if pages == "" {
		pages = s.pages.url()
	}

	github, err := forge.New(ctx, forge.Options{
		APIURL: c.GitHub.APIURL, WebURL: c.GitHub.WebURL, Pages: pages, AppID: c.GitHub.AppID, PrivateKey: key,
		UserAgent: "sam/" + Version(), Transport: s.outbound, Pacer: s.store,
	})
	if err != nil {
		return nil, err
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), unconfirmed(s.store))
	base := handlers.Base{
		Store: s.store, GitHub: github, AppID: github.Self().AppID, Agent: c.Agent, Metrics: handlers.NewMetrics(registry),
	}
	webhook, err := handlers.NewWebhook(base, secret)
	if err != nil {
		return nil, err
	}
	s.sweep = handlers.Sweep{Base: base, Turns: s.store, Log: github, Every: handlers.SweepEvery}
	s.runner = runner.New(s.store, github, local.Provider{Node: c.Node.Name, Slots: c.Node.Slots})
	s.runner.Bounds.InFlight = task.Limits{Account: c.Tasks.OfAccount, All: c.Tasks.AtOnce}
	s.runner.Bounds.Place, s.runner.Bounds.Silence = c.Tasks.Place, c.Tasks.Silence
	var secrets *vault
	var opened gateway.Secrets // nil where there is no vault
	if ring.Newest() != "" {
		secrets = newVault(s.store, c.Keys, ring)
		opened = secrets
	}
	s.runner.Files = newProjectFiles(c, github, secrets)
	s.consume = store.Handlers{
		Delivery: webhook.Handle,
		Task:     s.runner.Advance,
		Owed:     forge.NewOutbox(github, s.store).Deliver,
	}

	// Every replica has the App's key and no node does, so the nodes' credentials are derived from it.
	shared := sha256.Sum256(key)
	keys, err := gateway.NewKeys(shared[:])
	if err != nil {
		return nil, err
	}
	s.token = keys.NodeToken(c.Node.Name)
	if err := writeToken(c.Node.TokenFile, s.token); err != nil {
		return nil, err
	}
	model, err := newModel(c.Model, s.outbound)
	if err != nil {
		return nil, err
	}
	registries, err := newRegistries(c.Network, s.outbound)
	if err != nil {
		return nil, err
	}
	if s.programs, err = gateway.OpenPrograms("", c.Hetzner.Programs); err != nil {
		return nil, config.Error{Key: "hetzner.programs", Why: err.Error()}
	}
	s.gateway = gateway.New(gateway.Options{
		Model: model,
		Store: s.store, GitHub: github, Keys: keys,
		Author: gateway.Author{Name: github.Self().Login, Email: github.Self().Email},
		HTTP:   &http.Client{Transport: s.outbound}, Metrics: registry, Secrets: opened,
		Git: gateway.GitPolicy{
			Workflows: c.Git.Workflows, Repositories: c.Git.Repositories, MaxPack: int64(c.Git.MaxPack), MaxObjects: c.Git.MaxObjects,
		},
		Network:    &wire.Network{Policy: c.Network.Policy, Hosts: c.Network.Hosts(), Internal: c.Network.Internal, Images: c.Network.Images},
		Registries: registries,
		Programs:   s.programs,
		From:       gateway.Behind(c.Public.TrustedProxies()),
	})

	public := http.NewServeMux()
	public.Handle(githubapp.DefaultWebhookRoute, webhook)
	public.Handle("/node/", s.gateway)
	public.Handle(wire.GitPath, s.gateway)
	public.Handle(wire.ModelPath, s.gateway)
	public.Handle(wire.RegistryPath, s.gateway)
	if s.public, err = newDoor(ctx, "public", c.Public.Listen, public, hostOf(c.Public.URL)); err != nil {
		return nil, err
	}
	s.public.finish = finishWithin
	if err := s.openPool(c, keys, secrets); err != nil {
		return nil, err
	}
	if s.operator, err = newDoor(ctx, "operator", c.Operator.Listen, operatorPages(s.readiness.handler(s.healthy), registry)); err != nil {
		return nil, err
	}
	zerolog.Ctx(ctx).Info().Str("version", Version()).Str("app", github.Self().Slug).Str("public", s.public.url()).
		Str("dashboard", s.pages.url()).Str("operator", s.operator.url()).Str("process", s.store.Process()).Msg("SAM is ready to serve")
	return s, nil
}

// run serves until ctx ends, then drains: what was begun is finished or left to its lease.
func (s *server) run(ctx context.Context) error {
	defer s.close(ctx)
	if err := s.runner.Prepare(ctx); err != nil {
		return err
	}
	// The listeners outlive ctx until the nodes are handed over, and the operator's outlives the others.
	open, shut := context.WithCancel(context.WithoutCancel(ctx))
	defer shut()
	watched, blind := context.WithCancel(context.WithoutCancel(ctx))
	defer blind()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer blind()
		return s.public.serve(open)
	})
	group.Go(func() error { return s.pages.serve(open) })
	group.Go(func() error { return s.operator.serve(watched) })
	group.Go(func() error { return s.store.Consume(ctx, s.consume) })
	group.Go(func() error { return s.store.Watch(ctx, s.recovered) })
	group.Go(func() error { return s.sweep.Run(ctx) })
	group.Go(func() error { return s.runner.Reconcile(ctx, runner.ReconcileEvery) })
	group.Go(func() error { return s.pool.Run(ctx) })
	group.Go(func() error { return s.pool.Reconcile(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		s.drain(ctx)
		shut()
		return nil
	})
	return group.Wait()
}

// healthy returns nil when this replica can do its work.
func (s *server) healthy(ctx context.Context) error { return s.store.Healthy(ctx) }

// close lets go of what newServer opened.
func (s *server) close(ctx context.Context) {
	for _, d := range []*door{s.public, s.pages, s.operator} {
		if d != nil {
			_ = d.listener.Close() // closed already when it has served
		}
	}
	s.outbound.CloseIdleConnections()
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("closing the store failed")
		}
	}
	if s.programs != nil {
		_ = s.programs.Close() // they were read only
	}
	if s.blobs != nil {
		_ = s.blobs.Close() // nothing is written any more
	}
}

// operatorPages is what the operator's listener serves.
func operatorPages(ready http.Handler, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", ready)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// writeToken writes a node's credential for its owner's eyes only. An empty path writes nothing.
func writeToken(path, token string) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return config.Error{Key: "node.token_file", Why: err.Error()}
	}
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return config.Error{Key: "node.token_file", Why: err.Error()}
	}
	return nil
}

// newTransport is the default transport as one of our own, whose idle connections end with who made it.
func newTransport() *http.Transport {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	return t.Clone()
}
