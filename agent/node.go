package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/egress"
	"sam/agent/wire"
	"sam/task"
)

// Options are what a node is started with.
type Options struct {
	Gateway    string       // base address of the gateway, http or https
	Token      string       // the node's credential; empty: a machine that SAM made gets its own, for the key that it makes
	Bootstrap  string       // of such a machine: file of the token with which its key is bound at first, removed then
	Name       string       // the node's, as its record has it
	Version    string       // of sam
	Dir        string       // where mirrors, workspaces and spools are; made when missing
	Slots      int          // attempts that may run at once; 1 when not positive
	Executable string       // path of the sam binary, which is also the demo agent and a container's first process
	HTTP       *http.Client // nil: one of the node's own

	// Workspace is KindDocker, KindProcess, or WorkspaceAuto for docker where an engine answers when the node starts. Empty
	// is KindProcess. In a process workspace a real agent is refused, unless UnsafeNoIsolation lets it run all the same, as
	// the node's user.
	Workspace         string
	UnsafeNoIsolation bool
	Agents            string  // where agents are installed, once for all tasks; empty: agents in Dir
	Engine            string  // address of the container engine; empty: as DOCKER_HOST says, else the usual socket
	Image             string  // of containers; empty: DefaultImage
	Memory            int64   // of a container, in bytes; 4 GiB, or what the machine has, when not positive
	CPUs              float64 // of a container; 2, or what the machine has, when not positive
	Processes         int64   // that a container may have at once, threads too; 512 when not positive
	Disk              int64   // that one workspace may take, in bytes; 10 GiB when not positive
	KeepFree          int64   // that is to stay free on the disk of Dir, in bytes; 2 GiB when not positive
	Sudo              bool    // the agent may become its container's root, where the image has sudo
	// Transient says that Dir goes with this process: then containers do not wait for the next one, there is none. Run
	// removes them at its end, and should this process be killed, the next node that starts on the machine does.
	Transient bool
	// BootReport is what `sam boot` wrote of how the machine became a node; empty, or no file there: nothing is told of it.
	BootReport string
	// Outside stands in for the node's own resolver and network where its proxies lead out of workspaces, as a test's internet
	// does. Of it Resolver and Dial count.
	Outside egress.Options

	environmentLimit time.Duration // of making an environment; environmentLimit when not positive
}

// WorkspaceAuto lets the node find out which kind of workspace it can make.
const WorkspaceAuto = "auto"

// Node is `sam node`. It is made by New and run once.
type Node struct {
	options    Options
	gateway    *gatewayClient
	mirrors    *mirrors
	workspaces *workspaces
	drivers    drivers
	records    *records
	disk       *disk
	boot       bootReport
	pace       pace

	parked map[wire.Ref]*parked // by Run before the first link, then by the link alone

	protocol atomic.Int64 // of the newest link

	spools *spools         // opened by Run
	ending <-chan struct{} // closed when Run is to return
	work   sync.WaitGroup  // attempts

	mu      sync.Mutex
	running map[string]*attempt // by task: its newest attempt, while it takes a slot
	seen    map[string]int64    // by task: the newest epoch taken in; a few bytes for each task of the node's life
}

// New checks the options and makes the node's folders. Nothing runs and nothing is dialled before Run.
func New(o Options) (*Node, error) {
	o.Slots = max(1, o.Slots)
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()} //nolint:errcheck // the standard library's own type
	}
	if o.Name == "" {
		return nil, errors.New("the node has no name")
	}
	if err := o.settle(); err != nil {
		return nil, err
	}
	gateway, err := newGatewayClient(o.Gateway, o.Token, o.HTTP)
	if err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("find the node's folder: %w", err)
	}
	folder := func(name string) string { return filepath.Join(o.Dir, name) }
	if o.Agents == "" {
		o.Agents = folder("agents")
	}
	if o.Agents, err = filepath.Abs(o.Agents); err != nil {
		return nil, fmt.Errorf("find the folder of agents: %w", err)
	}
	if err := os.MkdirAll(o.Agents, 0o755); err != nil { //nolint:gosec // programs without a secret, that the users of containers run
		return nil, fmt.Errorf("make the folder of agents: %w", err)
	}
	for _, name := range []string{"spools", "mirrors", "workspaces", "home", "attempts", "run"} {
		if err := os.MkdirAll(folder(name), 0o700); err != nil {
			return nil, fmt.Errorf("make the node's folders: %w", err)
		}
	}
	if o.Token == "" && o.Bootstrap == "" {
		return nil, errors.New("the node has no token: give it the one that was made for it")
	}
	if o.Token == "" {
		if gateway.identity, err = openIdentity(folder("node.key"), o.Name, o.Bootstrap); err != nil {
			return nil, err
		}
	}
	outside := git{home: folder("home")}
	n := &Node{
		options: o,
		gateway: gateway,
		mirrors: &mirrors{dir: folder("mirrors"), git: outside, largest: o.Disk},
		workspaces: &workspaces{
			dir: folder("workspaces"), runs: folder("run"), agents: o.Agents, sam: o.Executable,
			git: outside, gateway: gateway, kind: KindProcess,
			out: egress.Options{Resolver: o.Outside.Resolver, Dial: o.Outside.Dial},
		},
		drivers: newDrivers(demoDriver{}, newClaudeDriver(o.Agents)),
		records: &records{dir: folder("attempts")},
		parked:  map[wire.Ref]*parked{},
		boot:    bootReport{path: o.BootReport, told: folder("boot.json")},
		pace:    usualPace(),
		running: map[string]*attempt{},
		seen:    map[string]int64{},
	}
	n.disk = &disk{
		workspaces: n.workspaces, limit: o.Disk, keep: o.KeepFree, relieve: n.relieve, spare: n.spare,
		space: func() (int64, float64, error) { return space(o.Dir) },
	}
	return n, nil
}

// settle checks what kind of workspace is asked for, and fills in what is not said about containers.
func (o *Options) settle() error {
	switch o.Workspace {
	case "":
		o.Workspace = KindProcess
	case KindProcess, KindDocker, WorkspaceAuto:
	default:
		return fmt.Errorf("there is no workspace of the kind %q: it is %s, %s or %s", o.Workspace, WorkspaceAuto, KindDocker, KindProcess)
	}
	if o.Image == "" {
		o.Image = DefaultImage
	}
	if o.Processes <= 0 {
		o.Processes = defaultProcesses
	}
	if o.Disk <= 0 {
		o.Disk = defaultDisk
	}
	if o.KeepFree <= 0 {
		o.KeepFree = defaultKeepFree
	}
	return nil
}

// Run holds the link and works until ctx ends, then stops the agents and returns when everything has ended. A link that
// fails is no error: it is tried again for ever. An error means that the node's folder cannot be used.
func (n *Node) Run(ctx context.Context) error {
	unlock, err := lockFolder(n.options.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	log := zerolog.Ctx(ctx).With().Str("node", n.options.Name).Logger()
	ctx = log.WithContext(ctx)
	n.ending = ctx.Done()
	if n.spools, err = openSpools(filepath.Join(n.options.Dir, "spools")); err != nil {
		return err
	}
	defer n.spools.close()
	n.workspaces.spools = n.spools
	for _, left := range n.spools.list() {
		n.seen[left.ref.Task] = max(n.seen[left.ref.Task], left.ref.Epoch)
	}
	err = n.equip(ctx)
	defer n.workspaces.close()
	if err == nil {
		n.disk.settle(ctx)
		err = n.park(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	log.Info().Str("gateway", n.options.Gateway).Int("slots", n.options.Slots).Int("spools", len(n.spools.refs())).
		Str("workspace", n.workspaces.kind).Int("parked", len(n.parked)).Msg("node started")
	n.work.Go(func() { n.disk.tend(ctx) })
	n.work.Go(func() { n.tidy(ctx) })
	n.keepLink(ctx)
	n.work.Wait()
	if n.options.Transient {
		n.abandon(ctx)
	}
	n.options.HTTP.CloseIdleConnections()
	log.Info().Msg("node ended")
	return nil
}

// lostWith is how attempts end that an earlier process of the node agent left open.
func lostWith() task.End {
	return task.End{Outcome: task.Lost, Reason: "the node's agent process restarted while the task was being worked on"}
}

// take takes in a start: once for each task and epoch, however often it is sent. An error means that it could not be
// recorded and is to be sent again. ctx is the node's, for the attempt outlives the link.
func (n *Node) take(ctx context.Context, s wire.Start) error {
	log := zerolog.Ctx(ctx).With().Str("task", s.Task).Int64("epoch", s.Epoch).Logger()
	n.mu.Lock()
	defer n.mu.Unlock()
	switch seen := n.seen[s.Task]; {
	case !safeName(s.Task) || !safeName(s.Thread):
		log.Error().Str("thread", s.Thread).Msg("start refused: its names cannot name files")
		return nil
	case s.Epoch < seen:
		log.Warn().Int64("newest", seen).Msg("start refused: a newer attempt of the task was here")
		return nil
	case s.Epoch == seen:
		return nil
	}
	spool, err := n.spools.create(s.Ref, s.After)
	if err != nil {
		return err
	}
	n.seen[s.Task] = s.Epoch
	earlier, replaced := n.running[s.Task]
	if replaced {
		earlier.stop(&stopped{reason: "A newer attempt of the task has begun."})
		delete(n.running, s.Task)
	}
	if len(n.running) >= n.options.Slots {
		log.Error().Int("slots", n.options.Slots).Msg("start refused: every slot is taken")
		return spool.append(finished(task.End{Outcome: task.Lost, Reason: "every slot of the node is taken"}))
	}
	var before <-chan struct{}
	if replaced {
		before = earlier.ended
	}
	n.begin(ctx, &attempt{start: s, spool: spool}, before)
	return nil
}

// begin runs an attempt once earlier, which may be nil, is closed. The caller holds n.mu.
func (n *Node) begin(ctx context.Context, a *attempt, earlier <-chan struct{}) {
	ctx, stop := context.WithCancelCause(ctx)
	a.stop, a.ended = stop, make(chan struct{})
	a.spool.hide(a.start.Secrets, a.start.Token)
	var before map[string]string
	if a.parked != nil {
		before = a.parked.record.Answers
	}
	a.answers = newAnswers(func() bool { return n.protocol.Load() >= wire.Answers }, before)
	n.running[a.start.Task] = a
	n.work.Go(func() {
		defer stop(nil)
		n.attempt(ctx, a, earlier)
	})
}

// release gives the attempt's slot back.
func (n *Node) release(a *attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running[a.start.Task] == a {
		delete(n.running, a.start.Task)
	}
}

// end tells a running attempt to stop; one that does not run has ended already.
func (n *Node) end(ref wire.Ref, why *stopped) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a := n.running[ref.Task]; a != nil && a.start.Epoch == ref.Epoch {
		a.stop(why)
	}
}

// forget stops what still runs of an attempt and drops its spool.
func (n *Node) forget(ctx context.Context, ref wire.Ref) error {
	n.end(ref, &stopped{reason: "The task is over."})
	return errors.Join(n.discard(ctx, ref), n.spools.drop(ref))
}

// beat is how the node is.
func (n *Node) beat() wire.Beat {
	n.mu.Lock()
	running := make([]wire.Ref, 0, len(n.running))
	for _, task := range slices.Sorted(maps.Keys(n.running)) {
		running = append(running, n.running[task].start.Ref)
	}
	n.mu.Unlock()
	dirs := []string{n.options.Dir}
	if e := n.workspaces.engine; e != nil && e.store.root != "" {
		dirs = append(dirs, e.store.root)
	}
	b := vitals(dirs...)
	b.Running, b.DiskKept = running, uint64(max(0, n.disk.keep))
	return b
}

// pace is how fast the link does what it does.
type pace struct {
	answer      time.Duration // a dial, a write, a welcome, a pong must come within
	ping        time.Duration // between pings: with answer, a dead peer is noticed within 16 s
	first, last time.Duration // bounds of the pause before the next dial
	steady      time.Duration // a link that held this long was a good one: the next pause is the first
	batch       int           // bytes of events in a frame, at most
}

func usualPace() pace {
	return pace{
		answer: 8 * time.Second, ping: 8 * time.Second,
		first: 100 * time.Millisecond, last: 5 * time.Second, steady: 5 * time.Second,
		batch: 512 << 10,
	}
}
