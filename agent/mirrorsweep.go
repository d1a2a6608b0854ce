package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// When a mirror is worth collecting: fetches leave a pack each, or loose objects. A mirror with very many refs, of branches
// that are long gone, is not worth keeping: the next fetch has what is needed.
const (
	maxPacks = 20
	maxLoose = 4000
	maxRefs  = 1000
)

// sweep removes mirrors that have not been used for long, or any while short says so, the one that was used longest ago first,
// and collects what is worth it.
// A mirror that an attempt or a tree borrows from is left as it is: an object that is garbage to the mirror may be needed
// there.
func (m *mirrors) sweep(ctx context.Context, borrowed func(int64) bool, now time.Time, short func() bool) {
	for _, repository := range m.byUse() {
		if ctx.Err() != nil {
			return
		}
		if err := m.sweepOne(ctx, repository, borrowed, now, short); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Int64("repository", repository).Msg("the mirror is not tidied")
		}
	}
}

// spare removes mirrors while tight says so, the one that was used longest ago first, and of those that a tree borrows from what
// only makes workspaces faster. It collects none: that takes long, and needs room itself.
func (m *mirrors) spare(ctx context.Context, borrowed func(int64) bool, tight func() bool) {
	if !tight() {
		return
	}
	for _, repository := range m.byUse() {
		if ctx.Err() != nil || !tight() {
			return
		}
		if err := m.sweepOne(ctx, repository, borrowed, time.Now(), func() bool { return true }); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Int64("repository", repository).Msg("the disk is nearly full, and the mirror is not removed")
		}
	}
}

// byUse lists the mirrors, the one that was used longest ago first.
func (m *mirrors) byUse() []int64 {
	all, used := m.held(), map[int64]time.Time{}
	for _, repository := range all {
		if info, err := os.Stat(filepath.Join(m.path(repository), "HEAD")); err == nil { // else it was never finished
			used[repository] = info.ModTime()
		}
	}
	slices.SortStableFunc(all, func(a, b int64) int { return used[a].Compare(used[b]) })
	return all
}

func (m *mirrors) sweepOne(ctx context.Context, repository int64, borrowed func(int64) bool, now time.Time, short func() bool) error {
	unlock, locked := m.locks.try(mirrorName(repository))
	if !locked {
		return nil
	}
	defer unlock()
	if m.lent.count(repository) > 0 {
		return nil
	}
	if err := m.halfWritten(repository); err != nil {
		return err
	}
	if short() {
		if err := m.unready(repository); err != nil {
			return err
		}
	}
	if borrowed(repository) {
		return nil
	}
	path := m.path(repository)
	info, err := os.Stat(filepath.Join(path, "HEAD"))
	if err != nil {
		return m.discard(repository) // it was never finished
	}
	refs, err := os.ReadDir(filepath.Join(path, "refs", "fetched"))
	if now.Sub(info.ModTime()) > idleMirror || short() || err == nil && len(refs) > maxRefs {
		zerolog.Ctx(ctx).Info().Int64("repository", repository).Time("used", info.ModTime()).Msg("an idle mirror is removed")
		return m.discard(repository)
	}
	if !m.scattered(path) {
		return nil
	}
	// What is not compressed would be taken over as it is.
	if err := m.unready(repository); err != nil {
		return err
	}
	zerolog.Ctx(ctx).Info().Int64("repository", repository).Msg("the mirror is collected")
	// Refs stay files, so that they can be counted; one thread, for agents work beside it.
	config := gitConfig{{"pack.threads", "1"}, {"gc.packRefs", "false"}}
	if _, err := m.git.run(ctx, path, config, "", "gc", "--quiet", "--prune=now"); err != nil {
		if m.damaged(err) {
			return m.discard(repository)
		}
		return fmt.Errorf("collect the mirror: %w", err)
	}
	return nil
}

// scattered reports whether a mirror's objects are in so many files that collecting them is worth it.
func (*mirrors) scattered(path string) bool {
	folders, err := os.ReadDir(filepath.Join(path, "objects"))
	if err != nil {
		return false
	}
	packs, loose := 0, 0
	for _, folder := range folders {
		files, err := os.ReadDir(filepath.Join(path, "objects", folder.Name()))
		switch {
		case err != nil:
		case folder.Name() == "pack":
			for _, file := range files {
				if strings.HasSuffix(file.Name(), ".pack") {
					packs++
				}
			}
		case len(folder.Name()) == 2:
			loose += len(files)
		}
	}
	return packs > maxPacks || loose > maxLoose
}
