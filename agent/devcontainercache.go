package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/rs/zerolog"

	"sam/agent/devcontainer"
	"sam/agent/wire"
)

// How many built images are kept: the newest of each repository, and of the whole node.
const (
	keptOfRepository = 3
	keptOfNode       = 24
)

// untrustedSuffix is of the names of images that are made from heads that nobody vouches for. Nothing else is ever made
// from them.
const untrustedSuffix = "-untrusted"

// environmentTag is the name of a built image. The engine is asked for built images by their names alone, which only who
// speaks to the engine can give: a label could be put on an image by its Dockerfile.
func (e *engine) environmentTag(s wire.Start, key string) string {
	tag := e.repositoryTag(s) + digest(key)
	if s.Untrusted {
		tag += untrustedSuffix
	}
	return tag
}

func (e *engine) nodeTag() string { return devcontainer.CacheName + ":" + shortName(e.folder) + "-" }

func (e *engine) repositoryTag(s wire.Start) string {
	return e.nodeTag() + strconv.FormatInt(s.Repository, 10) + "-"
}

// environmentLabels are what an image is labelled with. Each costs a build a step, so there is the one that is needed.
func (e *engine) environmentLabels() map[string]string {
	if e.owner == "" {
		return nil
	}
	return map[string]string{labelOwner: e.owner}
}

// namedImage is an image by one of its names.
type namedImage struct {
	name, owner string
	created     int64
}

// environments lists the built images whose names begin so, newest first.
func (e *engine) environments(ctx context.Context, prefix string) ([]namedImage, error) {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	all, err := e.client.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", devcontainer.CacheName))})
	if err != nil {
		return nil, fmt.Errorf("list built images: %w", err)
	}
	var found []namedImage
	for _, one := range all {
		for _, name := range one.RepoTags {
			if strings.HasPrefix(name, prefix) {
				found = append(found, namedImage{name, one.Labels[labelOwner], one.Created})
			}
		}
	}
	slices.SortFunc(found, func(a, b namedImage) int {
		return cmp.Or(cmp.Compare(b.created, a.created), cmp.Compare(a.name, b.name))
	})
	return found, nil
}

// cacheOf are the images whose layers a build may use again: those of its own repository. It is never empty, for an
// engine that is given none uses every layer that it has.
func (e *engine) cacheOf(ctx context.Context, s wire.Start) []string {
	names := []string{devcontainer.CacheName + ":none"}
	all, err := e.environments(ctx, e.repositoryTag(s))
	if err != nil {
		return names // a build without a cache is a slow one
	}
	for _, one := range all {
		if strings.HasSuffix(one.name, untrustedSuffix) {
			continue
		}
		if _, err := e.reuse(ctx, one.name); err == nil { // else it has gone meanwhile
			names = append(names, one.name)
		}
	}
	return names
}

// buildsOf is how many images a configuration has built: those of services count.
func buildsOf(config devcontainer.Config) int {
	built := 1
	for _, one := range config.Services {
		if one.Build != nil {
			built++
		}
	}
	return built
}

// prune removes all but the newest images of a repository, and of the node. of is how many an environment of the repository has.
func (e *engine) prune(ctx context.Context, s wire.Start, of int) {
	e.built.forget()
	for prefix, keep := range map[string]int{e.repositoryTag(s): keptOfRepository * max(of, 1), e.nodeTag(): keptOfNode} {
		all, err := e.environments(ctx, prefix)
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("old images of environments are not removed")
			return
		}
		for _, one := range all[min(keep, len(all)):] {
			e.discard(ctx, one.name)
		}
	}
}

// sweepImages removes built images that nothing will use: those of untrusted heads, and those of transient nodes that are
// gone. One whose container runs stays, until the container's attempt is over.
func (e *engine) sweepImages(ctx context.Context) error {
	all, err := e.environments(ctx, devcontainer.CacheName+":")
	for _, one := range all {
		owner, transient := parseOwner(one.owner)
		own := strings.HasPrefix(one.name, e.nodeTag())
		if own && (strings.HasSuffix(one.name, untrustedSuffix) || strings.HasSuffix(one.name, baseSuffix)) || transient && owner.gone() {
			e.discard(ctx, one.name)
		}
	}
	return err
}

// tidy removes what a build has left that nothing is made from: the steps of one that failed, and its other stages. What a
// build says could be said by a program in it, so only what has no name and is not older than the build is removed; what an
// image is made from the engine keeps.
func (e *engine) tidy(ctx context.Context, layers []string, began time.Time) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, id := range slices.Backward(layers) {
		one, err := e.client.ImageInspect(ctx, id)
		if err != nil || len(one.RepoTags)+len(one.RepoDigests) > 0 {
			continue
		}
		if created, err := time.Parse(time.RFC3339Nano, one.Created); err == nil && !created.Before(began.Add(-time.Second)) {
			e.discard(ctx, one.ID)
		}
	}
}

// discard removes an image by its name, with the layers that only it has, and reports whether it is gone. What cannot be
// removed is so the next time.
func (e *engine) discard(ctx context.Context, name string) (gone bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*engineAnswers)
	defer cancel()
	defer e.built.forget()
	_, err := e.client.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Str("image", name).Msg("an image is not removed yet")
	}
	return err == nil
}
