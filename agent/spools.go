package agent

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sam/agent/wire"
)

// spools are the attempts of which this node holds events.
type spools struct {
	dir     string
	changed chan struct{} // there may be something to send; holds one

	mu  sync.Mutex
	all map[wire.Ref]*spool
}

// openSpools recovers what earlier processes left in dir.
func openSpools(dir string) (*spools, error) {
	set := &spools{dir: dir, changed: make(chan struct{}, 1), all: map[wire.Ref]*spool{}}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open spools: %w", err)
	}
	for _, file := range files {
		ref, ok := spoolRef(file.Name())
		if !ok {
			continue
		}
		path := filepath.Join(dir, file.Name())
		s, err := recoverSpool(path, ref, set.wake)
		if errors.Is(err, errHeadless) {
			err = os.Remove(path)
			if err == nil {
				continue
			}
		}
		if err != nil {
			set.close()
			return nil, err
		}
		set.all[ref] = s
	}
	return set, nil
}

func spoolName(ref wire.Ref) string { return fmt.Sprintf("%s.%d.jsonl", ref.Task, ref.Epoch) }

func spoolRef(name string) (wire.Ref, bool) {
	base, ok := strings.CutSuffix(name, ".jsonl")
	if !ok {
		return wire.Ref{}, false
	}
	id, epoch, ok := strings.Cut(base, ".")
	number, err := strconv.ParseInt(epoch, 10, 64)
	return wire.Ref{Task: id, Epoch: number}, ok && err == nil && safeName(id)
}

func (s *spools) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// create begins the spool of an attempt.
func (s *spools) create(ref wire.Ref, after int64) (*spool, error) {
	made, err := createSpool(filepath.Join(s.dir, spoolName(ref)), ref, after, s.wake)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[ref] = made
	return made, nil
}

// get returns the spool of an attempt, nil when there is none.
func (s *spools) get(ref wire.Ref) *spool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[ref]
}

// drop forgets an attempt's events; of an attempt that it does not hold there is nothing to forget.
func (s *spools) drop(ref wire.Ref) error {
	s.mu.Lock()
	found := s.all[ref]
	delete(s.all, ref)
	s.mu.Unlock()
	if found == nil {
		return nil
	}
	return found.drop()
}

// list returns the spools, ordered by task and epoch.
func (s *spools) list() []*spool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]*spool, 0, len(s.all))
	for _, one := range s.all {
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b *spool) int {
		return cmp.Or(strings.Compare(a.ref.Task, b.ref.Task), cmp.Compare(a.ref.Epoch, b.ref.Epoch))
	})
	return found
}

func (s *spools) refs() []wire.Ref {
	found := s.list()
	refs := make([]wire.Ref, len(found))
	for i, one := range found {
		refs[i] = one.ref
	}
	return refs
}

// close leaves all files for the next process.
func (s *spools) close() {
	for _, one := range s.list() {
		one.close()
	}
}
