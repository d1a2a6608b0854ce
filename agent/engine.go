package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"github.com/rs/zerolog"
)

// DefaultImage is the image of workspaces unless another is named. scripts/image builds it; no registry has it.
const DefaultImage = "sam-workspace:latest"

// Limits of a container; the first three are what they are unless an option says otherwise.
const (
	defaultMemory    = 4 << 30 // bytes; swap is none beyond it
	defaultCPUs      = 2
	defaultProcesses = 512
	maxFiles         = 65536
	tmpSize          = 1 << 30 // bytes of /tmp, which count as memory
)

// What a container is labelled with. A node removes only what bears its name and its folder, and what bears an owner that
// is gone.
const (
	labelPrefix = "sam."
	labelNode   = "sam.node"
	labelFolder = "sam.folder"
	labelThread = "sam.thread"
	labelTask   = "sam.task"
	labelEpoch  = "sam.epoch"
	labelOwner  = "sam.owner" // of a transient node's alone: the process that it goes with
	// labelEnvironment is what another process of the node needs to go on in a container that a repository has furnished.
	labelEnvironment = "sam.environment"
)

// engineAnswers bounds how long the engine may take to answer a simple question.
const engineAnswers = 10 * time.Second

// engine makes containers through the Docker API.
type engine struct {
	client    *client.Client
	image     string
	memory    int64 // bytes; until settle: not positive for the default, as is
	cpus      float64
	processes int64
	sudo      bool
	node      string // name of the node, and its folder
	folder    string
	owner     string // empty: containers wait for the next process of the node
	sam       string // path of the sam binary on the node
	loading   bool   // sam is not static, so no container is made
	agents    string
	limit     time.Duration // of making an environment; not positive for environmentLimit
	accounts  accounts
	groups    cgroups
	store     store
	layer     int64     // bytes that a container may write to its own file system; 0: it is watched
	disk      *disk     // nil: nobody's care; set when the node runs
	built     builtOnes // environments, by their repositories
	fetched   fetchedOnes
	beside    beside // services, by their threads
}

// openEngine finds the engine at an address, or where the environment says, and asks whether it answers.
func openEngine(ctx context.Context, address string) (*client.Client, error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if address != "" {
		options = append(options, client.WithHost(address))
	}
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("find the container engine: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	if _, err := c.Ping(ctx); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("ask the container engine: %w", err)
	}
	return c, nil
}

// settle asks what the machine has, and removes images that nothing will use.
func (e *engine) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	info, err := e.client.Info(ctx)
	if err != nil {
		return fmt.Errorf("ask the container engine what it has: %w", err)
	}
	e.groups, e.store = cgroupsOf(info), storeOf(info)
	if err := e.share(info); err != nil {
		return err
	}
	e.checkShim(zerolog.Ctx(ctx))
	return errors.Join(e.sweepImages(ctx), e.sweepFetched(ctx))
}

// share settles what of the machine one container may have. More than there is, is refused: the engine itself refuses the
// processors when a task comes, and of the memory it would say nothing, so that nothing limits it.
func (e *engine) share(info system.Info) error {
	if e.cpus <= 0 {
		e.cpus = min(defaultCPUs, float64(info.NCPU))
	}
	if e.cpus > float64(info.NCPU) {
		return fmt.Errorf("a container is to have %g processors and the machine has %d: lower cpus in the node's configuration", e.cpus, info.NCPU)
	}
	there := info.MemTotal // 0 where the engine does not say
	if e.memory <= 0 {
		if e.memory = defaultMemory; there > 0 {
			e.memory = min(e.memory, there)
		}
	}
	if there > 0 && e.memory > there {
		return fmt.Errorf("a container is to have %d MiB of memory and the machine has %d MiB, as its container engine says: lower memory in the node's configuration, or leave it out", e.memory>>20, there>>20)
	}
	return nil
}

// name is that of a thread's container: it has one at a time.
func (e *engine) name(thread string) string { return "sam-" + shortName(e.folder) + "-" + thread }

// create makes and starts a container, as allowed says and with an image's environment.
func (e *engine) create(ctx context.Context, b box) (id string, err error) {
	if e.loading {
		return "", errNotStatic
	}
	config, host := e.allowed(b)
	name := e.name(b.thread)
	attempt := func() error {
		made, err := e.client.ContainerCreate(ctx, config, host, nil, nil, name)
		id = made.ID
		return err
	}
	err = attempt()
	if errdefs.IsConflict(err) { // with one of an attempt of the thread that is over, for the caller has its lock
		if err := e.remove(ctx, name); err != nil {
			return "", err
		}
		err = attempt()
	}
	if errdefs.IsNotFound(err) && b.environment == nil {
		if err := e.pull(ctx); err != nil {
			return "", err
		}
		err = attempt()
	}
	if err != nil {
		return "", fmt.Errorf("create the workspace's container: %w", err)
	}
	if err := e.client.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		_ = e.remove(context.WithoutCancel(ctx), id)
		return "", fmt.Errorf("start the workspace's container: %w", err)
	}
	return id, nil
}

// pull fetches the image, unless it is the one that no registry has: a stranger could put one there of that name.
func (e *engine) pull(ctx context.Context) error {
	if e.image == DefaultImage {
		return gaveUpError("The node's container engine has no image " + e.image + ". Build it on the node with scripts/image, or name another image in the node's configuration; see docs/workspaces.md.")
	}
	ctx, done := e.filling(ctx)
	defer done()
	progress, err := e.client.ImagePull(ctx, e.image, image.PullOptions{})
	if err == nil {
		_, err = io.Copy(io.Discard, progress)
		err = errors.Join(err, progress.Close())
	}
	if err == nil {
		_, err = e.client.ImageInspect(ctx, e.image)
	}
	if err != nil && ctx.Err() == nil {
		return gaveUpError(fmt.Sprintf("The node's container engine has no image %s and could not pull it: %s Build or pull it on the node, or name another one in the node's configuration; see docs/workspaces.md.",
			e.image, sentence(err)))
	}
	if err != nil {
		err = context.Cause(ctx)
	}
	return err
}

// remove ends a container and takes its own disk with it. One that is not there is as good.
func (e *engine) remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*engineAnswers)
	defer cancel()
	err := e.client.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove the workspace's container: %w", err)
	}
	return nil
}

// left is a container of this node's that exists.
type left struct {
	id, thread, task string
	service          string // of a compose file, that runs beside a workspace; empty: it is the workspace
	epoch            int64
	running          bool
}

// list finds the containers of this node.
func (e *engine) list(ctx context.Context) ([]left, error) {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	all, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(
		filters.Arg("label", labelNode+"="+e.node), filters.Arg("label", labelFolder+"="+e.folder))})
	if err != nil {
		return nil, fmt.Errorf("list the node's containers: %w", err)
	}
	found := make([]left, 0, len(all))
	for _, c := range all {
		epoch, _ := strconv.ParseInt(c.Labels[labelEpoch], 10, 64) // 0, which no attempt has, if another wrote it
		found = append(found, left{id: c.ID, thread: c.Labels[labelThread], task: c.Labels[labelTask], service: c.Labels[labelService], epoch: epoch, running: c.State == "running"})
	}
	return found, nil
}
