package github

import (
	"cmp"
	"maps"
	"slices"
)

// Install installs an app on an account: on the named repositories ("name" or
// "owner/name"), or on all, present and future, when none is named.
func (s *Server) Install(appID int64, owner string, repos ...string) (Installation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, on := s.apps[appID], s.accounts[fold(owner)]
	if a == nil || on == nil {
		return Installation{}, notFound()
	}
	if s.installedOn(a, on) != nil {
		return Installation{}, invalid(FieldError{Resource: "IntegrationInstallation", Field: "target", Code: "already_exists"})
	}
	in := &installation{
		id: s.newID(installationID), app: a, account: on, all: len(repos) == 0, repos: map[int64]*repository{},
		perms: maps.Clone(a.perms), events: slices.Clone(a.events), created: s.moment(), updated: s.moment(),
	}
	if _, err := s.addTo(in, repos); err != nil {
		return Installation{}, err
	}
	s.installations[in.id] = in
	s.announceInstallation("created", in)
	return s.snapshotInstallation(in), nil
}

// Uninstall ends an installation. Its tokens are worth nothing from then on.
func (s *Server) Uninstall(installationID int64) error {
	return s.onInstallation(installationID, s.uninstall)
}

// uninstall is called with mu held.
func (s *Server) uninstall(in *installation) {
	s.announceInstallation("deleted", in)
	delete(s.installations, in.id)
	maps.DeleteFunc(s.tokens, func(_ string, t *token) bool { return t.inst == in })
}

// Suspend puts an installation to rest: its tokens are refused (403), none is
// made, and nothing but the suspension itself is announced to it.
func (s *Server) Suspend(installationID int64) error {
	return s.onInstallation(installationID, s.suspend)
}

// Unsuspend puts a suspended installation back to work. Its tokens of before are
// good again.
func (s *Server) Unsuspend(installationID int64) error {
	return s.onInstallation(installationID, s.unsuspend)
}

func (s *Server) onInstallation(id int64, do func(*installation)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installations[id]
	if in == nil {
		return notFound()
	}
	do(in)
	return nil
}

// suspend is called with mu held.
func (s *Server) suspend(in *installation) {
	if in.suspended.IsZero() {
		in.suspended, in.updated = s.moment(), s.moment()
		s.announceInstallation("suspend", in)
	}
}

// unsuspend is called with mu held.
func (s *Server) unsuspend(in *installation) {
	if !in.suspended.IsZero() {
		in.suspended, in.updated = zeroTime(), s.moment()
		s.announceInstallation("unsuspend", in)
	}
}

// AddRepositories gives an installation more of its account's repositories.
func (s *Server) AddRepositories(installationID int64, repos ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installations[installationID]
	if in == nil {
		return notFound()
	}
	added, err := s.addTo(in, repos)
	if err != nil {
		return err
	}
	if len(added) > 0 {
		in.updated = s.moment()
		s.announceRepositories("added", in, added)
	}
	return nil
}

// RemoveRepositories takes repositories out of an installation that has a list
// of them.
func (s *Server) RemoveRepositories(installationID int64, repos ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.installations[installationID]
	if in == nil || in.all {
		return notFound()
	}
	var removed []*repository
	for _, name := range repos {
		r := s.repositoryOf(in.account, name)
		if r == nil || in.repos[r.id] == nil {
			return notFound()
		}
		delete(in.repos, r.id)
		removed = append(removed, r)
	}
	if len(removed) > 0 {
		in.updated = s.moment()
		s.announceRepositories("removed", in, removed)
	}
	return nil
}

// Installations returns an app's installations, oldest first.
func (s *Server) Installations(appID int64) []Installation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Installation
	for _, in := range s.installationsOf(s.apps[appID]) {
		list = append(list, s.snapshotInstallation(in))
	}
	return list
}

// addTo is called with mu held; it changes nothing when it refuses.
func (s *Server) addTo(in *installation, names []string) ([]*repository, error) {
	var added []*repository
	for _, name := range names {
		r := s.repositoryOf(in.account, name)
		if r == nil {
			return nil, notFound()
		}
		if !in.has(r) && !slices.Contains(added, r) {
			added = append(added, r)
		}
	}
	for _, r := range added {
		in.repos[r.id] = r
	}
	return added, nil
}

// has says whether an installation covers a repository.
func (in *installation) has(r *repository) bool {
	return r.owner == in.account && (in.all || in.repos[r.id] != nil)
}

// installedOn finds the app's installation on an account; nil when there is
// none. With mu held.
func (s *Server) installedOn(a *app, on *account) *installation {
	for _, in := range s.installations {
		if in.app == a && in.account == on {
			return in
		}
	}
	return nil
}

// installationsOf lists an app's, oldest first. With mu held.
func (s *Server) installationsOf(a *app) []*installation {
	return slices.DeleteFunc(s.allInstalled(), func(in *installation) bool { return in.app != a })
}

// allInstalled lists the installations of all apps, oldest first, so that what is
// told to several of them is told in an order that is always the same. With mu held.
func (s *Server) allInstalled() []*installation {
	return slices.SortedFunc(maps.Values(s.installations), func(a, b *installation) int { return cmp.Compare(a.id, b.id) })
}

// covered returns an installation's repositories by id. With mu held.
func (s *Server) covered(in *installation) []*repository {
	var list []*repository
	for _, r := range s.repositories {
		if in.has(r) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *repository) int { return int(a.id - b.id) })
	return list
}

func (s *Server) snapshotInstallation(in *installation) Installation {
	snap := Installation{ID: in.id, AppID: in.app.id, Account: in.account.snapshot(), All: in.all}
	for _, r := range s.covered(in) {
		snap.Repositories = append(snap.Repositories, r.fullName())
	}
	return snap
}
