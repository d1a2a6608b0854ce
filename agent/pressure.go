package agent

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// What can be made anew goes before a disk runs full: when less than a tenth of it is free, but no more than one workspace may
// take by default, and no less than a quarter above what is to stay free. The server gives a node no task when half as much is
// free; see policy.Healthy.
const (
	roomShare = 10
	mostRoom  = 10 << 30 // bytes
)

// spareEach is how often is looked for something to spare while a disk is tight: most of the time there is nothing more.
const spareEach = time.Minute

// tight reports whether less than the share of that room is left on the disk of workspaces and mirrors; imagesTight of the
// engine's. What cannot be looked at is not tight.
func (d *disk) tight(share float64) bool { return d.lacksRoom(d.space, d.size, share) }

func (d *disk) imagesTight(share float64) bool {
	return d.images != nil && d.lacksRoom(d.images, d.imagesSize, share)
}

func (d *disk) lacksRoom(space func() (int64, float64, error), size int64, share float64) bool {
	free, _, err := space()
	return err == nil && float64(free) < share*float64(max(d.keep+d.keep/4, min(size/roomShare, mostRoom)))
}

// sizeOf is how large the disk of a folder is, in bytes; 0 when that is not known.
func sizeOf(dir string) int64 {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0
	}
	return int64(disk.Blocks) * disk.Bsize //nolint:gosec // no disk is so large
}

// spare removes from a disk that is tight what can be made anew, until there is room: images of environments that nobody
// works in, then mirrors that nobody borrows from, and then images that the node has fetched and nothing is made from any more,
// each time the one that was used longest ago. The last are the dearest to get again: a registry of others' may be slow, and
// counts what is fetched. A task that begins meanwhile makes it anew.
func (n *Node) spare(ctx context.Context) {
	since, images := time.Now().Add(-environmentLimit), func() bool { return n.disk.imagesTight(1.25) }
	n.workspaces.spareImages(ctx, since, images)
	n.mirrors.spare(ctx, n.workspaces.borrowed, func() bool { return n.disk.tight(1.25) })
	n.workspaces.spareFetched(ctx, since, images)
}

// relieve is spare, and lets go of idle workspaces too while short says so.
func (n *Node) relieve(ctx context.Context, short func() bool) {
	n.spare(ctx)
	n.sweep(ctx, short)
}

// spareImages removes images of environments while tight says so, the one that was used longest ago first. Those that were
// used since a time are left: they may be about to be again, and a build may go on from them. The engine itself keeps what a
// container is made from.
func (w *workspaces) spareImages(ctx context.Context, since time.Time, tight func() bool) {
	if w.engine == nil || !tight() {
		return
	}
	names, err := w.engine.byUse(ctx, since)
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the disk of the container engine is nearly full, and what it has cannot be looked at")
		return
	}
	for _, one := range names {
		if ctx.Err() != nil || !tight() {
			return
		}
		w.spareImage(ctx, one, since)
	}
}

func (w *workspaces) spareImage(ctx context.Context, one usedImage, since time.Time) {
	unlock, locked := w.locks.try(one.name) // as who looks for it has it
	if !locked {
		return
	}
	defer unlock()
	if used, err := w.engine.lastUse(ctx, one.name); err != nil || !used.Before(since) {
		return // it was used, or removed, meanwhile
	}
	if w.engine.discard(ctx, one.name) {
		zerolog.Ctx(ctx).Info().Str("image", one.name).Time("used", one.used).Msg("the disk is nearly full: an image that nobody works in is removed")
	}
}

// usedImage is an image by its name, and when it was used last.
type usedImage struct {
	name string
	used time.Time
}

// byUse lists the environments that were not used since a time, the one that was used longest ago first. Images that go with
// an attempt are not among them.
func (e *engine) byUse(ctx context.Context, since time.Time) ([]usedImage, error) {
	all, err := e.environments(ctx, e.nodeTag())
	if err != nil {
		return nil, err
	}
	var found []usedImage
	for _, one := range all {
		if _, ok := e.repositoryOf(one.name); !ok {
			continue
		}
		if used, err := e.lastUse(ctx, one.name); err == nil && used.Before(since) {
			found = append(found, usedImage{one.name, used})
		}
	}
	slices.SortStableFunc(found, func(a, b usedImage) int { return a.used.Compare(b.used) })
	return found, nil
}

// lastUse is when an image was given its name, which reuse does at each use.
func (e *engine) lastUse(ctx context.Context, name string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, engineAnswers)
	defer cancel()
	one, err := e.client.ImageInspect(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	used := one.Metadata.LastTagTime
	if made, err := time.Parse(time.RFC3339Nano, one.Created); err == nil && made.After(used) { // an engine that does not say
		used = made
	}
	return used, nil
}

// reuse looks up an image that is about to be used, by its name, and notes that. With an engine that cannot note it, it goes
// sooner.
func (e *engine) reuse(ctx context.Context, name string) (builtImage, error) {
	_ = e.client.ImageTag(ctx, name, name)
	return e.inspect(ctx, name)
}
