package agent

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"sam/agent/shim"
)

// box is what a container is made for, with the folders that are mounted.
type box struct {
	thread, task string
	epoch        int64
	tree, home   string
	objects      string // of the mirror, which the tree borrows; seen at the same path
	run          runFolder
	environment  *environment // nil: the node's default one
	as           *boxOwner    // nil: the environment's user
}

// owner is the container's user, to whom what it may write belongs.
func (b box) owner() boxOwner {
	switch {
	case b.as != nil:
		return *b.as
	case b.environment != nil:
		return b.environment.owner
	}
	return boxOwner{uid: boxUser(), gid: boxUser()}
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

// allowed is the list of what a container is given. Of a repository come its image, its user, its environment and where the
// tree is mounted, as devcontainer.go has checked them, and nothing else.
func (e *engine) allowed(b box) (*container.Config, *container.HostConfig) {
	bind := func(from, to string, readOnly bool) mount.Mount {
		return mount.Mount{
			Type: mount.TypeBind, Source: from, Target: to, ReadOnly: readOnly,
			BindOptions: &mount.BindOptions{Propagation: mount.PropagationRPrivate},
		}
	}
	files := openFiles()
	no := false
	owner, folder, memory := b.owner(), boxTree, e.workspaceMemory(b.environment)
	config := &container.Config{
		Image: e.image, Hostname: "workspace", User: strconv.Itoa(owner.uid) + ":" + strconv.Itoa(owner.gid), WorkingDir: "/",
		Entrypoint:  []string{boxSam, "shim"},
		Cmd:         []string{},
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		Labels: map[string]string{
			labelNode: e.node, labelFolder: e.folder, labelThread: b.thread,
			labelTask: b.task, labelEpoch: strconv.FormatInt(b.epoch, 10), labelEnvironment: "",
		},
	}
	if e.owner != "" {
		config.Labels[labelOwner] = e.owner
	}
	if m := b.environment; m != nil {
		config.Image, config.Env, folder = m.image, m.fixed, m.folder
		config.Labels[labelEnvironment] = m.remembered()
		for _, name := range m.labels { // an image's own are no word of SAM's
			if _, ours := config.Labels[name]; !ours && strings.HasPrefix(name, labelPrefix) {
				config.Labels[name] = ""
			}
		}
	}
	host := &container.HostConfig{
		NetworkMode: "none", IpcMode: "private", ExtraHosts: b.environment.hostsOf(),
		CapDrop: []string{"ALL"},
		Init:    &no,
		Resources: container.Resources{
			Memory: memory, MemorySwap: memory, NanoCPUs: int64(e.cpus * 1e9), PidsLimit: &e.processes,
			Ulimits: []*container.Ulimit{{Name: "nofile", Soft: files, Hard: files}, {Name: "core", Soft: 0, Hard: 0}},
		},
		Tmpfs:     map[string]string{"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=" + strconv.Itoa(tmpSize)},
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "64k", "max-file": "1"}},
		Mounts: []mount.Mount{
			bind(b.run.shim(), shim.Folder, false),
			bind(b.run.node(), shim.NodeFolder, true),
			bind(e.sam, boxSam, true),
			bind(e.agents, boxAgents, true),
		},
	}
	if e.layer > 0 {
		host.StorageOpt = map[string]string{"size": strconv.FormatInt(e.layer, 10)}
	}
	if e.sudo || b.environment != nil && owner.uid == 0 {
		host.CapAdd = sudoCapabilities()
	}
	if !e.sudo {
		host.SecurityOpt = []string{"no-new-privileges"}
	}
	if b.tree != "" {
		host.Mounts = append(host.Mounts, bind(b.tree, folder, false), bind(b.home, boxHome, false))
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

// sudoCapabilities are what sudo and a package manager need to become the container's root and to install what was asked
// for. None of them reaches beyond the container: it has no network, no device and no namespace of the host's.
func sudoCapabilities() []string {
	return []string{"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID"}
}
