package agent

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"sam/agent/devcontainer"
)

// labelService names a compose file's service, on the containers of those that run beside a workspace.
const labelService = "sam.service"

// service is one that runs beside a workspace, with its image.
type service struct {
	devcontainer.Service
	image builtImage
}

// serviceName is that of a service's container.
func (e *engine) serviceName(thread, service string) string { return e.name(thread) + "." + service }

// workspaceMemory is what a workspace may take of a task's memory: all of it, or half where there are services. What is used
// cannot be taken back, so what all may take together is never more than the task's.
func (e *engine) workspaceMemory(m *environment) int64 {
	if m == nil || len(m.services) == 0 {
		return e.memory
	}
	return e.memory / 2
}

// serviceMounts are what every service is given of its own.
func serviceMounts(s service) (volumes map[string]struct{}, tmpfs map[string]string) {
	volumes, tmpfs = map[string]struct{}{}, map[string]string{}
	for _, path := range s.Volumes {
		volumes[path] = struct{}{}
	}
	for _, path := range s.Tmpfs {
		delete(volumes, path)
		tmpfs[path] = "rw,nosuid,nodev,mode=1777,size=" + strconv.Itoa(tmpSize)
	}
	return volumes, tmpfs
}

// allowedBeside is the list of what a service's container is given, which is no more than its workspace has: nothing of the
// node's is mounted, nor the shim's or the node's sockets, and it has the workspace's network, a loopback. of is how many
// services share the task's other half of memory, and as many processors and processes as half of the workspace's and as many.
func (e *engine) allowedBeside(b box, workspace string, s service, of int) (*container.Config, *container.HostConfig) {
	share, no := int64(of), false
	files, processes := openFiles(), max(e.processes/share, 16)
	config := &container.Config{
		Image: s.image.id, User: s.User, WorkingDir: s.Folder, Entrypoint: s.Entrypoint, Cmd: s.Command,
		Labels: map[string]string{
			labelNode: e.node, labelFolder: e.folder, labelThread: b.thread,
			labelTask: b.task, labelEpoch: strconv.FormatInt(b.epoch, 10), labelEnvironment: "", labelService: s.Name,
		},
	}
	if e.owner != "" {
		config.Labels[labelOwner] = e.owner
	}
	for _, name := range s.image.labels { // an image's own are no word of SAM's
		if _, ours := config.Labels[name]; !ours && strings.HasPrefix(name, labelPrefix) {
			config.Labels[name] = ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		config.Env = append(config.Env, name+"="+s.Env[name])
	}
	if h := s.Health; h != nil {
		config.Healthcheck = &container.HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries}
	}
	host := &container.HostConfig{
		NetworkMode: container.NetworkMode("container:" + workspace), IpcMode: "private",
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges"},
		Init: &no,
		Resources: container.Resources{
			Memory: e.memory / 2 / share, MemorySwap: e.memory / 2 / share, NanoCPUs: max(int64(e.cpus*1e9)/2/share, 1e7), PidsLimit: &processes,
			Ulimits: []*container.Ulimit{{Name: "nofile", Soft: files, Hard: files}, {Name: "core", Soft: 0, Hard: 0}},
		},
		LogConfig: container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "64k", "max-file": "1"}},
	}
	config.Volumes, host.Tmpfs = serviceMounts(s)
	if e.layer > 0 {
		host.StorageOpt = map[string]string{"size": strconv.FormatInt(e.layer, 10)}
	}
	if rootly(cmp.Or(s.User, s.image.user)) {
		host.CapAdd = sudoCapabilities() // what a workspace has whose user is root by name
	}
	return config, host
}

// rootly reports whether a container's user, as a compose file or an image says it, is root.
func rootly(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "" || name == "root" || name == "0"
}

// createBeside makes and starts a service's container.
func (e *engine) createBeside(ctx context.Context, b box, workspace string, s service, of int) (id string, err error) {
	config, host := e.allowedBeside(b, workspace, s, of)
	name := e.serviceName(b.thread, s.Name)
	made, err := e.client.ContainerCreate(ctx, config, host, nil, nil, name)
	if errdefs.IsConflict(err) { // with one of an attempt of the thread that is over
		if err := e.remove(ctx, name); err != nil {
			return "", err
		}
		made, err = e.client.ContainerCreate(ctx, config, host, nil, nil, name)
	}
	if err != nil {
		return "", fmt.Errorf("make the service %s: %w", s.Name, err)
	}
	e.beside.add(b.thread, made.ID) // so that it goes with the attempt, whatever comes
	if err := e.client.ContainerStart(ctx, made.ID, container.StartOptions{}); err != nil {
		return made.ID, fmt.Errorf("start the service %s: %w", s.Name, err)
	}
	return made.ID, nil
}

// hostsOf are the names of an environment's services, and of the one that the workspace is, for its /etc/hosts, which the
// services have too.
func (m *environment) hostsOf() []string {
	if m == nil || len(m.services) == 0 {
		return nil
	}
	names := []string{}
	if m.config.Compose != nil {
		names = append(names, m.config.Compose.Service)
	}
	for _, one := range m.services {
		names = append(names, one.Names...)
	}
	var hosts []string
	for _, name := range names {
		if name != "localhost" && !strings.ContainsAny(name, ": \t\n") {
			hosts = append(hosts, name+":127.0.0.1")
		}
	}
	return hosts
}
