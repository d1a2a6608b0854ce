package github

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A repository keeps its id when it is renamed or transferred, and its old name
// leads to it until another repository takes that. The API answers the old name
// with a redirect to /repositories/{id}, git with one to the new name; methods of
// Server take the old name as well.

// RenameRepository gives a repository another name as one who administers it.
func (s *Server) RenameRepository(actor, owner, repo, name string) (Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, r, err := s.acting(actor, owner, repo, "admin")
	if err != nil {
		return Repository{}, err
	}
	if err := s.rename(by, r, name); err != nil {
		return Repository{}, err
	}
	return r.snapshot(), nil
}

// TransferRepository gives a repository to another account, as one who administers
// it and is the new owner or owns the new organisation. It is done at once, where
// GitHub takes a moment and asks a person first. Installations on the old account
// lose it; one on the new account has it when it is on all repositories.
func (s *Server) TransferRepository(actor, owner, repo, newOwner string) (Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, r, err := s.acting(actor, owner, repo, "admin")
	if err != nil {
		return Repository{}, err
	}
	if err := s.transfer(by, r, newOwner, r.name); err != nil {
		return Repository{}, err
	}
	return r.snapshot(), nil
}

// rename is called with mu held.
func (s *Server) rename(by actor, r *repository, name string) error {
	if name == r.name {
		return nil
	}
	if err := s.mayBeNamed(r, r.owner, name); err != nil {
		return err
	}
	was := r.name
	s.rehouse(r, r.owner, name)
	s.emit(r, "repository", "renamed", by, object{"changes": object{"repository": object{"name": object{"from": was}}}})
	return nil
}

// transfer is called with mu held.
func (s *Server) transfer(by actor, r *repository, newOwner, name string) error {
	to, was := s.accounts[fold(newOwner)], r.owner
	switch {
	case to == nil || to.kind == "Bot":
		return invalid(FieldError{Resource: "Repository", Field: "new_owner", Code: "invalid", Message: fmt.Sprintf("%q is not an account", newOwner)})
	case to == was:
		return invalid(FieldError{Resource: "Repository", Field: "new_owner", Code: "invalid", Message: "Repositories cannot be transferred to the original owner"})
	case to != by.account && to.owner != by.account && by.account != was.responsible():
		return refuse(http.StatusForbidden, "You don't have the permission to create repositories on "+to.login)
	}
	if err := s.mayBeNamed(r, to, name); err != nil {
		return err
	}
	var lost []*installation
	all := s.allInstalled()
	for _, in := range all {
		if in.has(r) {
			lost = append(lost, in)
			delete(in.repos, r.id)
		}
	}
	s.rehouse(r, to, name)
	for _, in := range lost {
		in.updated = s.moment()
		s.announceRepositories("removed", in, []*repository{r})
	}
	for _, in := range all {
		if in.has(r) {
			in.updated = s.moment()
			s.announceRepositories("added", in, []*repository{r})
		}
	}
	kind := "user"
	if was.kind == "Organization" {
		kind = "organization"
	}
	s.emit(r, "repository", "transferred", by, object{"changes": object{"owner": object{"from": object{kind: s.renderUser(was)}}}})
	return nil
}

// rehouse moves a repository and leaves a redirect. With mu held.
func (s *Server) rehouse(r *repository, owner *account, name string) {
	old := fold(r.fullName())
	delete(s.byName, old)
	r.owner, r.name, r.updated = owner, name, s.moment()
	s.formerly[old] = r
	s.lodge(r)
}

// lodge makes a repository be found by its name, which leads nowhere else from
// then on. With mu held.
func (s *Server) lodge(r *repository) {
	key := fold(r.fullName())
	delete(s.formerly, key)
	s.byName[key] = r
}

// mayBeNamed refuses names that are impossible, or taken by another. With mu held.
func (s *Server) mayBeNamed(r *repository, owner *account, name string) error {
	if !repositoryShape.MatchString(name) || strings.HasSuffix(name, ".git") {
		return invalid(FieldError{Resource: "Repository", Field: "name", Code: "invalid", Message: fmt.Sprintf("name %q is not possible", name)})
	}
	if other := s.byName[fold(owner.login+"/"+name)]; other != nil && other != r {
		return invalid(FieldError{Resource: "Repository", Field: "name", Code: "custom", Message: "name already exists on this account"})
	}
	return nil
}

// located turns a request for /repositories/{id}/… into one for the repository's
// own name, and for one that is not there into one for a name that nobody can
// have: whoever may ask hears 404.
func (s *Server) located(r *http.Request) *http.Request {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/api/v3/repositories/")
	if !ok {
		return r
	}
	text, rest, _ := strings.Cut(rest, "/")
	id, err := strconv.ParseInt(text, 10, 64)
	s.mu.Lock()
	repo := s.repositories[id]
	name := "-/-"
	if repo != nil {
		name = repo.fullName()
	}
	s.mu.Unlock()
	if err != nil {
		return r
	}
	escaped := strings.TrimSuffix("/api/v3/repos/"+name+"/"+rest, "/")
	r = r.Clone(r.Context())
	if path, err := url.PathUnescape(escaped); err == nil {
		r.URL.Path, r.URL.RawPath = path, escaped
	}
	return r
}

// movedTo is the API's answer to an old name: a redirect by id, that keeps the
// method. With mu held.
func (s *Server) movedTo(c *call, r *repository) *Error {
	status := http.StatusMovedPermanently
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		status = http.StatusTemporaryRedirect
	}
	parts := strings.SplitN(strings.TrimPrefix(c.r.URL.EscapedPath(), "/api/v3/repos/"), "/", 3)
	to := s.apiURL(fmt.Sprintf("/repositories/%d", r.id))
	if len(parts) == 3 {
		to += "/" + parts[2]
	}
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	e := refuse(status, "Moved Permanently")
	e.docs = "https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects"
	e.header, e.more = map[string]string{"Location": to}, object{"url": to}
	return e
}

// gitMoved sends git on to the new name. With mu held.
func (s *Server) gitMoved(r *http.Request, repo *repository) *Error {
	e := refuse(http.StatusMovedPermanently, "Moved Permanently")
	e.header = map[string]string{"Location": s.url + "/" + repo.fullName() + ".git/info/refs?" + r.URL.RawQuery}
	return e
}
