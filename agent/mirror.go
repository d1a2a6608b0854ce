package agent

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sam/agent/wire"
)

// gaveUpError is a reason for the person not to go on, which another attempt would meet again.
type gaveUpError string

func (g gaveUpError) Error() string { return string(g) }

// mirrors are this node's bare copies of repositories, one for each, holding the branches that tasks needed.
type mirrors struct {
	dir     string
	git     git
	locks   locks // one fetch at a time in each
	fetched fetched
}

// heads are the commits that a workspace is made from: branch if the server has it, base otherwise. Either may be empty.
type heads struct {
	mirror string // path of the mirror
	base   string
	branch string
}

// fetch brings the mirror of s's repository up to what the server has of the task's two branches. The error is a gaveUpError
// when there is nothing to start from.
func (m *mirrors) fetch(ctx context.Context, s wire.Start, token string) (heads, error) {
	if err := fetchable(s); err != nil {
		return heads{}, err
	}
	unlock, err := m.locks.lock(ctx, strconv.FormatInt(s.Repository, 10))
	if err != nil {
		return heads{}, err
	}
	defer unlock()
	path := filepath.Join(m.dir, strconv.FormatInt(s.Repository, 10)+".git")
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
	return found, m.update(ctx, path, config, token, s, theirs)
}

func headRef(branch string) string { return "refs/heads/" + branch }

// fetchable checks what will name files, refs and servers.
func fetchable(s wire.Start) error {
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
	if _, err := os.Stat(filepath.Join(path, "HEAD")); err == nil {
		return nil
	}
	if _, err := m.git.run(ctx, m.dir, nil, "", "init", "--quiet", "--bare", "--template=", path); err != nil {
		return fmt.Errorf("create mirror: %w", err)
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
			args = append(args, "+"+ref+":"+ref)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	if _, err := m.persist(ctx, path, config, token, args...); err != nil {
		return fmt.Errorf("fetch %s: %w", s.FullName, err)
	}
	for _, ref := range lacking {
		fetched[ref] = theirs[ref]
	}
	return nil
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

// persist tries again after a short while, a few times, when a server did not answer in order.
func (m *mirrors) persist(ctx context.Context, path string, config gitConfig, token string, args ...string) (out string, err error) {
	err = retry(ctx, []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}, passes, func() error {
		out, err = m.git.run(ctx, path, config, token, args...)
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
		name, ok := strings.CutSuffix(entry.Name(), ".git")
		if id, err := strconv.ParseInt(name, 10, 64); ok && err == nil {
			found = append(found, id)
		}
	}
	return found
}
