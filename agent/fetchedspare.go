package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/rs/zerolog"
)

// spareFetched removes images that the node has fetched while tight says so, the one that was used longest ago first. Those that
// were used since a time are left, as spareImages leaves them.
func (w *workspaces) spareFetched(ctx context.Context, since time.Time, tight func() bool) {
	if w.engine == nil || !tight() {
		return
	}
	all, err := w.engine.fetchedByUse()
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the disk of the container engine is nearly full, and what was fetched cannot be looked at")
		return
	}
	for _, one := range all {
		if ctx.Err() != nil || !tight() || !one.used.Before(since) {
			return
		}
		switch gone, err := w.engine.spareFetched(ctx, one.ID, since); {
		case err != nil:
			zerolog.Ctx(ctx).Warn().Err(err).Str("image", one.ID).Msg("the disk is nearly full, and an image that was fetched is not removed")
		case gone:
			zerolog.Ctx(ctx).Info().Strs("names", one.Names).Time("used", one.used).Msg("the disk is nearly full: an image that was fetched and that nobody uses is removed")
		}
	}
}

// spareFetched removes one of them, unless somebody has a use for it.
func (e *engine) spareFetched(ctx context.Context, id string, since time.Time) (gone bool, err error) {
	e.fetched.mu.Lock()
	defer e.fetched.mu.Unlock()
	one, err := e.readFetched(e.fetchedPath(id))
	if err != nil || !one.used.Before(since) {
		return false, err
	}
	there, err := e.inspectNames(ctx, id)
	if errdefs.IsNotFound(err) {
		return false, e.forgetFetched(id)
	}
	if err != nil {
		return false, err
	}
	if needed, err := e.needed(ctx, one, there); err != nil || needed {
		return false, err
	}
	// Its names first, tags before digests: with the last one the image goes, and with the last tag the digests.
	for _, name := range append(there, id) {
		e.discard(ctx, name)
	}
	if _, err := e.inspectNames(ctx, id); !errdefs.IsNotFound(err) {
		return false, err // somebody has come to use it meanwhile
	}
	return true, e.forgetFetched(id)
}

// needed reports whether somebody has a use for an image that was fetched: the node's own workspaces, another image that is made
// from it, a container of whoever, whether it runs or not, or who gave it another name.
func (e *engine) needed(ctx context.Context, one fetchedImage, names []string) (bool, error) {
	for _, name := range names {
		if !slices.Contains(one.Names, name) {
			return true, nil
		}
	}
	for _, name := range []string{e.image, DefaultImage} {
		own, err := e.inspect(ctx, name)
		if err != nil && !errdefs.IsNotFound(err) {
			return false, err
		}
		if err == nil && own.id == one.ID {
			return true, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	images, err := e.client.ImageList(ctx, image.ListOptions{All: true})
	if err != nil {
		return false, fmt.Errorf("list the images on the node: %w", err)
	}
	if slices.ContainsFunc(images, func(other image.Summary) bool { return other.ParentID == one.ID }) {
		return true, nil
	}
	containers, err := e.client.ContainerList(ctx, container.ListOptions{All: true})
	if err != nil {
		return false, fmt.Errorf("list the containers on the node: %w", err)
	}
	return slices.ContainsFunc(containers, func(c container.Summary) bool { return c.ImageID == one.ID }), nil
}

// inspectNames are an image's references, tags first.
func (e *engine) inspectNames(ctx context.Context, id string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	one, err := e.client.ImageInspect(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look for an image that was fetched: %w", err)
	}
	return named(one.RepoTags, one.RepoDigests), nil
}

// sweepFetched forgets what is not on the node any more: should somebody else get the image again, it is his.
func (e *engine) sweepFetched(ctx context.Context) error {
	e.fetched.mu.Lock()
	defer e.fetched.mu.Unlock()
	noted, err := e.fetchedByUse()
	if err != nil || len(noted) == 0 {
		return err
	}
	there, err := e.references(ctx)
	if err != nil {
		return err
	}
	for _, one := range noted {
		if _, ok := there[one.ID]; !ok {
			err = errors.Join(err, e.forgetFetched(one.ID))
		}
	}
	return err
}

func (e *engine) forgetFetched(id string) error {
	if err := os.Remove(e.fetchedPath(id)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget an image that was fetched: %w", err)
	}
	return nil
}
