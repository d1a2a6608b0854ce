package github

import (
	"cmp"
	"net/http"
)

// moveRoutes are what moves repositories and rests installations.
func moveRoutes() []route {
	const repo = "/repos/{owner}/{repo}"
	need := []string{"administration:write"}
	return []route{
		{method: http.MethodPatch, path: repo, need: need, role: "admin", serve: restEditRepository},
		{method: http.MethodPost, path: repo + "/transfer", need: need, role: "admin", serve: restTransfer},
		{method: http.MethodDelete, path: "/app/installations/{id}", as: anApp, serve: onInstallation((*Server).uninstall)},
		{method: http.MethodPut, path: "/app/installations/{id}/suspended", as: anApp, serve: onInstallation((*Server).suspend)},
		{method: http.MethodDelete, path: "/app/installations/{id}/suspended", as: anApp, serve: onInstallation((*Server).unsuspend)},
	}
}

// restEditRepository renames; nothing else of a repository can be changed here.
func restEditRepository(c *call) (reply, error) {
	var ask struct {
		Name string `json:"name"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if ask.Name != "" {
		if err := c.s.rename(c.by(), c.repo, ask.Name); err != nil {
			return reply{}, err
		}
	}
	return ok(c.s.renderFullRepository(c.repo, c.role(c.repo))), nil
}

// restTransfer answers with the repository as it was.
func restTransfer(c *call) (reply, error) {
	var ask struct {
		NewOwner string `json:"new_owner"`
		NewName  string `json:"new_name"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if ask.NewOwner == "" {
		return reply{}, missing("new_owner")
	}
	was := c.s.renderRepository(c.repo)
	if err := c.s.transfer(c.by(), c.repo, ask.NewOwner, cmp.Or(ask.NewName, c.repo.name)); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusAccepted, body: was}, nil
}

func onInstallation(do func(*Server, *installation)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		in, err := c.installation()
		if err != nil {
			return reply{}, err
		}
		do(c.s, in)
		return noContent(), nil
	}
}
