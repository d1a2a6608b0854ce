package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"golang.org/x/sync/errgroup"

	"sam/agent"
	"sam/agent/egress"
	"sam/config"
	"sam/sandbox/redis"
	"sam/sandbox/seed"
	"sam/task"
)

// readyWithin bounds how long the parts may take to find each other.
const readyWithin = 30 * time.Second

// world is the whole product in one process tree: Redis, the stand-in for GitHub, the server and a node, or the stand-in for
// Hetzner, from which the server has its nodes.
type world struct {
	dir     string
	redis   *redis.Server
	hub     *hub
	rack    *rack // of the machines; nil where a node stands
	server  *server
	model   string // what the agent asks: see chooseModel
	project int64
}

// worldOptions say what a world is to be like.
type worldOptions struct {
	listen   string                          // address of GitHub's stand-in
	agent    string                          // that tasks are given to
	provider string                          // of nodes; empty: providerLocal
	unsafe   bool                            // a real agent may run without a container
	binary   string                          // what runs in containers as sam; empty: this program
	engine   string                          // address of the container engine; empty: the usual one
	key      string                          // the server's key for the scripted model; empty: the right one
	keys     string                          // folder of the server's keys for secrets; empty: it keeps none
	watch    func(http.Handler) http.Handler // around GitHub's stand-in, nil for nothing
	outside  egress.Options                  // the internet as workspaces reach it; empty: the machine's
}

// withWorld brings a world up, calls use when the project is known and the node that stands, if one does, is linked, and takes the world down
// when use returns or ctx ends. Its files are in a folder of their own and removed with it, by the next world should this
// one be killed.
func withWorld(ctx context.Context, o worldOptions, use func(context.Context, *world) error) (err error) {
	w := &world{}
	folder, err := agent.NewTransientFolder(ctx, "sam-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Remove()) }()
	w.dir = folder.Path
	if w.redis, err = redis.Start(ctx, w.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.redis.Stop()) }()
	if w.hub, err = newHub(ctx, o.listen, filepath.Join(w.dir, "github"), o.watch); err != nil {
		return err
	}
	defer w.hub.close(ctx)
	if o.provider == providerHetzner {
		if w.rack, err = newRack(ctx, w.dir, o); err != nil {
			return err
		}
		defer w.rack.close(ctx)
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.hub.serve(ctx) }) // the server asks it who it is before it serves itself
	if w.rack != nil {
		group.Go(func() error { return w.rack.door.serve(ctx) })
	}
	group.Go(func() error {
		defer stop()
		if err := w.serve(ctx, group, o); err != nil {
			return err
		}
		return use(ctx, w)
	})
	return group.Wait()
}

// serve starts the server and the node, and waits until they know each other and the project.
func (w *world) serve(ctx context.Context, group *errgroup.Group, o worldOptions) error {
	c, err := w.hub.configure(w.dir)
	if err != nil {
		return fmt.Errorf("write the App's credentials: %w", err)
	}
	c.Agent, c.Keys.Dir = o.agent, o.keys
	c.Public.Listen, c.Dashboard.Listen, c.Operator.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Blob.Dir = filepath.Join(w.dir, "blobs")
	c.Redis = config.Redis{Address: w.redis.Address, AllowLossy: !w.redis.Durable}
	if err := w.chooseModel(ctx, group, o, &c.Model); err != nil {
		return err
	}
	if w.rack != nil {
		c.Node.Slots = 0 // none stands
		if err := w.rack.configure(w.dir, o.binary, &c.Hetzner); err != nil {
			return err
		}
	}
	if w.server, err = newServer(ctx, c); err != nil {
		return err
	}
	group.Go(func() error { return w.server.run(ctx) })
	if w.rack != nil {
		w.rack.engine.Reach(hostOf(w.server.public.url()))
		w.rack.engine.Reach(hostOf(w.hub.url())) // repositories are fetched from there
	} else {
		w.stand(ctx, group, c, o)
	}
	if err := w.hub.install(w.server.public.url() + githubapp.DefaultWebhookRoute); err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return until(soon, func() (bool, error) {
		projects, err := w.server.store.Projects(ctx)
		if err != nil || len(projects) == 0 {
			return false, err
		}
		for _, p := range projects {
			if p.FullName() == seed.Owner+"/"+seed.Repository {
				w.project = p.ID
			}
		}
		if w.rack != nil {
			return true, nil
		}
		nodes, err := w.server.store.Nodes(ctx)
		return err == nil && len(nodes) == 1 && nodes[0].State == task.NodeReady, err
	})
}

// stand starts the node that stands.
func (w *world) stand(ctx context.Context, group *errgroup.Group, c config.Server, o worldOptions) {
	group.Go(func() error {
		return runNode(ctx, agent.Options{
			Gateway: w.server.public.url(), Token: w.server.token, Dir: filepath.Join(w.dir, "node"), Slots: c.Node.Slots,
			Workspace: workspaceFor(o), UnsafeNoIsolation: o.unsafe, Engine: o.engine, Executable: o.binary, Agents: agentsFolder(), Transient: true,
			Outside: o.outside,
		})
	})
}

// until asks every few milliseconds whether something is true, until ctx ends.
func until(ctx context.Context, is func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := is()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// demoAgentName is the agent that needs no model and no container.
const demoAgentName = "demo"

// workspaceFor is the kind of workspace that the world's node makes.
func workspaceFor(o worldOptions) string {
	if o.agent == demoAgentName {
		return agent.KindProcess
	}
	return agent.WorkspaceAuto
}

// agentsFolder is where the demo keeps agents from one run to the next; empty where the user has no cache.
func agentsFolder() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "sam", "agents")
}
