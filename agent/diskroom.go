package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/docker/api/types/system"
	"github.com/rs/zerolog"
)

// settle finds out which limits the file systems enforce, and has them enforced. The rest is watched. The engine has been
// asked what it has.
func (d *disk) settle(ctx context.Context) {
	log := zerolog.Ctx(ctx)
	if d.size == 0 {
		d.size = sizeOf(d.workspaces.dir)
	}
	quota, err := openProjects(d.workspaces.dir, d.limit)
	if err == nil {
		d.workspaces.quota = quota
		log.Info().Int64("bytes", d.limit).Msg("what a workspace takes of the disk is limited by quotas of XFS")
	} else {
		log.Info().Str("why", err.Error()).Int64("bytes", d.limit).Msg("what a workspace takes of the disk is watched, for there are no quotas")
	}
	e := d.workspaces.engine
	if e == nil {
		return
	}
	e.disk = d
	if e.store.root != "" {
		d.imagesSize = sizeOf(e.store.root)
		d.images = func() (int64, float64, error) { return space(e.store.root) }
	}
	if e.store.quota == nil {
		e.layer = d.limit
		log.Info().Int64("bytes", d.limit).Msg("what a container writes to its own file system is limited by quotas of XFS")
	} else {
		log.Info().Str("why", e.store.quota.Error()).Msg("what a container writes to its own file system is watched, for the engine has no quotas")
	}
}

// store is where an engine keeps images and containers.
type store struct {
	root  string // empty where it is not on this machine
	quota error  // why the engine can give containers no quota; nil when it can
}

// storeOf finds an engine's store. What quotas it has is seen as the engine itself sees it.
func storeOf(info system.Info) store {
	if _, _, err := space(info.DockerRootDir); err != nil {
		return store{quota: errors.New("what the engine keeps is not on this machine")}
	}
	s := store{root: info.DockerRootDir}
	if info.Driver != "overlay2" {
		s.quota = fmt.Errorf("the engine's storage driver is %s, and only overlay2 has quotas", info.Driver)
		return s
	}
	folder, err := os.Open(filepath.Join(info.DockerRootDir, info.Driver))
	if err != nil {
		s.quota = fmt.Errorf("look at what the engine keeps: %w", err)
		return s
	}
	defer folder.Close()
	s.quota = quotaEnforced(folder)
	return s
}

// short reports whether less than the share of what is to be kept free is left. What cannot be looked at is not short.
func (d *disk) short(share float64) bool { return d.lacks(d.space, share) }

func (d *disk) lacks(space func() (int64, float64, error), share float64) bool {
	free, files, err := space()
	return err == nil && (float64(free) < share*float64(d.keep) || files < keepFiles)
}

// room makes room for another workspace, or says that there is none.
func (d *disk) room(ctx context.Context) error {
	if !d.short(1) {
		return nil
	}
	d.relieve(ctx, func() bool { return d.short(1.25) })
	if !d.short(1) {
		return nil
	}
	return lostError(d.full())
}

func (d *disk) full() string {
	return d.lack("The node's disk", d.space, "where its folder is")
}

func (d *disk) lack(what string, space func() (int64, float64, error), where string) string {
	free, _, err := space()
	if err != nil {
		return what + " is nearly full."
	}
	return fmt.Sprintf("%s is nearly full: it has %s left, and %s are to stay free (`keep_free` in the node's configuration). "+
		"Whoever runs the node can make room %s.", what, size(free), size(d.keep), where)
}

// scarce says why nothing more may be built or fetched; empty when it may.
func (d *disk) scarce() string {
	switch {
	case d.short(1):
		return d.full()
	case d.images != nil && d.lacks(d.images, 1):
		return d.lack("The disk of the node's container engine", d.images, "where the engine keeps its images")
	}
	return ""
}

// lostError is a reason not to go on here, which another node may not have.
type lostError string

func (l lostError) Error() string { return string(l) }

// lookAtBuilds is how often the disk is looked at while the engine fills it. No limit of a workspace's holds then.
const lookAtBuilds = 100 * time.Millisecond

// filling is a context for what has the engine fill its disk, as a build or the fetching of an image does. It ends with a
// lostError as soon as too little is left, before any attempt is stopped for that. done waits for the watching to end.
func (e *engine) filling(ctx context.Context) (_ context.Context, done func()) {
	if e.disk == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	e.disk.fillers.Add(1)
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			if why := e.disk.scarce(); why != "" {
				zerolog.Ctx(ctx).Warn().Str("why", why).Msg("what the container engine builds or fetches is stopped for room on the disk")
				cancel(lostError(why))
				return
			}
			if after(ctx, lookAtBuilds) != nil {
				return
			}
		}
	})
	return ctx, func() {
		cancel(nil)
		watching.Wait()
		e.disk.fillers.Add(-1)
	}
}
