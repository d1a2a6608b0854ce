package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/rs/zerolog"

	"sam/agent"
	"sam/config"
	"sam/sandbox/hetzner"
	"sam/sandbox/hetzner/container"
)

// Where a world's nodes are from.
const (
	providerLocal   = "local"   // one that stands, in this process
	providerHetzner = "hetzner" // machines that SAM makes, of a stand-in's
)

// demoMachines are before the names of the containers of all demos' machines.
const demoMachines = "sam-demo"

// machineAgents is where `sam node` on a machine looks for agents.
const machineAgents = "/var/lib/sam/node/agents"

// rack is the stand-in for Hetzner of a world. Its machines are containers of this host that reach the world's server.
type rack struct {
	*hetzner.Server
	engine *container.Engine
	door   *door
}

// newRack starts a stand-in that boots machines; what a demo left that was killed is removed. The error says what is missing on
// this host.
func newRack(ctx context.Context, dir string, o worldOptions) (_ *rack, err error) {
	if _, err := exec.LookPath("nft"); err != nil {
		return nil, unbootable(fmt.Errorf("a machine closes its firewall with nft, which it has of this host: %w", err))
	}
	shared := map[string]string{}
	if o.agent == "claude" { // on a machine of Hetzner's the node fetches it; a container has no way to npm's registry
		shared[machineAgents] = cmp.Or(agentsFolder(), filepath.Join(dir, "agents"))
	}
	sockets := filepath.Join(dir, "machines")
	if err := os.Mkdir(sockets, 0o755); err != nil { //nolint:gosec // within a folder that is ours alone
		return nil, fmt.Errorf("make a folder for the machines' sockets: %w", err)
	}
	r := &rack{}
	log := *zerolog.Ctx(ctx)
	if r.engine, err = container.New(ctx, container.Options{
		Prefix: demoMachines, Transient: true, Image: agent.DefaultImage, Dir: sockets, Shared: shared, Log: log,
	}); err != nil {
		return nil, unbootable(err)
	}
	defer func() {
		if err != nil {
			r.close(ctx)
		}
	}()
	for _, agents := range shared {
		if err := agent.FetchClaude(ctx, agents); err != nil {
			return nil, err
		}
	}
	if r.Server, err = hetzner.New(hetzner.Options{ //nolint:contextcheck // machines are tended, and removed, when ctx has ended
		Tokens: []hetzner.Token{{Secret: hetznerToken, Project: "demo"}}, Machines: r.engine, Log: log,
	}); err != nil {
		return nil, err
	}
	r.door, err = newDoor(ctx, "hetzner", "127.0.0.1:0", r.Handler())
	return r, err
}

// unbootable says what to do where no machine can be made.
func unbootable(why error) error {
	return fmt.Errorf("no machine of Hetzner's stand-in can be booted here: %w.\n"+
		"Its machines are containers, with a firewall of their own. As root on Debian `make tools` prepares all that they need: Docker, the image of workspaces, and nft; then run the demo again as root.\n"+
		"Or run `sam demo` without --provider: its node is this machine itself", why)
}

// close removes the machines, with what they have started.
func (r *rack) close(ctx context.Context) {
	if r.door != nil {
		_ = r.door.listener.Close() // closed already when it has served
	}
	if r.Server != nil {
		r.Close()
	}
	if err := r.engine.Close(); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the prefix of the machines' names is not given up")
	}
}

// configure has a server make its nodes here: two workspaces on the smallest machine that there is.
func (r *rack) configure(dir, binary string, c *config.Hetzner) error {
	c.TokenFile = filepath.Join(dir, "hetzner-token")
	c.Endpoint = r.door.url() + "/v1"
	c.Machines, c.Memory = []string{"cx23@nbg1", "cx23@fsn1", "cx33@nbg1"}, 1536<<20
	err := os.WriteFile(c.TokenFile, []byte(hetznerToken+"\n"), 0o600)
	if err == nil && binary != "" {
		c.Programs = filepath.Join(dir, "programs")
		err = errors.Join(os.Mkdir(c.Programs, 0o700), os.Symlink(binary, filepath.Join(c.Programs, "sam-linux-"+runtime.GOARCH)))
	}
	if err != nil {
		return fmt.Errorf("tell the server of Hetzner's stand-in: %w", err)
	}
	return nil
}

// removeAbandonedMachines removes what demos left that were killed, where there is an engine to have any.
func removeAbandonedMachines(ctx context.Context) {
	if _, err := exec.LookPath("docker"); err != nil {
		return
	}
	if err := container.RemoveAbandoned(ctx, container.Options{Prefix: demoMachines}); err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("machines of demos that were killed are not looked for")
	}
}
