package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"sam/sandbox/hetzner"
)

// machines are what the stand-in's servers boot: each is a process of `sam node` with a folder and an address of its own, that does what
// a machine's first boot comes to as far as a process can. It fetches no program and makes no firewall, disk or engine: the test of
// those is sandbox/hetzner/container's.
type machines struct {
	dir     string
	gateway string // the load balancer
	program func(name, command string, env ...string) *program

	mu sync.Mutex
	up map[int64]*machine // by the number of its server
}

// order is what user data says to `sam boot`, as far as it is obeyed here.
type order struct {
	Node    string `json:"node"`
	Gateway string `json:"gateway"`
	Token   string `json:"token"`
}

// bootFile is where user data puts it.
const bootFile = "/etc/sam/boot.json"

// readOrder finds the order in user data: a cloud-config in JSON.
func readOrder(userData string) (o order, err error) {
	text, found := strings.CutPrefix(userData, "#cloud-config\n")
	if !found {
		return o, errors.New("the user data is no cloud-config")
	}
	var config struct {
		Files []struct {
			Path, Content string
		} `json:"write_files"`
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return o, fmt.Errorf("read the cloud-config: %w", err)
	}
	for _, f := range config.Files {
		if f.Path == bootFile {
			err := json.Unmarshal([]byte(f.Content), &o)
			if err == nil && (o.Node == "" || o.Token == "") {
				err = errors.New("it names no node, or has no token")
			}
			if err != nil {
				return o, fmt.Errorf("read %s of the cloud-config: %w", bootFile, err)
			}
			return o, nil
		}
	}
	return o, errors.New("the cloud-config writes no " + bootFile)
}

// Boot implements hetzner.Machines.
func (ms *machines) Boot(ctx context.Context, spec hetzner.MachineSpec) (hetzner.Machine, error) {
	o, err := readOrder(spec.UserData)
	if err != nil {
		return nil, err
	}
	m := &machine{of: ms, spec: spec, order: o, dir: filepath.Join(ms.dir, spec.Name)}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the machine's folder: %w", err)
	}
	if err := os.WriteFile(m.bootstrap(), []byte(o.Token+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the bootstrap token: %w", err), os.RemoveAll(m.dir))
	}
	if err := m.Restart(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(m.dir))
	}
	return m, nil
}

// nodes are the programs that run.
func (ms *machines) nodes() []*program {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	var all []*program
	for _, m := range ms.up {
		all = append(all, m.node)
	}
	return all
}

// machine is one of them. It implements hetzner.Machine.
type machine struct {
	of    *machines
	spec  hetzner.MachineSpec
	order order
	dir   string

	node   *program
	way    *wayOut
	off    context.CancelFunc
	ended  sync.WaitGroup
	exited chan struct{}
}

func (m *machine) bootstrap() string { return filepath.Join(m.dir, "bootstrap") }

// Restart implements hetzner.Machine. As systemd does it starts the node again whenever that ends.
func (m *machine) Restart(ctx context.Context) error {
	var err error
	if m.way, err = openWayOut(ctx, m.spec.IPv4, m.of.gateway); err != nil {
		return err
	}
	m.node = m.of.program(m.spec.Name, "node", "SAM_GATEWAY="+m.way.url, "SAM_NAME="+m.order.Node, "SAM_BOOTSTRAP_FILE="+m.bootstrap(),
		"SAM_WORKSPACE=process", "SAM_SLOTS="+strconv.Itoa(machineSlots), "SAM_DIR="+filepath.Join(m.dir, "node"))
	var on context.Context
	on, m.off = context.WithCancel(context.WithoutCancel(ctx)) // until it is halted
	m.exited = make(chan struct{})
	m.ended.Go(func() {
		defer close(m.exited)
		_ = m.node.run(on) // its log says why
	})
	m.of.mu.Lock()
	defer m.of.mu.Unlock()
	m.of.up[m.spec.ID] = m
	return nil
}

// Halt implements hetzner.Machine: the power is gone, and nobody is asked.
func (m *machine) Halt(context.Context) error {
	m.of.mu.Lock()
	delete(m.of.up, m.spec.ID)
	m.of.mu.Unlock()
	m.off()
	_ = m.node.signal(syscall.SIGKILL) // it may be down just now
	m.ended.Wait()
	return m.way.close()
}

// Remove implements hetzner.Machine. Its log stays.
func (m *machine) Remove(ctx context.Context) error {
	return errors.Join(m.Halt(ctx), os.RemoveAll(m.dir))
}

// Exited implements hetzner.Machine.
func (m *machine) Exited() <-chan struct{} { return m.exited }

// Log implements hetzner.Machine.
func (m *machine) Log() string {
	text, err := os.ReadFile(m.node.log)
	if err != nil {
		return "" // it has printed nothing yet
	}
	return string(text)
}
