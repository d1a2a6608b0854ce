package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	enginebuild "github.com/docker/docker/api/types/build"
	"github.com/docker/docker/api/types/container"

	"sam/agent/devcontainer"
)

// build makes an image: of a plan when there is one, of features on it or on the image that the configuration names, and
// tags what comes of it.
func (e *environs) build(ctx context.Context, plan *devcontainer.Plan, config devcontainer.Config, features []devcontainer.LoadedFeature, tag string) (builtImage, error) {
	network, args, done, err := e.buildNetwork(ctx)
	if err != nil {
		return builtImage{}, err
	}
	defer done()
	base := config.Image
	if plan != nil {
		name := tag
		if len(features) > 0 {
			name = tag + baseSuffix
			defer func() { e.engine.discard(context.WithoutCancel(ctx), name) }()
		}
		e.log.begin("building " + config.Build.Dockerfile)
		if err := e.buildOne(ctx, *plan, name, network, args); err != nil {
			return builtImage{}, fmt.Errorf("build %s: %w", config.Build.Dockerfile, err)
		}
		base = name
	}
	if len(features) == 0 {
		return e.engine.inspect(ctx, tag)
	}
	on, err := e.engine.inspect(ctx, base)
	if err != nil {
		return on, err
	}
	users, err := e.users(ctx, on, config.User())
	if err != nil {
		return on, err
	}
	e.log.begin("installing features")
	if err := e.buildOne(ctx, devcontainer.Layer(base, features, users), tag, network, args); err != nil {
		return on, fmt.Errorf("install the features: %w", err)
	}
	return e.engine.inspect(ctx, tag)
}

// baseSuffix is of an image's name that features are built on. It goes when they are: the layers stay as long as the
// image that has them.
const baseSuffix = "-base"

// users are whom features install for.
func (e *environs) users(ctx context.Context, image builtImage, wanted string) (devcontainer.Users, error) {
	all, err := e.engine.accountsOf(ctx, image.id)
	if err != nil {
		return devcontainer.Users{}, err
	}
	own := or(image.user, "root")
	remote, _ := accountOf(all, or(wanted, own))
	if wanted == "" && remote.uid == 0 { // whom the agent works as then
		remote, _ = accountOf(all, fmt.Sprint(boxUser()))
	}
	within, _ := accountOf(all, own)
	return devcontainer.Users{
		Remote: remote.name, RemoteHome: or(remote.home, boxHome),
		Container: within.name, ContainerHome: or(within.home, "/root"), Image: image.user,
	}, nil
}

// buildOnce is a try at buildOne.
func (e *environs) buildOnce(ctx context.Context, plan devcontainer.Plan, tag, network string, args map[string]string) error {
	given := map[string]*string{}
	for _, from := range []map[string]string{plan.Args, args} { // what leads to the network is not the repository's to say
		for name, value := range from {
			given[name] = &value
		}
	}
	group, ungroup := e.engine.buildGroup(ctx, e.start.Thread)
	defer ungroup()
	began := time.Now()
	read, write := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := plan.Pack(ctx, write)
		_ = write.CloseWithError(err)
		packed <- err
	}()
	reply, err := e.engine.client.ImageBuild(ctx, read, enginebuild.ImageBuildOptions{
		Version: enginebuild.BuilderV1, // the one that takes these limits
		Tags:    []string{tag}, Dockerfile: devcontainer.DockerfileName, Target: plan.Target, BuildArgs: given,
		NetworkMode: network, CgroupParent: group, Remove: true, ForceRemove: true,
		Memory: e.engine.memory, MemorySwap: e.engine.memory, CPUPeriod: 100_000, CPUQuota: int64(e.engine.cpus * 100_000),
		Ulimits: []*container.Ulimit{{Name: "nofile", Soft: openFiles(), Hard: openFiles()}, {Name: "core", Soft: 0, Hard: 0}},
		Labels:  e.engine.environmentLabels(),
		// Layers of this repository alone: another's may be made to look like them.
		CacheFrom: e.engine.cacheOf(ctx, e.start), NoCache: e.start.Untrusted,
	})
	var layers []string
	if err == nil {
		layers, err = e.follow(reply.Body)
	}
	defer e.engine.tidy(context.WithoutCancel(ctx), layers, began)
	_ = read.Close() // ends a packing that nobody reads
	if wrong := <-packed; wrong != nil && !errors.Is(wrong, io.ErrClosedPipe) {
		err = wrong
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// layer is what the classic builder says of each step that it has made.
var layer = regexp.MustCompile(`^ ---> ([0-9a-f]{12,64})\s*$`)

// follow logs what the engine says until it has said all, and returns the images that steps of a build have made, and what
// went wrong.
func (e *environs) follow(from io.ReadCloser) (layers []string, err error) {
	defer from.Close()
	for decoder := json.NewDecoder(from); ; {
		var line struct {
			Stream string `json:"stream"`
			Status string `json:"status"`
			Error  string `json:"error"`
		}
		switch err := decoder.Decode(&line); {
		case errors.Is(err, io.EOF):
			return layers, nil
		case err != nil:
			return layers, fmt.Errorf("hear from the container engine: %w", err)
		case line.Error != "":
			return layers, errors.New(line.Error)
		case line.Stream != "":
			if made := layer.FindStringSubmatch(line.Stream); made != nil {
				layers = append(layers, made[1])
			}
			_, _ = io.WriteString(e.log, line.Stream)
		case line.Status != "":
			_, _ = io.WriteString(e.log, line.Status+"\n")
		}
	}
}

// buildNetwork is what the programs of a build may reach: nothing, or the workspace's own proxy. A build takes no mounts, so
// the proxy's socket is in a container of SAM's, whose network, which is its loopback, the build is given.
func (e *environs) buildNetwork(ctx context.Context) (mode string, args map[string]string, done func(), err error) {
	args = buildProxy(e.start)
	if args == nil {
		return "none", nil, func() {}, nil
	}
	gate, b := e.container(e.start, heads{})
	b.thread += gateSuffix
	b.tree, b.home, b.objects = "", "", ""
	gate.id, gate.thread = e.engine.name(b.thread), b.thread
	gate.run = runFolder(string(gate.run) + gateSuffix)
	b.run = gate.run
	gate.shim = newShimClient(gate.run)
	done = func() { _ = gate.Close(context.WithoutCancel(ctx)) }
	if err := gate.up(ctx, b); err != nil {
		done()
		return "", nil, nil, fmt.Errorf("make the build's way to the network: %w", err)
	}
	if err := e.connect(ctx, gate, e.start); err != nil {
		done()
		return "", nil, nil, err
	}
	return "container:" + gate.id, args, done, nil
}

// gateSuffix is of the names of what belongs to a build's way to the network.
const gateSuffix = ".build"
