package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// Bounds of the disk, where the options name none.
const (
	defaultDisk     int64 = 10 << 30 // of a workspace, bytes
	defaultKeepFree int64 = 2 << 30  // of the node's disk, bytes
	keepFiles             = 0.02     // of the files that the node's disk can have, as a share
)

// How often is looked. Measuring a workspace takes as long as it has files, so it is done less often where that is long:
// it may take a twentieth of the time. Where the disk has lost what the workspace may still take it is done at once, but may
// not take more than a third of the time.
const (
	lookAtSpace  = time.Second
	lookAtGrowth = 100 * time.Millisecond
	lookAtLeast  = 2 * time.Second
	lookAtMost   = time.Minute
	measureShare = 20
	hurriedShare = 2 // beside the measuring itself
	stuckAfter   = 2 * time.Second
)

// quotaSlack is how near to its quota a workspace counts as full, in bytes: who would write more than is left gets an error and
// leaves it unused.
const quotaSlack = 1 << 20

// disk watches what the node's disk has left, and what each workspace takes of it.
type disk struct {
	workspaces *workspaces
	limit      int64 // of a workspace, bytes
	keep       int64 // of the node's disk, bytes
	relieve    func(context.Context, func() bool)
	spare      func(context.Context)
	space      func() (free int64, files float64, err error)
	images     func() (free int64, files float64, err error) // of the engine's disk; nil: none, or none of this machine's
	size       int64                                         // of the node's disk, bytes; 0: not known
	imagesSize int64                                         // of the engine's, likewise
	fillers    atomic.Int32                                  // builds by the engine, and images that it fetches

	mu      sync.Mutex
	watched []*watched
}

// watched is the workspace of an attempt that is under way.
type watched struct {
	thread  string
	stop    func(*stopped)
	bytes   int64     // as last measured
	stopped bool      // for the node's sake
	full    time.Time // since when its quota is used up; zero while it is not
}

// watch measures the workspace of an attempt until done is called, which waits for the watching to end. stop is called once
// when it takes more than it may; its home then goes with done. The caller holds the thread's lock.
func (d *disk) watch(ctx context.Context, thread string, stop func(*stopped)) (done func()) {
	if err := d.workspaces.quota.limit(thread); err != nil {
		zerolog.Ctx(ctx).Error().Err(err).Str("thread", thread).Msg("the workspace has no quota; what it takes of the disk is watched")
	}
	ctx, cancel := context.WithCancel(ctx)
	beyond := false
	w := &watched{thread: thread, stop: stop}
	d.mu.Lock()
	d.watched = append(d.watched, w)
	d.mu.Unlock()
	var watching sync.WaitGroup
	watching.Go(func() {
		soonest, latest := lookAtGrowth, lookAtLeast
		for d.await(ctx, w, soonest, latest) == nil {
			began := time.Now()
			bytes, err := d.workspaces.measure(ctx, thread)
			if ctx.Err() != nil {
				return
			}
			took := time.Since(began)
			soonest, latest = max(lookAtGrowth, hurriedShare*took), min(max(lookAtLeast, measureShare*took), lookAtMost)
			d.mu.Lock()
			w.bytes = bytes
			d.mu.Unlock()
			if why := cmp.Or(d.beyond(bytes, err), d.stuck(w)); why != "" {
				zerolog.Ctx(ctx).Warn().Str("thread", thread).Int64("bytes", bytes).Msg("the workspace takes more of the disk than it may; the attempt is stopped")
				beyond = true
				if err := d.workspaces.quota.extend(thread); err != nil {
					zerolog.Ctx(ctx).Warn().Err(err).Msg("the workspace has no room to push from")
				}
				stop(&stopped{reason: why, keep: true, outcome: task.GaveUp})
				return
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.watched = slices.DeleteFunc(d.watched, func(one *watched) bool { return one == w })
		if beyond { // else the next attempt would begin with what this one ended by
			if err := removeAll(d.workspaces.home(thread)); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("the home of a workspace that was too large is not all removed")
			}
		}
	}
}

// await waits until a workspace is to be measured again: at the latest when that says so; when soonest is over, as soon as it
// is stuck or the disk has lost as much as the workspace may still take. The error is that of ctx.
func (d *disk) await(ctx context.Context, w *watched, soonest, latest time.Duration) error {
	began := time.Now()
	had, _, err := d.space()
	d.mu.Lock()
	left := max(0, d.limit-w.bytes)
	d.mu.Unlock()
	for pause := soonest; ; pause = lookAtGrowth {
		if err := after(ctx, min(pause, latest-time.Since(began))); err != nil {
			return err
		}
		has, _, failed := d.space()
		if err == nil && failed == nil && had-has > left || time.Since(began) >= latest || d.stuck(w) != "" {
			return nil
		}
	}
}

// stuck says why a workspace is to be stopped whose quota has been used up for a while; empty when it is not. Its programs are
// told that there is no space left, and one that then makes room goes on.
func (d *disk) stuck(w *watched) string {
	why := full(d.workspaces.quota.use(w.thread))
	switch {
	case why == "":
		w.full = time.Time{}
	case w.full.IsZero():
		w.full = time.Now()
	case time.Since(w.full) >= stuckAfter:
		return why
	}
	return ""
}

// beyond says why a workspace is to be stopped; empty when it is not.
func (d *disk) beyond(bytes int64, err error) string {
	switch {
	case errors.Is(err, errTooDeep):
		return fmt.Sprintf("The workspace has folders nested deeper than %d, whose size is not measured, so the agent was stopped. "+
			"What it had committed was pushed. Ask again, and say what it should not make.", maxDepth)
	case bytes > d.limit:
		return fmt.Sprintf("The workspace took %s of the node's disk, and it may take %s (`disk` in the node's configuration), so the agent was stopped. "+
			"What it had committed was pushed. Ask again with less to build, or have the limit raised.", size(bytes), size(d.limit))
	}
	return ""
}

// full says so of a workspace with a quota that is used up. By then programs in it have been told that there is no space
// left.
func full(use quotaUse) string {
	switch {
	case use.maxBytes > 0 && use.bytes > use.maxBytes-quotaSlack:
		return fmt.Sprintf("The workspace took all of the node's disk that it may take, %s (`disk` in the node's configuration), so the agent was stopped. "+
			"What it had committed was pushed. Ask again with less to build, or have the limit raised.", size(use.maxBytes))
	case use.maxFiles > 0 && use.files >= use.maxFiles:
		return fmt.Sprintf("The workspace has as many files as it may have, %d (one for every %s of `disk` in the node's configuration), so the agent was stopped. "+
			"What it had committed was pushed. Ask again with less to build, or have the limit raised.", use.maxFiles, size(quotaFile))
	}
	return ""
}

// tend looks at the space that is left until ctx ends. When there is little, what can be made anew goes; when there is too
// little, what is idle goes too, oldest first, and when that is not enough the largest workspace's attempt is stopped, one at
// a time.
func (d *disk) tend(ctx context.Context) {
	var spared time.Time
	for pause := lookAtSpace; after(ctx, pause) == nil; {
		pause = lookAtSpace
		if time.Since(spared) >= spareEach && (d.tight(1) || d.imagesTight(1)) {
			d.spare(ctx)
			spared = time.Now()
		}
		if !d.short(1) {
			continue
		}
		d.relieve(ctx, func() bool { return d.short(1.25) })
		if d.fillers.Load() > 0 {
			continue // what is built or fetched ends first
		}
		if d.short(1) && !d.stopLargest(ctx) {
			pause = lookAtMost // there is nothing to gain
		}
	}
}

// stopLargest reports whether an attempt is ending for it.
func (d *disk) stopLargest(ctx context.Context) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	var largest *watched
	for _, w := range d.watched {
		if w.stopped {
			return true // it is ending, which gives room
		}
		if largest == nil || w.bytes > largest.bytes {
			largest = w
		}
	}
	if largest == nil {
		return false
	}
	largest.stopped = true
	zerolog.Ctx(ctx).Error().Str("thread", largest.thread).Int64("bytes", largest.bytes).Msg("the node's disk is nearly full; the largest workspace's attempt is stopped")
	largest.stop(&stopped{reason: d.full(), keep: true, outcome: task.Lost})
	return true
}

// measure is how much of the disk a thread's workspace takes, in bytes: its tree, its home, what it keeps beside its
// sockets, what its container has written to its own file system, and what its programs have of files without a name.
func (w *workspaces) measure(ctx context.Context, thread string) (int64, error) {
	var u usage
	for folder, names := range map[string][]string{
		w.dir:  {thread, filepath.Base(w.home(thread))},
		w.runs: {thread},
	} {
		root, err := os.OpenRoot(folder)
		if err != nil {
			return u.bytes, nil // there is none yet
		}
		for _, name := range names {
			if folder == w.dir && name == thread && !fileIsThere(root, thread+usedSuffix) {
				continue // an earlier attempt's tree, that is about to go
			}
			if err := u.measure(ctx, root, name); err != nil {
				_ = root.Close()
				return u.bytes, err
			}
		}
		_ = root.Close()
	}
	if w.engine != nil {
		limited, cancel := context.WithTimeout(ctx, engineAnswers)
		defer cancel()
		// An engine that does not answer is told by others; a container that is gone takes nothing.
		c, _, err := w.engine.client.ContainerInspectWithRaw(limited, w.engine.name(thread), true)
		if err == nil && c.SizeRw != nil {
			u.bytes += *c.SizeRw
		}
		if err == nil && c.State != nil && c.State.Running {
			if err := u.unlinked(ctx, c.ID, c.State.Pid); err != nil {
				return u.bytes, err
			}
		}
		err = w.measureBeside(ctx, thread, &u)
		return u.bytes, err
	}
	return u.bytes, nil
}

func fileIsThere(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}
