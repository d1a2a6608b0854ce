package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
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
// it may take a twentieth of the time.
const (
	lookAtSpace  = time.Second
	lookAtLeast  = 2 * time.Second
	lookAtMost   = time.Minute
	measureShare = 20
)

// disk watches what the node's disk has left, and what each workspace takes of it.
type disk struct {
	workspaces *workspaces
	limit      int64 // of a workspace, bytes
	keep       int64 // of the node's disk, bytes
	relieve    func(context.Context, func() bool)
	space      func() (free int64, files float64, err error)

	mu      sync.Mutex
	watched []*watched
}

// watched is the workspace of an attempt that is under way.
type watched struct {
	thread  string
	stop    func(*stopped)
	bytes   int64 // as last measured
	stopped bool  // for the node's sake
}

// watch measures the workspace of an attempt until done is called, which waits for the watching to end. stop is called once
// when it takes more than it may; its home then goes with done. The caller holds the thread's lock.
func (d *disk) watch(ctx context.Context, thread string, stop func(*stopped)) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	beyond := false
	w := &watched{thread: thread, stop: stop}
	d.mu.Lock()
	d.watched = append(d.watched, w)
	d.mu.Unlock()
	var watching sync.WaitGroup
	watching.Go(func() {
		for pause := lookAtLeast; after(ctx, pause) == nil; {
			began := time.Now()
			bytes, err := d.workspaces.measure(ctx, thread)
			if ctx.Err() != nil {
				return
			}
			pause = min(max(lookAtLeast, measureShare*time.Since(began)), lookAtMost)
			d.mu.Lock()
			w.bytes = bytes
			d.mu.Unlock()
			if why := d.beyond(bytes, err); why != "" {
				zerolog.Ctx(ctx).Warn().Str("thread", thread).Int64("bytes", bytes).Msg("the workspace takes more of the disk than it may; the attempt is stopped")
				beyond = true
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

// tend looks at the space that is left until ctx ends. When there is too little, what is idle goes, oldest first, and when
// that is not enough the largest workspace's attempt is stopped, one at a time.
func (d *disk) tend(ctx context.Context) {
	for pause := lookAtSpace; after(ctx, pause) == nil; {
		pause = lookAtSpace
		if !d.short(1) {
			continue
		}
		d.relieve(ctx, func() bool { return d.short(1.25) })
		if d.short(1) && !d.stopLargest(ctx) {
			pause = lookAtMost // there is nothing to gain
		}
	}
}

// short reports whether less than the share of what is to be kept free is left. What cannot be looked at is not short.
func (d *disk) short(share float64) bool {
	free, files, err := d.space()
	return err == nil && (float64(free) < share*float64(d.keep) || files < keepFiles)
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
	free, _, err := d.space()
	if err != nil {
		return "The node's disk is nearly full."
	}
	return fmt.Sprintf("The node's disk is nearly full: it has %s left, and %s are to stay free (`keep_free` in the node's configuration). "+
		"Whoever runs the node can make room where its folder is.", size(free), size(d.keep))
}

// lostError is a reason not to go on here, which another node may not have.
type lostError string

func (l lostError) Error() string { return string(l) }

// measure is how much of the disk a thread's workspace takes, in bytes: its tree, its home, what it keeps beside its
// sockets, and what its container has written to its own file system.
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
		if c, _, err := w.engine.client.ContainerInspectWithRaw(limited, w.engine.name(thread), true); err == nil && c.SizeRw != nil {
			u.bytes += *c.SizeRw
		}
	}
	return u.bytes, nil
}

func fileIsThere(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}
