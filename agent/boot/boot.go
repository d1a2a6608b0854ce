// Package boot makes a fresh machine a node: what cloud-init leaves to `sam boot`. It closes the host's firewall, blocks the
// metadata address for all but root, makes swap and a disk with quotas, tells Docker and the journal their limits, and starts
// `sam node`. Each step is timed, and the report stays on the machine for the node to tell: its server once, and the page of the
// first task.
//
// It may be run again: after a restart of the machine, or after a step failed.
package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sam/agent/wire"
)

// Order is what the server has written for this machine.
type Order struct {
	Node    string    `json:"node"`
	Gateway string    `json:"gateway"`
	Token   string    `json:"token"` // the one-use bootstrap token
	Made    time.Time `json:"made"`
	// Memory is what one workspace may take, in bytes: the machine takes as many workspaces as fit.
	Memory int64 `json:"memory"`
	// Image is what workspaces are made of; empty: the node's default.
	Image string `json:"image,omitempty"`
}

// Where files are, below the machine's root.
const (
	stateDir      = "var/lib/sam"
	reportFile    = "var/lib/sam/boot-report.json"
	bootstrapFile = "var/lib/sam/bootstrap"
	nodeFile      = "etc/sam/node.yml"
	bootUnitFile  = "etc/systemd/system/sam-boot.service"
	nodeUnitFile  = "etc/systemd/system/sam-node.service"
	diskFile      = "var/lib/sam-disk.xfs"
	swapFile      = "var/lib/sam-swap"
	journalFile   = "etc/systemd/journald.conf.d/sam.conf"
	dockerFile    = "etc/docker/daemon.json"
)

// Machine is the one that is made a node.
type Machine struct {
	Root   string // "/"
	Memory int64  // bytes
	// Run runs a program with a text for its input; the error has what it printed.
	Run func(ctx context.Context, stdin, name string, args ...string) error
	// Free is how many bytes are free on the file system of a path; Mounted are the paths that something is mounted at, and
	// the files that are swapped to.
	Free    func(path string) (int64, error)
	Mounted func() ([]string, error)
}

// stage is a step to be done. One that is needed ends the boot when it fails: a node without its firewall is none. Of the others
// the report says what is missing, and the node does without.
type stage struct {
	name   string
	needed bool
	do     func(context.Context, Order) (note string, err error)
	kept   bool // the report of what was done before is kept first: who is started now reads it
}

func (m *Machine) stages() []stage {
	return []stage{
		{name: "firewall", needed: true, do: m.firewall},
		{name: "swap", do: m.swap},
		{name: "disk", do: m.disk},
		{name: "engine", needed: true, do: m.engine},
		{name: "journal", do: m.journal},
		{name: "node", needed: true, do: m.node},
		{name: "start", needed: true, do: m.start, kept: true},
		{name: "updates", do: m.updates},
	}
}

// Boot does what is left to do, and writes the report. began is when the machine's own work began. The error names the step
// that failed and could not be left out.
func (m *Machine) Boot(ctx context.Context, order Order, began time.Time) (wire.Boot, error) {
	report := wire.Boot{
		Made: order.Made, Began: began, Again: m.exists(nodeFile),
		Steps: []wire.BootStep{{Name: "program", MS: time.Since(began).Milliseconds()}},
	}
	var failed error
	for _, s := range m.stages() {
		if s.kept {
			_ = m.keep(report) // it is written again at the end, and what is wrong said then
		}
		at := time.Now()
		note, err := s.do(ctx, order)
		step := wire.BootStep{Name: s.name, MS: time.Since(at).Milliseconds(), Note: note}
		if err != nil {
			step.Error = err.Error()
		}
		report.Steps = append(report.Steps, step)
		if err != nil && s.needed {
			failed = fmt.Errorf("boot: %s: %w", s.name, err)
			break
		}
	}
	return report, errors.Join(failed, m.keep(report))
}

func (m *Machine) keep(r wire.Boot) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the boot's report: %w", err)
	}
	return m.write(reportFile, string(text)+"\n", 0o600)
}

func (m *Machine) path(name string) string { return filepath.Join(m.Root, name) }

// write replaces a file whole.
func (m *Machine) write(name, text string, mode fs.FileMode) error {
	path := m.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // folders of the system
		return fmt.Errorf("make the folder of /%s: %w", name, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".sam-*")
	if err != nil {
		return fmt.Errorf("write /%s: %w", name, err)
	}
	_, err = file.WriteString(text)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write /%s: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}

// inUse reports whether a path is mounted, or swapped to, already.
func (m *Machine) inUse(name string) (bool, error) {
	all, err := m.Mounted()
	return slices.Contains(all, m.path(name)), err
}

func (m *Machine) exists(name string) bool {
	_, err := os.Lstat(m.path(name))
	return err == nil
}
