package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"

	"sam/agent/devcontainer"
)

// builtImage is an image that is on the node.
type builtImage struct {
	id      string
	user    string   // its own, as USER has it
	env     []string // its own
	label   string   // devcontainer.metadata
	labels  []string // names of all
	onBuild []string
	ports   []string // that it says it listens on, as numbers
	trash   bool     // it goes with the attempt
}

// image gets the image of a configuration: an image that is named, or one that is built; with features, one that is built
// on either.
func (e *environs) image(ctx context.Context, tree *os.Root, config devcontainer.Config, features []devcontainer.LoadedFeature) (builtImage, error) {
	var plan *devcontainer.Plan
	var key string
	if config.Build != nil {
		planned, err := config.Build.Plan(tree)
		if err != nil {
			return builtImage{}, err
		}
		if key, err = e.prepare(ctx, &planned); err != nil {
			return builtImage{}, err
		}
		plan = &planned
	} else {
		base, err := e.present(ctx, config.Image)
		if err != nil || len(features) == 0 {
			return base, err
		}
		if err := devcontainer.CheckTriggers(config.Image, base.onBuild); err != nil { // features are built on it
			return builtImage{}, err
		}
		key = base.id
	}
	// What is installed depends on who it is for by name alone: the rest is the base's, which the key has.
	layer, err := devcontainer.Layer("base", features, devcontainer.Users{Remote: config.User()}).Key(ctx)
	if err != nil {
		return builtImage{}, err
	}
	tag := e.engine.environmentTag(e.start, key+layer)
	unlock, err := e.locks.lock(ctx, tag)
	if err != nil {
		return builtImage{}, err
	}
	defer unlock()
	if found, err := e.engine.reuse(ctx, tag); err == nil {
		found.trash = e.start.Untrusted
		return found, nil
	} else if !errdefs.IsNotFound(err) {
		return builtImage{}, err
	}
	built, err := e.build(ctx, plan, config, features, tag)
	if err != nil {
		return built, err
	}
	built.trash = e.start.Untrusted
	e.engine.prune(ctx, e.start, e.builds)
	return built, nil
}

// prepare has the images that a plan needs on the node, and returns the plan's key with theirs.
func (e *environs) prepare(ctx context.Context, plan *devcontainer.Plan) (string, error) {
	var ids []string
	for _, name := range plan.Dockerfile.Images {
		base, err := e.present(ctx, name)
		if err != nil {
			return "", err
		}
		ids = append(ids, base.id)
		if len(base.onBuild) > 0 {
			plan.Whole = true
			if err := devcontainer.CheckTriggers(name, base.onBuild); err != nil {
				return "", err
			}
		}
	}
	key, err := plan.Key(ctx)
	return key + strings.Join(ids, ""), err
}

// present has an image on the node that a repository names.
func (e *environs) present(ctx context.Context, name string) (builtImage, error) {
	found, err := e.engine.use(ctx, name)
	if !errdefs.IsNotFound(err) {
		return found, err
	}
	if name == DefaultImage {
		return found, e.engine.pull(ctx)
	}
	var registries []string
	if e.start.Network != nil {
		registries = e.start.Network.Images
	}
	if host := devcontainer.Registry(name); !slices.Contains(registries, host) {
		return found, &devcontainer.UnusableError{Code: devcontainer.Refused, Property: "image", Text: fmt.Sprintf(
			"The image %s is not on the node, and images are not fetched from %s. Name an image of a registry that they are fetched from (%s), or have whoever runs the server add this one to network.images or put the image on the node.",
			name, host, cmp.Or(strings.Join(registries, ", "), "this server has none"))}
	}
	before, err := e.engine.references(ctx)
	if err != nil {
		return found, err
	}
	e.log.begin("fetching " + name)
	progress, err := e.engine.client.ImagePull(ctx, name, image.PullOptions{})
	if err == nil {
		_, err = e.follow(progress)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return found, fmt.Errorf("fetch the image %s: %w", name, err)
	}
	if found, err = e.engine.inspect(ctx, name); err == nil {
		e.engine.keepTrack(ctx, found.id, before)
	}
	return found, err
}

// inspect looks an image up by its name or ID.
func (e *engine) inspect(ctx context.Context, name string) (builtImage, error) {
	one, err := e.client.ImageInspect(ctx, name)
	if err != nil {
		return builtImage{}, fmt.Errorf("look for the image %s: %w", name, err)
	}
	found := builtImage{id: one.ID}
	if c := one.Config; c != nil {
		found.user, found.env, found.label, found.onBuild = c.User, c.Env, c.Labels[devcontainer.Label], c.OnBuild
		for name := range c.Labels {
			found.labels = append(found.labels, name)
		}
		for port := range c.ExposedPorts {
			number, _, _ := strings.Cut(port, "/")
			found.ports = append(found.ports, number)
		}
	}
	return found, nil
}

// digest is of a fixed length, and of a form that a tag may have.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
