package simulation

import (
	"context"
	"crypto/sha256"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/forge"
	"sam/gateway"
	"sam/handlers"
	"sam/runner"
	"sam/store"
	"sam/task"
)

// replica is one server process: the parts that app joins, joined in the same way, without listeners.
type replica struct {
	name     string
	out      *outside
	store    *store.Store
	webhook  *handlers.Webhook
	gateway  *gateway.Gateway
	listener *listener
	server   *http.Server
	sweep    handlers.Sweep
	runner   *runner.Runner
	consume  store.Handlers

	stop context.CancelFunc
	over sync.WaitGroup
}

// nodes is a provider of standing nodes.
type nodes []string

func (nodes) Name() string { return "local" }

func (n nodes) Standing(context.Context) ([]task.Node, error) {
	var all []task.Node
	for _, name := range n {
		all = append(all, task.Node{Name: name, Provider: "local", Slots: slotsOfNode})
	}
	return all, nil
}

// newReplica wires a replica; errDead among others when it does not survive that.
func newReplica(ctx context.Context, w *world, name string, out *outside) (_ *replica, err error) {
	r := &replica{name: name, out: out, listener: newListener()}
	log := zerolog.Ctx(ctx).With().Str("replica", name).Logger()
	ctx = log.WithContext(ctx)
	if r.store, err = store.Open(ctx, store.Options{Addresses: []string{"redis.invalid:6379"}, AllowLossy: true, Dial: w.redis.dialer(out)}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = r.store.Close()
		}
	}()
	transport := toHub{w.hub, out}
	github, err := forge.New(ctx, forge.Options{
		APIURL: addressOfHub + "/api/v3/", WebURL: addressOfHub, Pages: "http://sam.invalid", AppID: w.hub.app.ID, PrivateKey: w.hub.app.PrivateKeyPEM,
		UserAgent: "sam/simulation", Transport: transport, Pacer: r.store,
	})
	if err != nil {
		return nil, err
	}
	base := handlers.Base{
		Store: r.store, GitHub: github, AppID: github.Self().AppID, Agent: "demo", Metrics: handlers.NewMetrics(prometheus.NewRegistry()),
	}
	if r.webhook, err = handlers.NewWebhook(base, w.hub.app.WebhookSecret); err != nil {
		return nil, err
	}
	r.sweep = handlers.Sweep{Base: base, Turns: r.store, Log: github, Every: handlers.SweepEvery}
	r.runner = runner.New(r.store, github, nodes(w.nodeNames))
	r.runner.Bounds = w.bounds
	r.consume = store.Handlers{Delivery: r.webhook.Handle, Task: r.runner.Advance, Owed: forge.NewOutbox(github, r.store).Deliver}
	keys, err := keysOf(w.hub)
	if err != nil {
		return nil, err
	}
	r.gateway = gateway.New(gateway.Options{
		Store: r.store, GitHub: github, Keys: keys, Author: gateway.Author{Name: github.Self().Login, Email: github.Self().Email},
		HTTP: &http.Client{Transport: transport},
	})
	r.server = &http.Server{
		Handler: r.gateway, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	return r, r.start(ctx)
}

// keysOf are the gateway's keys, which every replica has.
func keysOf(h *hub) (gateway.Keys, error) {
	shared := sha256.Sum256(h.app.PrivateKeyPEM)
	return gateway.NewKeys(shared[:])
}

// start has everything run that runs in a server.
func (r *replica) start(ctx context.Context) error {
	if err := r.runner.Prepare(ctx); err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(ctx)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return r.store.Consume(inner, r.consume) })
	group.Go(func() error {
		return r.store.Watch(inner, func(ctx context.Context, _ string) error { return r.runner.Prepare(ctx) })
	})
	group.Go(func() error { return r.sweep.Run(inner) })
	group.Go(func() error { return r.runner.Reconcile(inner, runner.ReconcileEvery) })
	r.over.Go(func() { _ = r.server.Serve(r.listener) })
	r.over.Go(func() {
		// Whoever kills the replica only ends its influence. That its goroutines end as well is for the test's sake.
		select {
		case <-r.out.died:
		case <-inner.Done():
		}
		r.out.kill() // a server that fails ends its process
		r.stop()
		_ = r.listener.Close()
		_ = r.server.Close()
		_ = group.Wait()
		r.gateway.Close()
		_ = r.store.Close()
	})
	return nil
}

// take has the replica's door for deliveries answer one.
func (r *replica) take(request *http.Request) (*http.Response, error) {
	res, err := serve(r.webhook, request)
	if r.out.dead() {
		return nil, errDead
	}
	return res, err
}
