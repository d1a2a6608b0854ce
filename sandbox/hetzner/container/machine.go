package container

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/hetzner"
)

// label names the server that a container belongs to, and the prefix of whoever
// made it.
const label = "sam.sandbox.hetzner"

const (
	defaultPrefix = "hetzner"
	defaultEngine = "/var/run/docker.sock"
)

// Options says how machines are made.
type Options struct {
	// Prefix is before the names of all containers: of machines, and of those that
	// they make. It is one Engine's at a time, and what an earlier one that was killed
	// left under it is removed. Empty: "hetzner".
	Prefix string
	// Transient gives this Engine a prefix of its own that begins with Prefix, so that
	// any number of them may be there at once. What those left that were killed is
	// removed.
	Transient bool
	// Image is the root file system of every machine, whatever image its server has.
	// Empty: sam-workspace:latest. It needs sh, base64, sed and setsid.
	Image string
	// Engine is the socket of the container engine. Empty: /var/run/docker.sock.
	Engine string
	// Dir is a folder for sockets, whose paths may have 108 bytes. Empty: one that is
	// made for them, and removed by Close.
	Dir string
	// Reach are addresses of the host's loopback, such as 127.0.0.1:8080, that
	// machines reach as they are.
	Reach []string
	// Shared are folders of the host that every machine has, read only: by their paths
	// in the machine, where they are on the host. The containers that it makes may have
	// them too.
	Shared map[string]string
	// Log is told what failed while nobody waited. The zero value is silent.
	Log zerolog.Logger
}

// Engine makes machines. It needs root, the docker command, and an engine on this
// host.
type Engine struct {
	opts  Options
	dir   string       // of sockets, and of what machines have of the host
	own   bool         // dir was made by New
	nft   []string     // how machines are given the host's nft
	claim net.Listener // of the prefix

	mu    sync.Mutex
	reach []string
}

// New finds the engine and its image, and claims the prefix. Close gives it up, and
// removes what New made.
func New(ctx context.Context, opts Options) (*Engine, error) {
	opts.Prefix = cmp.Or(opts.Prefix, defaultPrefix)
	opts.Image = cmp.Or(opts.Image, "sam-workspace:latest")
	opts.Engine = cmp.Or(opts.Engine, defaultEngine)
	e := &Engine{opts: opts, reach: slices.Clone(opts.Reach)}
	if os.Geteuid() != 0 {
		return nil, errors.New("machines are booted as root only: run it as root, or without machines")
	}
	if _, err := e.docker(ctx, nil, "image", "inspect", opts.Image); err != nil {
		return nil, fmt.Errorf("find the root file system of machines: %w: build it with scripts/image, or name another image", err)
	}
	if opts.Transient {
		if err := RemoveAbandoned(ctx, opts); err != nil {
			return nil, err
		}
		e.opts.Prefix += "-" + strings.ToLower(rand.Text()[:8])
	}
	var err error
	if e.claim, err = claim(ctx, e.opts.Prefix); err != nil {
		return nil, fmt.Errorf("another stand-in on this host has machines under the prefix %q: choose another: %w", e.opts.Prefix, err)
	}
	if err := e.sweep(ctx, e.opts.Prefix); err != nil {
		return nil, errors.Join(err, e.claim.Close())
	}
	if e.dir = opts.Dir; e.dir == "" {
		e.own = true
		if e.dir, err = os.MkdirTemp("", "sam-hetzner-"); err != nil {
			return nil, errors.Join(fmt.Errorf("make a folder for the machines' sockets: %w", err), e.claim.Close())
		}
	}
	if e.nft, err = lendNFT(ctx, e.dir); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Reach has machines that boot from now on reach one more address of the host's
// loopback.
func (e *Engine) Reach(address string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reach = append(e.reach, address)
}

func (e *Engine) reached() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.reach)
}

// Close gives the prefix up and removes the folder of sockets, unless that was
// given. Machines must be gone.
func (e *Engine) Close() error {
	err := e.claim.Close()
	if e.own {
		err = errors.Join(err, os.RemoveAll(e.dir))
	}
	return err
}

// docker runs the docker command and returns what it wrote.
func (e *Engine) docker(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", append([]string{"--host", "unix://" + e.opts.Engine}, args...)...)
	var out, complaint bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &complaint
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(complaint.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// machine is one container.
type machine struct {
	engine *Engine
	spec   hetzner.MachineSpec
	name   string // of the container, and before the names of those that it makes
	label  string
	door   *door
	reach  *reach
	work   sync.WaitGroup // its boot, and who waits for its end
	stop   context.CancelFunc

	mu     sync.Mutex
	exited chan struct{}
}

// Boot makes a container with an engine and a network of its own, and has it do
// what its user data says.
func (e *Engine) Boot(ctx context.Context, spec hetzner.MachineSpec) (_ hetzner.Machine, err error) {
	first, err := script(spec.UserData)
	if err != nil {
		return nil, err
	}
	m := &machine{
		engine: e, spec: spec, name: fmt.Sprintf("%s-%s-%d", e.opts.Prefix, spec.Name, spec.ID),
		label: fmt.Sprintf("%s=%s-%d", label, e.opts.Prefix, spec.ID),
	}
	defer func() {
		if err != nil {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, m.Remove(last))
		}
	}()
	socket := filepath.Join(e.dir, strconv.FormatInt(spec.ID, 10)+".sock")
	if m.door, err = openDoor(ctx, socket, e.opts.Engine, m.name+"-", m.label, e.opts.Shared); err != nil {
		return nil, err
	}
	args := []string{
		"create", "--init", "--name", m.name, "--hostname", spec.Name, "--label", m.label,
		"--user", "0", "--cap-add", "NET_ADMIN", "--volume", socket + ":/run/docker.sock",
		"--env", "HOME=/root", "--entrypoint", "/bin/sleep",
	}
	for _, at := range slices.Sorted(maps.Keys(e.opts.Shared)) {
		args = append(args, "--volume", e.opts.Shared[at]+":"+at+":ro")
	}
	args = append(append(args, e.nft...), e.opts.Image, "infinity")
	if _, err = e.docker(ctx, nil, args...); err != nil {
		return nil, err
	}
	return m, m.start(ctx, first)
}

// start starts the container, opens what it reaches, and runs a script in it, which
// goes on after start has returned.
func (m *machine) start(ctx context.Context, text string) error {
	e := m.engine
	if _, err := e.docker(ctx, nil, "start", m.name); err != nil {
		return err
	}
	out, err := e.docker(ctx, nil, "inspect", "--format", `{"pid":{{.State.Pid}},"root":{{json .GraphDriver.Data.MergedDir}}}`, m.name)
	if err != nil {
		return err
	}
	var at struct {
		PID  int    `json:"pid"`
		Root string `json:"root"`
	}
	if err := json.Unmarshal([]byte(out), &at); err != nil || at.PID == 0 || at.Root == "" {
		return fmt.Errorf("find the machine's root file system on the host: the engine says %s: it needs overlay2", out)
	}
	m.door.setRoot(at.Root)
	if m.reach, err = open(ctx, at.PID, e.reached(), net.ParseIP(m.spec.IPv4)); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	exited := make(chan struct{})
	m.mu.Lock()
	m.exited, m.stop = exited, stop
	m.mu.Unlock()
	m.work.Go(func() {
		defer close(exited)
		_, _ = e.docker(running, nil, "wait", m.name) // an error is the end as well
	})
	m.work.Go(func() { m.run(running, text) })
	return nil
}

// run has the machine do a script of its own, and keep what it prints.
func (m *machine) run(ctx context.Context, text string) {
	const keep = "mkdir -p " + instance + "/scripts && cat >" + instance + "/boot.sh && exec sh " + instance +
		"/boot.sh </dev/null >>" + bootLog + " 2>&1"
	if _, err := m.engine.docker(ctx, strings.NewReader(text), "exec", "--interactive", m.name, "sh", "-c", keep); err != nil && ctx.Err() == nil {
		m.engine.opts.Log.Warn().Err(err).Str("name", m.name).Msg("a machine's boot ended early")
	}
}

// bootLog is where cloud-init prints.
const bootLog = "/var/log/cloud-init-output.log"

// Halt kills the container and all that runs in it.
func (m *machine) Halt(ctx context.Context) error {
	_, err := m.engine.docker(ctx, nil, "kill", m.name)
	if err != nil && strings.Contains(err.Error(), "is not running") {
		err = nil
	}
	m.quiet()
	return err
}

// quiet ends what accompanies a container that runs.
func (m *machine) quiet() {
	m.mu.Lock()
	if m.stop != nil {
		m.stop()
	}
	m.mu.Unlock()
	m.work.Wait()
	m.reach.close()
	m.reach = nil
}

// Restart starts it again, and the services that are enabled.
func (m *machine) Restart(ctx context.Context) error {
	m.quiet()
	return m.start(ctx, "systemctl boot\n")
}

// Remove removes the container, and those that it has made, running or not.
func (m *machine) Remove(ctx context.Context) error {
	e := m.engine
	m.door.close() // from here on it makes no more
	all, err := e.docker(ctx, nil, "ps", "--all", "--quiet", "--no-trunc", "--filter", "label="+m.label)
	if ids := strings.Fields(all); err == nil && len(ids) > 0 {
		_, err = e.docker(ctx, nil, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	}
	m.quiet()
	return err
}

// Exited is closed when the container has ended.
func (m *machine) Exited() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.exited
}

// Log is what the boot printed, from a container that runs or has ended.
func (m *machine) Log() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := m.engine.docker(ctx, nil, "cp", m.name+":"+bootLog, "-")
	if err != nil {
		return "" // it has printed nothing yet, or is gone
	}
	archive := tar.NewReader(strings.NewReader(out))
	if _, err := archive.Next(); err != nil {
		return ""
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return ""
	}
	return string(text)
}
