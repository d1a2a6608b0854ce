package github

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// RepositorySpec describes a new repository.
type RepositorySpec struct {
	Owner, Name string
	Private     bool
	Description string
	// Files are the content of the first commit on main, by path. Nil: an empty
	// repository with no commit at all.
	Files map[string][]byte
	// Protected names the branches that refuse pushes and deletion.
	Protected []string
}

// CreateRepository makes a repository whose default branch is main.
func (s *Server) CreateRepository(spec RepositorySpec) (Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner := s.accounts[fold(spec.Owner)]
	if owner == nil {
		return Repository{}, notFound()
	}
	if err := s.mayBeNamed(nil, owner, spec.Name); err != nil {
		return Repository{}, err
	}
	r := &repository{
		id: s.newID(repositoryID), owner: owner, name: spec.Name, private: spec.Private, description: spec.Description,
		defaultBranch: "main", protected: map[string]bool{}, collaborators: map[int64]string{}, contributors: map[int64]bool{},
		created: s.moment(), updated: s.moment(), pushed: s.moment(),
	}
	for _, branch := range spec.Protected {
		r.protected[branch] = true
	}
	for _, l := range standardLabels() {
		l.id = s.newID(labelID)
		r.labels = append(r.labels, &l)
	}
	r.dir = filepath.Join(s.dir, strconv.FormatInt(r.id, 10)+".git")
	if err := initRepository(r.dir, s.gitHooks(), r.defaultBranch); err != nil {
		return Repository{}, err
	}
	if spec.Files != nil {
		who := owner.responsible()
		if err := firstCommit(r.dir, r.defaultBranch, who, s.moment(), spec.Files); err != nil {
			return Repository{}, err
		}
		r.contributors[who.id] = true
	}
	s.repositories[r.id] = r
	s.lodge(r)
	for _, in := range s.allInstalled() {
		if in.all && in.has(r) {
			s.announceRepositories("added", in, []*repository{r})
		}
	}
	return r.snapshot(), nil
}

// SetCollaborator gives a person a role in a repository: read, triage, write,
// maintain or admin; an empty role takes it away.
func (s *Server) SetCollaborator(owner, repo, login, role string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.repository(owner, repo)
	if err != nil {
		return err
	}
	who, err := s.person(login)
	if err != nil {
		return err
	}
	if role == "" {
		delete(r.collaborators, who.id)
		return nil
	}
	if !slices.Contains(roles(), role) || role == "none" {
		return invalid(FieldError{Resource: "Repository", Field: "permission", Code: "invalid", Message: fmt.Sprintf("role %q is not one of %s", role, strings.Join(roles()[1:], ", "))})
	}
	r.collaborators[who.id] = role
	return nil
}

// Repositories returns all repositories, oldest first.
func (s *Server) Repositories() []Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Repository, 0, len(s.repositories))
	for _, r := range s.repositories {
		list = append(list, r.snapshot())
	}
	slices.SortFunc(list, func(a, b Repository) int { return int(a.ID - b.ID) })
	return list
}

// Labels returns a repository's labels by name.
func (s *Server) Labels(owner, repo string) ([]Label, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.repository(owner, repo)
	if err != nil {
		return nil, err
	}
	list := snapshotLabels(r.labels)
	slices.SortFunc(list, func(a, b Label) int { return strings.Compare(fold(a.Name), fold(b.Name)) })
	return list, nil
}

func (r *repository) snapshot() Repository {
	return Repository{ID: r.id, Owner: r.owner.login, Name: r.name, Description: r.description, DefaultBranch: r.defaultBranch, Private: r.private}
}

func snapshotLabels(labels []*label) []Label {
	list := make([]Label, len(labels))
	for i, l := range labels {
		list[i] = Label{Name: l.name, Color: l.color, Description: l.description}
	}
	return list
}

var repositoryShape = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// repository is called with mu held.
func (s *Server) repository(owner, name string) (*repository, error) {
	if r := s.byName[fold(owner+"/"+name)]; r != nil {
		return r, nil
	}
	if r := s.formerly[fold(owner+"/"+name)]; r != nil {
		return r, nil
	}
	return nil, notFound()
}

// repositoryOf finds an account's repository by "name" or "owner/name"; nil when
// there is none. With mu held.
func (s *Server) repositoryOf(owner *account, name string) *repository {
	if login, rest, full := strings.Cut(name, "/"); full {
		if fold(login) != fold(owner.login) {
			return nil
		}
		name = rest
	}
	return s.byName[fold(owner.login+"/"+name)]
}

// roles lists what one can be to a repository, least first.
func roles() []string { return []string{"none", "read", "triage", "write", "maintain", "admin"} }

// atLeast says whether a role includes another.
func atLeast(role, want string) bool {
	return slices.Index(roles(), role) >= slices.Index(roles(), want)
}

// roleOf is what an account is to a repository: the best of its ways in. With mu
// held.
func (r *repository) roleOf(a *account) string {
	role := "none"
	better := func(other string) {
		if atLeast(other, role) {
			role = other
		}
	}
	if !r.private {
		better("read")
	}
	if r.owner.members[a.id] != nil {
		better("read")
	}
	if given := r.collaborators[a.id]; given != "" {
		better(given)
	}
	if r.owner == a || r.owner.owner == a {
		better("admin")
	}
	return role
}

// association is what GitHub calls author_association: public knowledge, no
// permission. Nobody's membership is public here, which is how GitHub begins; so a
// member is at best a contributor. With mu held.
func (r *repository) association(a *account) string {
	switch {
	case r.owner == a:
		return "OWNER"
	case r.collaborators[a.id] != "":
		return "COLLABORATOR"
	case r.contributors[a.id]:
		return "CONTRIBUTOR"
	}
	return "NONE"
}

// standardLabels are what GitHub puts into every new repository.
func standardLabels() []label {
	return []label{
		{name: "bug", color: "d73a4a", description: "Something isn't working", standard: true},
		{name: "documentation", color: "0075ca", description: "Improvements or additions to documentation", standard: true},
		{name: "duplicate", color: "cfd3d7", description: "This issue or pull request already exists", standard: true},
		{name: "enhancement", color: "a2eeef", description: "New feature or request", standard: true},
		{name: "good first issue", color: "7057ff", description: "Good for newcomers", standard: true},
		{name: "help wanted", color: "008672", description: "Extra attention is needed", standard: true},
		{name: "invalid", color: "e4e669", description: "This doesn't seem right", standard: true},
		{name: "question", color: "d876e3", description: "Further information is requested", standard: true},
		{name: "wontfix", color: "ffffff", description: "This will not be worked on", standard: true},
	}
}
