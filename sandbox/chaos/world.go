package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/sandbox/github"
	"sam/sandbox/redis"
)

// How big the world is: replicas are 0, 1 …, and each has prepared one node of the same number.
const (
	replicas     = 3
	nodeSlots    = 2
	readyWithin  = 90 * time.Second
	webhookWaits = 5 * time.Second // how long GitHub's stand-in waits for an answer to a delivery
)

// breaking is the variable that says which protection a binary built with the tag broken goes without.
const breaking = "SAM_BREAK="

// world is all the parts of a run.
type world struct {
	options  Options
	redis    *redis.Server
	proxies  []*redis.Proxy // one before each replica's Redis
	hub      *github.Server
	app      github.App
	hubDoor  *http.Server
	owners   []int64 // GitHub's numbers of the accounts
	machines *machines
	cloud    *cloud
	balancer *balancer
	replicas []*program
	nodes    []*program // that stand
}

// build makes the parts that do not run in processes of their own, and describes those that do.
func build(ctx context.Context, o Options) (_ *world, err error) {
	w := &world{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	dir := filepath.Join(o.Dir, "redis")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return w, fmt.Errorf("make Redis's folder: %w", err)
	}
	if w.redis, err = redis.Start(ctx, dir); err != nil {
		return w, err
	}
	if !w.redis.Durable {
		return w, errors.New("chaos kills Redis, and the embedded one cannot be: install redis-server")
	}
	for range replicas {
		proxy, err := redis.StartProxy(ctx, w.redis.Address)
		if err != nil {
			return w, err
		}
		w.proxies = append(w.proxies, proxy)
	}
	if err := w.openHub(ctx); err != nil {
		return w, err
	}
	return w, w.describe(ctx)
}

// openHub starts GitHub's stand-in. Its listener is not a program: it does not die.
func (w *world) openHub(ctx context.Context) error {
	var err error
	if w.hub, err = github.New(github.Options{Log: zerolog.Nop(), WebhookTimeout: webhookWaits}); err != nil { //nolint:contextcheck // the stand-in is called as a service is
		return err
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for GitHub's stand-in: %w", err)
	}
	w.hub.SetURL("http://" + l.Addr().String())
	w.hubDoor = &http.Server{Handler: w.hub.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.hubDoor.Serve(l) }() // ends with close
	return w.people()                      //nolint:contextcheck // likewise
}

// describe writes the App's credentials and says how each program is to run.
func (w *world) describe(ctx context.Context) error {
	key, secret := filepath.Join(w.options.Dir, "app.pem"), filepath.Join(w.options.Dir, "webhook-secret")
	if err := errors.Join(os.WriteFile(key, w.app.PrivateKeyPEM, 0o600), os.WriteFile(secret, []byte(w.app.WebhookSecret+"\n"), 0o600)); err != nil {
		return fmt.Errorf("write the App's credentials: %w", err)
	}
	ports := make([]string, 2*replicas+1)
	for i := range ports {
		port, err := redis.FreePort(ctx)
		if err != nil {
			return err
		}
		ports[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	url := "http://" + ports[2*replicas]
	if err := w.makeKey(ctx); err != nil {
		return err
	}
	w.machines = &machines{dir: filepath.Join(w.options.Dir, "machines"), gateway: url, program: w.program, up: map[int64]*machine{}}
	var err error
	if w.cloud, err = openCloud(ctx, w.machines, replicas, zerolog.Ctx(ctx).Level(zerolog.WarnLevel)); err != nil {
		return err
	}
	var backends []backend
	for i := range replicas {
		public, operator := ports[2*i], ports[2*i+1]
		token := filepath.Join(w.options.Dir, fmt.Sprintf("node-%d.token", i))
		backends = append(backends, backend{public: public, ready: "http://" + operator + "/readyz"})
		w.replicas = append(w.replicas, w.program(fmt.Sprintf("replica-%d", i), "serve", append(w.cloudSettings(i),
			"SAM_PUBLIC_LISTEN="+public, "SAM_PUBLIC_URL="+url, "SAM_OPERATOR_LISTEN="+operator, "SAM_DASHBOARD_LISTEN=127.0.0.1:0",
			"SAM_GITHUB_APP_ID="+strconv.FormatInt(w.app.ID, 10), "SAM_GITHUB_PRIVATE_KEY_FILE="+key, "SAM_GITHUB_WEBHOOK_SECRET_FILE="+secret,
			"SAM_GITHUB_API_URL="+w.hub.URL()+"/api/v3/", "SAM_GITHUB_WEB_URL="+w.hub.URL(), "SAM_REDIS_ADDRESS="+w.proxies[i].Address,
			fmt.Sprintf("SAM_NODE_NAME=node-%d", i), "SAM_NODE_SLOTS="+strconv.Itoa(nodeSlots), "SAM_NODE_TOKEN_FILE="+token)...))
		w.nodes = append(w.nodes, w.program(fmt.Sprintf("node-%d", i), "node",
			"SAM_GATEWAY="+url, "SAM_TOKEN_FILE="+token, "SAM_WORKSPACE=process", "SAM_SLOTS="+strconv.Itoa(nodeSlots),
			"SAM_DIR="+filepath.Join(w.options.Dir, fmt.Sprintf("node-%d", i))))
	}
	if w.balancer, err = newBalancer(ctx, ports[2*replicas], backends); err != nil {
		return err
	}
	if err := w.hub.SetWebhook(w.app.ID, url+"/api/github/hook"); err != nil {
		return fmt.Errorf("set the App's webhook: %w", err)
	}
	return nil
}

func (w *world) program(name, command string, env ...string) *program {
	var inherited []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SAM_") {
			inherited = append(inherited, entry)
		}
	}
	if w.options.Break != "" {
		env = append(env, breaking+w.options.Break)
	}
	return &program{
		name: name, binary: w.options.Binary, args: []string{command}, env: append(inherited, env...),
		log: filepath.Join(w.options.Dir, name+".log"),
	}
}

// start runs the programs in a group until ctx ends, and returns when they have found each other.
func (w *world) start(ctx context.Context, group *errgroup.Group) error {
	group.Go(func() error { return w.balancer.run(ctx) })
	for _, p := range w.replicas {
		group.Go(func() error { return p.run(ctx) })
	}
	soon, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := until(soon, lookEvery, w.balancer.allReady); err != nil {
		return fmt.Errorf("start the replicas: %w (see %s)", err, filepath.Join(w.options.Dir, "replica-0.log"))
	}
	for _, p := range w.nodes {
		group.Go(func() error { return p.run(ctx) }) // the credentials are there: the replicas wrote them
	}
	return w.install(soon)
}

// close ends what is not a program.
func (w *world) close(ctx context.Context) error {
	var errs []error
	if w.cloud != nil {
		errs = append(errs, w.cloud.Close())
	}
	if w.hubDoor != nil {
		errs = append(errs, w.hubDoor.Close())
	}
	if w.hub != nil {
		errs = append(errs, w.hub.Close())
	}
	for _, p := range w.proxies {
		errs = append(errs, p.Stop())
	}
	if w.redis != nil {
		errs = append(errs, w.redis.Stop())
	}
	zerolog.Ctx(ctx).Debug().Msg("everything is stopped")
	return errors.Join(errs...)
}
