package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// image is the node's default image of workspaces; the neighbour is made from it, too.
const image = "sam-workspace:latest"

// Ready says why nothing can be run on this machine, nil when it can.
func Ready(ctx context.Context) error {
	if os.Getuid() != 0 {
		return errors.New("it looks into other users' processes, which only root may")
	}
	if _, err := run(ctx, "", "docker", "image", "inspect", "--format", "{{.Id}}", image); err != nil {
		return fmt.Errorf("no container engine with the image of workspaces answers; `make tools` as root on Debian prepares both: %w", err)
	}
	if _, err := run(ctx, "", "redis-server", "--version"); err != nil {
		return fmt.Errorf("apt-get install redis-server: %w", err)
	}
	return nil
}

// neighbour is a container on the engine's own network that has nothing to do with SAM and writes down who connects to it.
type neighbour struct {
	id, address string
	known       int // hits that are the run's own
}

const neighbourPort = "7777"

func startNeighbour(ctx context.Context, intruder string) (*neighbour, error) {
	id, err := run(ctx, "", "docker", "run", "--detach", "--rm", "--volume", intruder+":/intruder:ro", "--entrypoint", "/intruder", image, "listen", ":"+neighbourPort)
	if err != nil {
		return nil, fmt.Errorf("start a neighbour: %w", err)
	}
	n := &neighbour{id: id}
	ip, err := run(ctx, "", "docker", "inspect", "--format", "{{.NetworkSettings.IPAddress}}", id)
	if err == nil {
		n.address = net.JoinHostPort(ip, neighbourPort)
		err = n.try(ctx)
	}
	if err == nil {
		var own []string
		own, err = n.hits(ctx)
		n.known = len(own)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a neighbour: %w", err), n.stop(ctx))
	}
	return n, nil
}

// try connects to it, which it must write down.
func (n *neighbour) try(ctx context.Context) error {
	return until(ctx, 20*time.Second, func() error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", n.address)
		if err != nil {
			return err
		}
		_ = conn.Close()
		if hits, err := n.hits(ctx); err != nil || len(hits) == 0 {
			return errors.Join(errors.New("it wrote down nothing"), err)
		}
		return nil
	})
}

// hits are the connections that it has had.
func (n *neighbour) hits(ctx context.Context) ([]string, error) {
	out, err := run(ctx, "", "docker", "logs", n.id)
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(out, "\n"), nil
}

func (n *neighbour) stop(ctx context.Context) error {
	_, err := run(context.WithoutCancel(ctx), "", "docker", "rm", "--force", n.id)
	return err
}

// box is a task's container as the engine and the kernel have it.
type box struct {
	Name  string
	State struct {
		Pid     int
		Running bool
	}
	HostConfig struct {
		NetworkMode, PidMode, IpcMode, UsernsMode string
		Privileged                                bool
		CapAdd, CapDrop, SecurityOpt              []string
		PidsLimit                                 int64
		Memory, MemorySwap                        int64
	}
	Mounts []struct {
		Source, Destination string
		RW                  bool
	}
	Config struct{ User string }

	interfaces, routes string // of its network, as the kernel tells
	rooted             bool   // its repository asked for root, which it may be within the container: see docs/devcontainers.md
}

// rootCapabilities are what a container's root may have: none reaches beyond the container.
var rootCapabilities = []string{"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETGID", "CAP_SETUID"}

// boxOf returns the container of a task, nil when there is none.
func (w *world) boxOf(ctx context.Context, task string) (*box, error) {
	id, err := run(ctx, "", "docker", "ps", "--quiet", "--filter", "label=sam.task="+task)
	if err != nil || id == "" {
		return nil, err
	}
	all := strings.Fields(id) // newest first: services are made after the workspace that they are beside
	return readBox(ctx, all[len(all)-1])
}

// servicesOf are the containers of a task's services that run beside its workspace.
func servicesOf(ctx context.Context, task string) ([]*box, error) {
	ids, err := run(ctx, "", "docker", "ps", "--quiet", "--filter", "label=sam.task="+task, "--filter", "label=sam.service")
	if err != nil {
		return nil, err
	}
	var found []*box
	for _, id := range strings.Fields(ids) {
		one, err := readBox(ctx, id)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// readBox looks at a container that runs.
func readBox(ctx context.Context, id string) (*box, error) {
	out, err := run(ctx, "", "docker", "inspect", id)
	if err != nil {
		return nil, err
	}
	var all []box
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) == 0 {
		return nil, fmt.Errorf("read what the engine says of a container: %w", err)
	}
	b := &all[0]
	for _, file := range []struct {
		name string
		to   *string
	}{{"dev", &b.interfaces}, {"route", &b.routes}} {
		text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(b.State.Pid), "net", file.name))
		if err != nil {
			return nil, fmt.Errorf("look at a container's network: %w", err)
		}
		*file.to = string(text)
	}
	return b, nil
}

// leaves waits until the node is through with a job's workspace.
func (w *world) leaves(ctx context.Context, j *job) error {
	return until(ctx, goneWithin, func() error {
		if left, err := w.boxOf(ctx, j.id); err != nil || left != nil {
			return errors.Join(errors.New("the task's container is still there"), err)
		}
		return nil
	})
}

// offline says why a container has a network, "" when it has none but its loopback.
func (b *box) offline() string {
	if b.HostConfig.NetworkMode != "none" {
		return "the container's network is " + b.HostConfig.NetworkMode
	}
	return b.wired()
}

// wired says what of a network the kernel has for a container, "" when that is its loopback alone.
func (b *box) wired() string {
	for i, line := range strings.Split(strings.TrimSpace(b.interfaces), "\n") {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), ":"); i >= 2 && name != "lo" {
			return "the container has the interface " + name
		}
	}
	if lines := strings.Split(strings.TrimSpace(b.routes), "\n"); len(lines) > 1 {
		return "the container has a route: " + lines[1]
	}
	return ""
}

// loose says what a container has that it should not, "" when nothing.
func (b *box) loose(allowed ...string) string {
	h := b.HostConfig
	more := slices.DeleteFunc(slices.Clone(h.CapAdd), func(name string) bool { return b.rooted && slices.Contains(rootCapabilities, name) })
	switch {
	case h.Privileged, len(more) > 0, len(h.CapDrop) != 1 || h.CapDrop[0] != "ALL":
		return fmt.Sprintf("privileged %t, capabilities added %v, dropped %v", h.Privileged, h.CapAdd, h.CapDrop)
	case h.PidMode == "host", h.IpcMode == "host", h.UsernsMode == "host":
		return "it shares the host's processes, memory or users"
	case !strings.Contains(strings.Join(h.SecurityOpt, " "), "no-new-privileges"):
		return fmt.Sprintf("its security options are %v", h.SecurityOpt)
	case b.rooted:
	case b.Config.User == "" || strings.HasPrefix(b.Config.User, "0") || strings.HasPrefix(b.Config.User, "root"):
		return "it runs as root"
	}
	for _, m := range b.Mounts {
		ok := false
		for _, prefix := range allowed {
			ok = ok || strings.HasPrefix(m.Source, prefix)
		}
		if !ok {
			return "it has " + m.Source + " mounted"
		}
	}
	return ""
}
