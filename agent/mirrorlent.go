package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// lent counts the attempts that borrow each mirror's objects. As long as one does, nothing is taken from the mirror.
type lent struct {
	mu  sync.Mutex
	all map[int64]int
}

// lend counts one more until back is called, which may be called twice.
func (l *lent) lend(repository int64) (back func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[int64]int{}
	}
	l.all[repository]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.all[repository]--; l.all[repository] == 0 {
			delete(l.all, repository)
		}
	})
}

func (l *lent) count(repository int64) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[repository]
}

// damaged reports whether an error of git's is the mirror's fault, as far as git says: neither the server's, nor the
// network's, nor that the disk is full. A power cut can leave an object half written.
func (*mirrors) damaged(err error) bool {
	var failed *commandError
	if !errors.As(err, &failed) || passing(failed.words) || outOfMemory(err) {
		return false
	}
	for _, word := range []string{
		"bad object", "corrupt", "is empty", "unable to read", "missing blob", "missing tree", "not a valid object", "not a tree object",
		"not a git repository", "invalid sha1 pointer", "inflate", "hash mismatch", "packfile", "index file", "did not send all necessary objects",
		"could not parse", "bad config", "Could not read", "bad tree", "Not a valid object name", "unresolved deltas", "does not point to",
	} {
		if strings.Contains(failed.words, word) {
			return !strings.Contains(failed.words, "No space left")
		}
	}
	return false
}

// discard throws a mirror away. The caller holds its lock, and nobody else borrows it.
func (m *mirrors) discard(repository int64) error {
	path := m.path(repository)
	m.fetched.forget(path)
	m.tips.forget(repository)
	if err := removeAll(path); err != nil {
		return fmt.Errorf("throw the mirror away: %w", err)
	}
	return nil
}

// distrust throws a mirror away from which a workspace could not be made, unless another attempt borrows it, and reports
// whether it is to be fetched again.
func (m *mirrors) distrust(ctx context.Context, from heads, repository int64, err error) bool {
	if !m.damaged(err) {
		return false
	}
	from.giveBack()
	unlock, locked := m.locks.try(mirrorName(repository))
	if !locked {
		return false
	}
	defer unlock()
	if m.lent.count(repository) > 0 {
		return false
	}
	zerolog.Ctx(ctx).Warn().Err(err).Int64("repository", repository).Msg("the mirror is damaged: it is thrown away and fetched again")
	return m.discard(repository) == nil
}
