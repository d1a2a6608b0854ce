package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// What is idle stays for a follow-up for so long.
const (
	idleWorkspace = 7 * 24 * time.Hour
	idleMirror    = 30 * 24 * time.Hour
	// maxUnpushed is how many idle trees with work that was never pushed a node keeps, over all threads: then the oldest go.
	// A node that has no room left keeps fewer.
	maxUnpushed      = 50
	maxUnpushedShort = 10
	sweepEach        = 10 * time.Minute
)

// usedSuffix names a file beside a tree whose time is that of the tree's last attempt, and whose content is the repository
// that it borrows objects from. The tree itself is an agent's to write, and says nothing that is believed.
const usedSuffix = ".used"

// homeSuffix is of the name of a thread's home, beside its tree.
const homeSuffix = ".home"

// borrows notes that a thread's tree is about to borrow from a repository's mirror, and has what is written there from now on
// count as the thread's.
func (w *workspaces) borrows(tree string, repository int64) error {
	if err := borrowing(tree, repository); err != nil {
		return err
	}
	return w.quota.tree(filepath.Base(tree))
}

func borrowing(tree string, repository int64) error {
	if err := os.WriteFile(tree+usedSuffix, []byte(mirrorName(repository)), 0o600); err != nil {
		return fmt.Errorf("note what the workspace borrows: %w", err)
	}
	return nil
}

// idle is what an attempt left: a tree with its home, or a tree that is kept.
type idle struct {
	name       string // of the tree
	thread     string
	used       time.Time
	repository int64 // that it borrows from; 0 for one that is not known
	there      bool  // the tree is
	unpushed   bool
}

func (i idle) precious() bool { return i.unpushed && i.there }

// sweep removes what has been idle for long; while short says so, what has been idle for less too, the oldest first. Nothing
// that is in use goes, and no work that was never pushed but the oldest of very many.
func (n *Node) sweep(ctx context.Context, short func() bool) {
	now := time.Now()
	log := zerolog.Ctx(ctx)
	all, err := n.workspaces.idle()
	if err != nil {
		log.Warn().Err(err).Msg("what is idle on the disk cannot be looked at")
		return
	}
	precious := 0
	for _, one := range all {
		if one.precious() {
			precious++
		} else if now.Sub(one.used) > idleWorkspace || short() {
			n.let(ctx, one, "an idle workspace is removed")
		}
	}
	n.mirrors.sweep(ctx, n.workspaces.borrowed, now, short)
	for _, one := range all { // oldest first
		if one.precious() && (precious > maxUnpushed || precious > maxUnpushedShort && short()) {
			precious--
			n.let(ctx, one, "too many workspaces hold work that was not pushed; the oldest is removed")
		}
	}
}

// let removes an idle workspace, unless an attempt has its thread.
func (n *Node) let(ctx context.Context, one idle, why string) {
	unlock, locked := n.workspaces.locks.try(one.thread)
	if !locked {
		return
	}
	defer unlock()
	tree := n.workspaces.tree(one.name)
	if info, err := os.Lstat(tree + usedSuffix); err != nil || !info.ModTime().Equal(one.used) {
		return // an attempt was here since it was looked at
	}
	zerolog.Ctx(ctx).Info().Str("workspace", one.name).Time("used", one.used).Msg(why)
	err := errors.Join(removeAll(tree), removeAll(tree+pushedSuffix))
	if one.name == one.thread {
		err = errors.Join(err, removeAll(n.workspaces.home(one.thread)), removeAll(environmentLogOf(n.options.Dir, one.thread)))
	}
	if err == nil {
		err = n.workspaces.quota.release(one.name)
	}
	if err == nil {
		err = removeAll(tree + usedSuffix) // last: as long as there is a tree it borrows
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("an idle workspace is not all removed")
	}
}

// idle lists what is beside the trees, oldest first. What has no note of its use gets one.
func (w *workspaces) idle() ([]idle, error) {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, fmt.Errorf("look for idle workspaces: %w", err)
	}
	found := map[string]idle{}
	for _, entry := range entries {
		name := entry.Name()
		for _, suffix := range []string{homeSuffix, pushedSuffix, projectSuffix, usedSuffix} {
			name = strings.TrimSuffix(name, suffix)
		}
		thread, digits, kept := strings.Cut(name, keptInfix)
		if _, err := strconv.Atoi(digits); kept && err != nil || !safeName(thread) {
			continue // not this room's
		}
		if _, known := found[name]; known {
			continue
		}
		one := idle{name: name, thread: thread, used: time.Now()}
		tree := w.tree(name)
		if info, err := os.Lstat(tree + usedSuffix); err == nil {
			one.used = info.ModTime()
			one.repository, _ = w.borrower(tree)
		} else if one.used, err = w.unknown(tree); err != nil {
			return nil, err
		}
		_, err := os.Lstat(tree)
		one.there = err == nil
		_, err = os.Lstat(tree + pushedSuffix)
		one.unpushed = kept || err != nil
		found[name] = one
	}
	all := make([]idle, 0, len(found))
	for _, one := range found {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b idle) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.name, b.name)) })
	return all, nil
}

// unknown notes a tree of which nothing is noted, as of now. An attempt may be about to note more.
func (w *workspaces) unknown(tree string) (time.Time, error) {
	file, err := os.OpenFile(tree+usedSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return time.Now(), nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("note that a workspace is idle: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return time.Time{}, fmt.Errorf("note that a workspace is idle: %w", err)
	}
	return info.ModTime(), nil
}

// borrower is the repository that a tree borrows from; ok is false when that is not noted.
func (*workspaces) borrower(tree string) (repository int64, ok bool) {
	content, err := os.ReadFile(tree + usedSuffix)
	if err != nil {
		return 0, false
	}
	repository, err = strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	return repository, err == nil && repository != 0
}

// borrowed reports whether a tree, in use or idle, borrows from a repository's mirror. One that is not known to borrow from
// another may.
func (w *workspaces) borrowed(repository int64) bool {
	all, err := w.idle()
	if err != nil {
		return true
	}
	return slices.ContainsFunc(all, func(one idle) bool {
		return one.there && (one.repository == repository || one.repository == 0)
	})
}

// keep moves a tree aside, and notes there what it borrows and what it counts as.
func (w *workspaces) keep(tree, aside string, repository int64) error {
	if err := borrowing(aside, repository); err != nil {
		return err
	}
	if err := w.quota.keep(filepath.Base(tree), filepath.Base(aside)); err != nil {
		return err
	}
	if err := os.Rename(tree, aside); err != nil {
		return fmt.Errorf("keep the thread's earlier workspace: %w", err)
	}
	return nil
}

// tidy sweeps now and then until ctx ends.
func (n *Node) tidy(ctx context.Context) {
	for pause := time.Minute; after(ctx, pause) == nil; pause = sweepEach {
		n.sweep(ctx, func() bool { return false })
		if e := n.workspaces.engine; e != nil {
			if err := e.sweepFetched(ctx); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("what images were fetched is not put in order")
			}
		}
		n.mirrors.makeReady(ctx, time.Now(), func() bool { return n.disk.tight(1.25) })
	}
}

// removeAll removes a tree even where folders in it are read-only, as in a cache of modules. No link is followed.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	parent, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer parent.Close()
	root, err := parent.OpenRoot(filepath.Base(path))
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			return root.Chmod(name, 0o700)
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}
