package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// What the base branch's files are made of is kept in a mirror once more, in a pack that is neither compressed nor made of
// differences: to unpack is most of the work of a checkout (1.1 of 2.8 s of processor time for 290 MB in 25,000 files, 4.2 of 9.8 s
// for 1 GB in 80,000). Git takes an object from the newest pack that has it, so what changed since costs no more than before,
// and a mirror without the pack has every object still.
const (
	minReady  = 64 << 20 // bytes of files: below, there is nothing to gain
	maxReady  = 4 << 30  // above, it takes too much of the disk
	readyEach = 24 * time.Hour
)

// readyFile is in a mirror, and names the commit that it was made ready for. Its time is when that was.
const readyFile = "ready"

// readyPrefix begins the names of packs of that kind, and no other's, so that one of which nothing could be noted is known.
const readyPrefix = "ready-"

type ready struct {
	commit string
	packs  []string // without their suffixes; none for a commit with too little or too much in it
	at     time.Time
}

// tips are the commits of the base branches that this process has seen last, by mirror.
type tips struct {
	mu  sync.Mutex
	all map[int64]string
}

func (t *tips) see(repository int64, commit string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		t.all = map[int64]string{}
	}
	if commit != "" {
		t.all[repository] = commit
	}
}

func (t *tips) of(repository int64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[repository]
}

func (t *tips) forget(repository int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, repository)
}

// makeReady makes those mirrors ready for which it is due, one after the other, unless the disk is short. It may take long:
// attempts need not wait for it.
func (m *mirrors) makeReady(ctx context.Context, now time.Time, short func() bool) {
	for _, repository := range m.held() {
		if ctx.Err() != nil || short() {
			return
		}
		if err := m.makeOneReady(ctx, repository, now); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Int64("repository", repository).Msg("workspaces of the repository are made no faster")
		}
	}
}

func (m *mirrors) makeOneReady(ctx context.Context, repository int64, now time.Time) error {
	commit, back, err := m.readyDue(repository, now)
	if commit == "" || err != nil {
		return err
	}
	defer back()
	began := time.Now()
	pack, err := m.packReady(ctx, m.path(repository), commit)
	if err != nil {
		return fmt.Errorf("make the mirror ready: %w", err)
	}
	unlock, err := m.locks.lock(ctx, mirrorName(repository))
	if err != nil {
		return err
	}
	defer unlock()
	if pack != "" {
		zerolog.Ctx(ctx).Info().Int64("repository", repository).Str("commit", commit).Dur("took", time.Since(began)).
			Msg("the mirror is made ready for workspaces")
	}
	return m.noteReady(repository, commit)
}

// readyDue is the commit that a mirror is to be made ready for, empty for none. Until back is called the mirror is lent: nothing
// is taken from it, and a fetch goes on beside. Earlier packs go first, if nobody borrows.
func (m *mirrors) readyDue(repository int64, now time.Time) (commit string, back func(), err error) {
	unlock, locked := m.locks.try(mirrorName(repository))
	if !locked {
		return "", nil, nil
	}
	defer unlock()
	was, err := m.ready(repository)
	commit = m.tips.of(repository)
	if err != nil || commit == "" || commit == was.commit || now.Sub(was.at) < readyEach {
		return "", nil, err
	}
	if len(was.packs) > 0 {
		if m.lent.count(repository) > 0 {
			return "", nil, nil
		}
		if err := m.unready(repository); err != nil {
			return "", nil, err
		}
	}
	return commit, m.lent.lend(repository), nil
}

// packReady writes the pack and returns its name; empty when it is not worth it.
func (m *mirrors) packReady(ctx context.Context, mirror, commit string) (pack string, err error) {
	root, err := m.git.run(ctx, mirror, nil, "", "rev-parse", "--verify", commit+"^{tree}")
	if err != nil {
		return "", err
	}
	objects := bytes.NewBufferString(commit + "\n" + root)
	total := int64(0)
	err = m.git.list(ctx, mirror, commit, []string{"--long"}, func(e entry) error {
		if e.kind == "commit" { // of a submodule, which is another repository's
			return nil
		}
		if total += e.size; total > maxReady {
			return errTooManyFiles
		}
		objects.WriteString(e.object + "\n")
		return nil
	})
	free, _, full := space(mirror)
	switch {
	case errors.Is(err, errTooManyFiles) || err == nil && total < cmp.Or(m.leastReady, minReady):
		return "", nil
	case err != nil || full != nil:
		return "", errors.Join(err, full)
	case free < 4*total:
		return "", nil
	}
	// One thread, for agents work beside it.
	name, err := m.git.runFrom(ctx, mirror, gitConfig{{"pack.threads", "1"}}, objects,
		"pack-objects", "--quiet", "--window=0", "--no-reuse-delta", "--no-reuse-object", "--compression=0", filepath.Join(mirror, "objects", "pack", strings.TrimSuffix(readyPrefix, "-")))
	return strings.TrimSpace(name), err
}

// ready reads what is noted of a mirror, and looks for its packs of that kind. The caller holds its lock.
func (m *mirrors) ready(repository int64) (is ready, err error) {
	packs, err := os.ReadDir(filepath.Join(m.path(repository), "objects", "pack"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return ready{}, fmt.Errorf("look at what a mirror is ready for: %w", err)
	}
	for _, pack := range packs {
		if name, ok := strings.CutSuffix(pack.Name(), ".pack"); ok && strings.HasPrefix(name, readyPrefix) {
			is.packs = append(is.packs, name)
		}
	}
	note := filepath.Join(m.path(repository), readyFile)
	info, err := os.Stat(note)
	if errors.Is(err, os.ErrNotExist) {
		return is, nil
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(note)
	}
	if err != nil {
		return ready{}, fmt.Errorf("look at what a mirror is ready for: %w", err)
	}
	is.commit, is.at = strings.TrimSpace(string(content)), info.ModTime()
	return is, nil
}

func (m *mirrors) noteReady(repository int64, commit string) error {
	if err := os.WriteFile(filepath.Join(m.path(repository), readyFile), []byte(commit+"\n"), 0o600); err != nil {
		return fmt.Errorf("note what a mirror is ready for: %w", err)
	}
	return nil
}

// unready removes the packs that a mirror was made ready with. The caller holds its lock, and nobody borrows that runs.
func (m *mirrors) unready(repository int64) error {
	err := m.removeFiles(repository, []string{"objects/pack"}, func(name string) bool { return strings.HasPrefix(name, readyPrefix) })
	if gone := os.Remove(filepath.Join(m.path(repository), readyFile)); err == nil && !errors.Is(gone, os.ErrNotExist) {
		err = gone
	}
	if err != nil {
		return fmt.Errorf("remove what a mirror was made ready with: %w", err)
	}
	return nil
}
