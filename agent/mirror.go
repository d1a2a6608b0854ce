package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// gaveUpError is a reason for the person not to go on, which another attempt would meet again.
type gaveUpError string

func (g gaveUpError) Error() string { return string(g) }

// mirrors are this node's bare copies of repositories, one for each, holding the branches that tasks needed. Nobody but
// this room's git writes to them: workspaces borrow their objects read-only, and what a task pushes goes to the server and
// comes back from there. So no ref in a mirror is any other than one that was fetched.
type mirrors struct {
	dir     string
	git     git
	locks   locks // one fetch at a time in each
	fetched fetched
	lent    lent // to attempts, and to what makes them ready
	tips    tips

	leastReady int64 // bytes; 0 for minReady
	largest    int64 // bytes that the files of a branch may take; 0 for defaultDisk
}

// heads are the commits that a workspace is made from: branch if the server has it, base otherwise. Either may be empty.
type heads struct {
	mirror string // path of the mirror
	base   string
	branch string

	restore restoration // how the tree is to differ from the branch
	ignored *ignored    // what it holds that SAM does nothing with; nil when that is told already
	back    func()      // gives the mirror back, when it is not nil. It may be called twice
}

func (h heads) giveBack() {
	if h.back != nil {
		h.back()
	}
}

// fetch brings the mirror of s's repository up to what the server has of the task's two branches, and lends it. The error is
// a gaveUpError when there is nothing to start from, or nothing that can be checked out.
func (m *mirrors) fetch(ctx context.Context, s wire.Start, token string) (heads, error) {
	if err := fetchable(s); err != nil {
		return heads{}, err
	}
	unlock, err := m.locks.lock(ctx, mirrorName(s.Repository))
	if err != nil {
		return heads{}, err
	}
	defer unlock()
	found, err := m.fetchInto(ctx, s, token)
	if m.damaged(err) && m.lent.count(s.Repository) == 0 {
		zerolog.Ctx(ctx).Warn().Err(err).Str("repository", s.FullName).Msg("the mirror is damaged: it is thrown away and fetched again")
		if err := m.discard(s.Repository); err != nil {
			return heads{}, err
		}
		found, err = m.fetchInto(ctx, s, token)
	}
	if err != nil {
		return heads{}, err
	}
	found.back = m.lent.lend(s.Repository)
	return found, nil
}

func (m *mirrors) fetchInto(ctx context.Context, s wire.Start, token string) (heads, error) {
	path := m.path(s.Repository)
	if err := m.breakLocks(s.Repository); err != nil {
		return heads{}, err
	}
	if err := m.create(ctx, path); err != nil {
		return heads{}, err
	}
	config := gitConfig{bearing(s.CloneURL, "x-access-token", token)}
	theirs, err := m.remoteHeads(ctx, path, config, token, s)
	if err != nil {
		return heads{}, err
	}
	found := heads{mirror: path, base: theirs[headRef(s.Base)], branch: theirs[headRef(s.Branch)]}
	if found.base == "" && found.branch == "" {
		return heads{}, m.nothingToStartFrom(ctx, path, config, token, s)
	}
	if err := m.update(ctx, path, config, token, s, theirs); err != nil {
		return heads{}, err
	}
	m.tips.see(s.Repository, found.base)
	found.restore, found.ignored, err = m.survey(ctx, s, found)
	return found, err
}

func mirrorName(repository int64) string { return strconv.FormatInt(repository, 10) }

func (m *mirrors) path(repository int64) string {
	return filepath.Join(m.dir, mirrorName(repository)+mirrorSuffix)
}

const mirrorSuffix = ".git"

func headRef(branch string) string { return "refs/heads/" + branch }

// fetchable checks what will name files, refs and servers.
func fetchable(s wire.Start) error {
	if s.Base == "" {
		return gaveUpError(fmt.Sprintf("The repository %s has no default branch: there is nothing to start from. Push a first commit, or set one in the repository's settings, then ask again.", s.FullName))
	}
	if !safeBranch(s.Base) || !safeBranch(s.Branch) {
		return fmt.Errorf("the branch names %q and %q cannot be used", s.Base, s.Branch)
	}
	clone, err := url.Parse(s.CloneURL)
	if err != nil || (clone.Scheme != "https" && clone.Scheme != "http") || clone.Host == "" || clone.User != nil {
		return fmt.Errorf("the repository's address %q is not an http or https address without credentials", s.CloneURL)
	}
	return nil
}

func (m *mirrors) create(ctx context.Context, path string) error {
	head := filepath.Join(path, "HEAD")
	if _, err := os.Stat(head); err == nil {
		return m.used(head)
	}
	if _, err := m.git.run(ctx, m.dir, nil, "", "init", "--quiet", "--bare", "--template=", path); err != nil {
		return fmt.Errorf("create mirror: %w", err)
	}
	return nil
}

// used notes that the mirror is of use, by the time of its HEAD, which nothing else touches.
func (*mirrors) used(head string) error {
	now := time.Now()
	if err := os.Chtimes(head, now, now); err != nil {
		return fmt.Errorf("note that the mirror is used: %w", err)
	}
	return nil
}

// remoteHeads asks the server which of the two branches it has, and where they stand.
func (m *mirrors) remoteHeads(ctx context.Context, path string, config gitConfig, token string, s wire.Start) (map[string]string, error) {
	out, err := m.persist(ctx, path, config, token, "ls-remote", "--quiet", s.CloneURL, headRef(s.Base), headRef(s.Branch))
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", s.FullName, err)
	}
	return parseRefs(out), nil
}

func parseRefs(out string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(out) {
		if commit, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			found[ref] = commit
		}
	}
	return found
}

func (m *mirrors) nothingToStartFrom(ctx context.Context, path string, config gitConfig, token string, s wire.Start) error {
	out, err := m.persist(ctx, path, config, token, "ls-remote", "--quiet", "--heads", s.CloneURL)
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.FullName, err)
	}
	if len(parseRefs(out)) == 0 {
		return gaveUpError(fmt.Sprintf("The repository %s is empty: there is nothing to work on. Push a first commit, then ask again.", s.FullName))
	}
	return gaveUpError(fmt.Sprintf("The repository %s has no branch %s to start from. Create it, or name another base branch, then ask again.", s.FullName, s.Base))
}

// update fetches those of the branches that this process has not fetched as they are now: on a warm node often none. A
// branch that was deleted on the server stays in the mirror, where it does no harm: workspaces start from what the
// server has.
func (m *mirrors) update(ctx context.Context, path string, config gitConfig, token string, s wire.Start, theirs map[string]string) error {
	args := []string{"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc", s.CloneURL}
	fetched := m.fetched.of(path)
	var lacking []string
	for _, ref := range []string{headRef(s.Base), headRef(s.Branch)} {
		if commit := theirs[ref]; commit != "" && commit != fetched[ref] && !slices.Contains(lacking, ref) {
			lacking = append(lacking, ref)
			args = append(args, "+"+ref+":"+keptRef(ref))
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	if _, err := m.persist(ctx, path, config, token, args...); outOfMemory(err) {
		return gaveUpError(fmt.Sprintf("The repository %s holds something that git cannot take in within %s of memory, or 1 GB at once: SAM does not fetch it. Ask on a branch without it.",
			s.FullName, size(maxFetchMemory)))
	} else if err != nil {
		return fmt.Errorf("fetch %s: %w", s.FullName, err)
	}
	for _, ref := range lacking {
		fetched[ref] = theirs[ref]
	}
	return nil
}

// keptRef is what a mirror calls a ref of the server's. Its own name would not do: sam/x may be gone on the server when sam/x/y
// comes, and one is a file where the other is a folder.
func keptRef(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return "refs/fetched/" + hex.EncodeToString(sum[:16])
}

// fetched is what this process has fetched into each mirror: commits by ref. A mirror's own map is guarded by its lock.
type fetched struct {
	mu      sync.Mutex
	mirrors map[string]map[string]string
}

func (f *fetched) of(mirror string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mirrors == nil {
		f.mirrors = map[string]map[string]string{}
	}
	if f.mirrors[mirror] == nil {
		f.mirrors[mirror] = map[string]string{}
	}
	return f.mirrors[mirror]
}

func (f *fetched) forget(mirror string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.mirrors, mirror)
}

// maxFetchMemory is how much the gits of a fetch may take, each, in bytes. A repository of ten million objects takes less than
// half.
const maxFetchMemory = 4 << 30

// persist tries again after a short while, a few times, when a server did not answer in order.
func (m *mirrors) persist(ctx context.Context, path string, config gitConfig, token string, args ...string) (out string, err error) {
	git := m.git
	git.memory = cmp.Or(git.memory, maxFetchMemory)
	err = retry(ctx, []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}, passes, func() error {
		out, err = git.run(ctx, path, config, token, args...)
		return err
	})
	return out, err
}

// held lists the repositories that have a mirror.
func (m *mirrors) held() []int64 {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return nil // none that can be used
	}
	var found []int64
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), mirrorSuffix)
		if id, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			found = append(found, id)
		}
	}
	return found
}
