package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// moves is what becomes of repositories as a whole.
type moves struct {
	moving sync.Mutex
	owner  map[place]string // who has it now
	away   map[string]bool  // accounts without the App now
	left   map[place]bool   // the App was off it for a time
	stuck  []string         // what could not come back: then the case is none
}

// mute reports whether SAM was without a way to a repository for a time, so that what it had to say there may not have been
// said.
func (m *moves) mute(p place) bool { return m.left[p] }

func newMoves() *moves {
	m := &moves{owner: map[place]string{}, away: map[string]bool{}, left: map[place]bool{}}
	for _, p := range places() {
		m.owner[p] = p.owner
	}
	return m
}

// owners are the accounts.
func owners() []string {
	seen := map[string]bool{}
	for _, p := range places() {
		seen[p.owner] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// move has a repository, or the App, go somewhere, and come back a while later.
func (s *session) move(ctx context.Context, p place, step step) error {
	s.hit(string(step.Act))
	there, back := func() error { return s.renameTo(p, p.name+"-anew") }, func() error { return s.renameTo(p, p.name) }
	switch step.Act {
	case transfer:
		owners := owners()
		other := owners[(slices.Index(owners, p.owner)+1)%len(owners)]
		there, back = func() error { return s.transferTo(p, other) }, func() error { return s.transferTo(p, p.owner) }
	case uninstall:
		there, back = func() error { return s.uninstallFrom(p.owner) }, func() error { return s.installOn(p.owner) }
	}
	if err := there(); err != nil {
		return err
	}
	s.over.Go(func() {
		pause(ctx, step.For)
		if err := back(); err != nil {
			s.moving.Lock()
			defer s.moving.Unlock()
			s.stuck = append(s.stuck, fmt.Sprintf("what was %s did not come back: %v", step.Act, err))
		}
	})
	return nil
}

func (s *session) renameTo(p place, name string) error {
	s.moving.Lock()
	defer s.moving.Unlock()
	_, err := s.hub.RenameRepository(maintainer, p.owner, p.name, name)
	return err
}

// transferTo gives a repository to an account, unless that one has it.
func (s *session) transferTo(p place, owner string) error {
	s.moving.Lock()
	defer s.moving.Unlock()
	if s.owner[p] == owner {
		return nil
	}
	if _, err := s.hub.TransferRepository(maintainer, p.owner, p.name, owner); err != nil {
		return err
	}
	s.owner[p] = owner
	if s.away[owner] {
		s.left[p] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.asked {
		if r.place == p {
			r.touched = true
		}
	}
	return nil
}

func (s *session) uninstallFrom(owner string) error {
	s.moving.Lock()
	defer s.moving.Unlock()
	for _, in := range s.hub.Installations(s.hub.app.ID) {
		if in.Account.Login != owner {
			continue
		}
		if err := s.hub.Uninstall(in.ID); err != nil {
			return err
		}
		s.away[owner] = true
		for p, has := range s.owner {
			if has == owner {
				s.left[p] = true
			}
		}
	}
	return nil
}

func (s *session) installOn(owner string) error {
	s.moving.Lock()
	defer s.moving.Unlock()
	if !s.away[owner] {
		return nil
	}
	delete(s.away, owner)
	_, err := s.hub.Install(s.hub.app.ID, owner)
	return err
}
