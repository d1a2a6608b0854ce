package github

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
)

func (s *Server) controlToken(r *http.Request) (any, error) {
	var ask struct {
		Login string `json:"login"`
	}
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	token, err := s.CreatePersonalToken(ask.Login)
	return object{"token": token}, err
}

func (s *Server) controlUser(r *http.Request) (any, error) {
	var ask struct {
		Login string `json:"login"`
		Owner string `json:"owner"`
	}
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	create := func() (User, error) { return s.CreateUser(ask.Login) }
	if ask.Owner != "" {
		create = func() (User, error) { return s.CreateOrganization(ask.Login, ask.Owner) }
	}
	user, err := create()
	return object{"id": user.ID, "login": user.Login, "type": user.Type}, err
}

// newRepository is the body of POST /_sandbox/repositories. Without files it has
// no commit; collaborators are roles by login.
type newRepository struct {
	Owner         string            `json:"owner"`
	Name          string            `json:"name"`
	Private       bool              `json:"private"`
	Description   string            `json:"description"`
	Files         map[string]string `json:"files"`
	Protected     []string          `json:"protected"`
	Collaborators map[string]string `json:"collaborators"`
}

func (s *Server) controlRepository(r *http.Request) (any, error) {
	var ask newRepository
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	spec := RepositorySpec{Owner: ask.Owner, Name: ask.Name, Private: ask.Private, Description: ask.Description, Protected: ask.Protected}
	if ask.Files != nil {
		spec.Files = map[string][]byte{}
		for path, text := range ask.Files {
			spec.Files[path] = []byte(text)
		}
	}
	made, err := s.CreateRepository(spec)
	if err != nil {
		return nil, err
	}
	for _, login := range slices.Sorted(maps.Keys(ask.Collaborators)) {
		if err := s.SetCollaborator(ask.Owner, ask.Name, login, ask.Collaborators[login]); err != nil {
			return nil, err
		}
	}
	return object{"id": made.ID, "owner": made.Owner, "name": made.Name, "default_branch": made.DefaultBranch}, nil
}

func (s *Server) controlDelete(r *http.Request) (any, error) {
	var ask struct {
		Actor string `json:"actor"`
	}
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil {
		return nil, notFound()
	}
	return nil, s.DeleteIssue(ask.Actor, r.PathValue("owner"), r.PathValue("repo"), number)
}

func (s *Server) controlInstall(r *http.Request) (any, error) {
	var ask struct {
		AppID        int64    `json:"app_id"`
		Account      string   `json:"account"`
		Repositories []string `json:"repositories"`
	}
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	in, err := s.Install(ask.AppID, ask.Account, ask.Repositories...)
	return in.object(), err
}

// allInstallations lists those of all apps, oldest first.
func (s *Server) allInstallations() []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []object{}
	for _, in := range s.allInstalled() {
		o := s.snapshotInstallation(in).object()
		o["suspended"] = !in.suspended.IsZero()
		list = append(list, o)
	}
	return list
}

func (in Installation) object() object {
	return object{
		"id": in.ID, "app_id": in.AppID, "account": in.Account.Login, "all": in.All, "repositories": listOf(in.Repositories),
	}
}
