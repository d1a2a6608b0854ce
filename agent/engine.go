package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/client"

	"sam/agent/shim"
)

// DefaultImage is the image of workspaces unless another is named. scripts/image builds it; no registry has it.
const DefaultImage = "sam-workspace:latest"

// Limits of a container, and what they are unless an option says otherwise.
const (
	defaultMemory = 4 << 30 // bytes; swap is none beyond it
	defaultCPUs   = 2
	maxProcesses  = 512
	maxFiles      = 65536
	tmpSize       = 1 << 30 // bytes of /tmp, which count as memory
)

// What a container is labelled with. A node removes only what bears its name and its folder.
const (
	labelNode   = "sam.node"
	labelFolder = "sam.folder"
	labelThread = "sam.thread"
	labelTask   = "sam.task"
	labelEpoch  = "sam.epoch"
)

// engineAnswers bounds how long the engine may take to answer a simple question.
const engineAnswers = 10 * time.Second

// engine makes containers through the Docker API.
type engine struct {
	client *client.Client
	image  string
	memory int64
	cpus   float64
	sudo   bool
	node   string // name of the node, and its folder
	folder string
	sam    string // path of the sam binary on the node
	agents string
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

// box is what a container is made for, with the folders that are mounted.
type box struct {
	thread, task string
	epoch        int64
	tree, home   string
	objects      string // of the mirror, which the tree borrows; seen at the same path
	run          runFolder
}

// Where a container has what is mounted.
const (
	boxTree   = "/workspace"
	boxHome   = "/home/sam"
	boxSam    = "/opt/sam/sam"
	boxAgents = "/opt/sam/agents"
)

// boxUser is the user of a container and the owner of its files: the image's own user where the node may give files
// away, and the node's user where it may not.
func boxUser() int {
	if uid := os.Getuid(); uid != 0 {
		return uid
	}
	return 1000
}

// name is that of a thread's container: it has one at a time.
func (e *engine) name(thread string) string { return "sam-" + shortName(e.folder) + "-" + thread }

// create makes and starts a container. Everything about it is said here; an image adds its environment and nothing else.
func (e *engine) create(ctx context.Context, b box) (id string, err error) {
	config, host := e.allowed(b)
	name := e.name(b.thread)
	for again := true; ; again = false {
		made, err := e.client.ContainerCreate(ctx, config, host, nil, nil, name)
		switch {
		case err == nil:
			id = made.ID
		case again && errdefs.IsConflict(err): // of an attempt of the thread that is over, for the caller has its lock
			if err := e.remove(ctx, name); err != nil {
				return "", err
			}
			continue
		case again && errdefs.IsNotFound(err):
			if err := e.pull(ctx); err != nil {
				return "", err
			}
			continue
		default:
			return "", fmt.Errorf("create the workspace's container: %w", err)
		}
		break
	}
	if err := e.client.ContainerStart(ctx, id, container.StartOptions{}); err != nil {
		_ = e.remove(context.WithoutCancel(ctx), id)
		return "", fmt.Errorf("start the workspace's container: %w", err)
	}
	return id, nil
}

// allowed is the list of what a container is given. Nothing in it comes from a repository.
func (e *engine) allowed(b box) (*container.Config, *container.HostConfig) {
	bind := func(from, to string, readOnly bool) mount.Mount {
		return mount.Mount{
			Type: mount.TypeBind, Source: from, Target: to, ReadOnly: readOnly,
			BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate},
		}
	}
	processes, files := int64(maxProcesses), openFiles()
	no := false
	user := strconv.Itoa(boxUser())
	config := &container.Config{
		Image: e.image, Hostname: "workspace", User: user + ":" + user, WorkingDir: "/",
		Entrypoint:  []string{boxSam, "shim"},
		Cmd:         []string{},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels: map[string]string{
			labelNode: e.node, labelFolder: e.folder, labelThread: b.thread,
			labelTask: b.task, labelEpoch: strconv.FormatInt(b.epoch, 10),
		},
	}
	host := &container.HostConfig{
		NetworkMode: "none", IpcMode: "private",
		CapDrop: []string{"ALL"},
		Init:    &no,
		Resources: container.Resources{
			Memory: e.memory, MemorySwap: e.memory, NanoCPUs: int64(e.cpus * 1e9), PidsLimit: &processes,
			Ulimits: []*container.Ulimit{{Name: "nofile", Soft: files, Hard: files}, {Name: "core", Soft: 0, Hard: 0}},
		},
		Tmpfs:     map[string]string{"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=" + strconv.Itoa(tmpSize)},
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "64k", "max-file": "1"}},
		Mounts: []mount.Mount{
			bind(b.tree, boxTree, false),
			bind(b.home, boxHome, false),
			bind(b.run.shim(), shim.Folder, false),
			bind(b.run.node(), shim.NodeFolder, true),
			bind(e.sam, boxSam, true),
			bind(e.agents, boxAgents, true),
		},
	}
	if e.sudo {
		host.CapAdd = sudoCapabilities()
	} else {
		host.SecurityOpt = []string{"no-new-privileges"}
	}
	if b.objects != "" {
		host.Mounts = append(host.Mounts, bind(b.objects, b.objects, true))
	}
	return config, host
}

// openFiles is how many files a program may have open: no engine can give more than it has, and it mostly has what the node
// has.
func openFiles() int64 {
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil || own.Max > maxFiles {
		return maxFiles
	}
	return int64(own.Max)
}

// pull fetches the image, unless it is the one that no registry has: a stranger could put one there of that name.
func (e *engine) pull(ctx context.Context) error {
	if e.image == DefaultImage {
		return gaveUpError("The node's container engine has no image " + e.image + ". Build it on the node with scripts/image, or name another image in the node's configuration; see docs/workspaces.md.")
	}
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
		found = append(found, left{id: c.ID, thread: c.Labels[labelThread], task: c.Labels[labelTask], epoch: epoch, running: c.State == "running"})
	}
	return found, nil
}

// gone says what became of a container whose shim does not answer, in words for the person.
func (e *engine) gone(ctx context.Context, id string, silence error) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineAnswers)
	defer cancel()
	c, err := e.client.ContainerInspect(limited, id)
	switch {
	case errdefs.IsNotFound(err):
		return errors.New("the workspace's container was removed from outside of SAM while the agent worked")
	case err != nil:
		return fmt.Errorf("the container engine went away while the agent worked, and the workspace with it: %w", err)
	case c.State == nil || c.State.Running:
		return fmt.Errorf("the workspace's container does not answer: %w", silence)
	case c.State.OOMKilled:
		return errors.New("the workspace's container ended: it had no memory left")
	}
	words := ""
	if said := e.lastWords(limited, id); said != "" {
		words = ". Its last words: " + said
	}
	return fmt.Errorf("the workspace's container ended with exit code %d while the agent worked%s", c.State.ExitCode, words)
}

// lastWords is the end of what the shim wrote; nothing else writes there.
func (e *engine) lastWords(ctx context.Context, id string) string {
	logs, err := e.client.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "5"})
	if err != nil {
		return ""
	}
	defer logs.Close()
	raw, err := io.ReadAll(io.LimitReader(logs, 8<<10))
	if err != nil {
		return ""
	}
	printable := func(r rune) rune { // the engine's frames begin with eight bytes that are not text
		if r < ' ' && r != '\n' || r == '\ufffd' {
			return -1
		}
		return r
	}
	return strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(string(raw), "")))
}

// sudoCapabilities are what sudo and a package manager need to become the container's root and to install what was asked
// for. None of them reaches beyond the container: it has no network, no device and no namespace of the host's.
func sudoCapabilities() []string {
	return []string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"}
}
