package github

import (
	"net/http"
	"strings"
)

// route is one operation of the API.
type route struct {
	method, path string
	serve        func(*call) (reply, error)
	// as says who may call at all.
	as audience
	// need lists the permissions of which an installation's token must have one.
	// With none, metadata: read, which every token has, is enough.
	need []string
	// role is what a person must be to the repository. Empty: a reader.
	role string
	// unlocked handlers are called without mu and take it themselves.
	unlocked bool
	// uncounted requests do not count against the rate limit.
	uncounted bool
}

type audience int

const (
	anyone audience = iota
	anApp
	anInstallation
)

// allow refuses callers who may not, and finds the repository for those who may.
// With mu held.
func (s *Server) allow(c *call, rt route) *Error {
	if len(rt.need) > 0 && c.id.inst != nil {
		c.header.Set("X-Accepted-GitHub-Permissions", strings.ReplaceAll(strings.Join(rt.need, "; "), ":", "="))
	}
	switch {
	case rt.as == anApp && !c.id.byKey():
		return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	case rt.as == anInstallation && c.id.inst == nil:
		return refuse(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	case rt.as == anyone && c.id.byKey():
		return badCredentials()
	}
	if !strings.HasPrefix(rt.path, "/repos/{owner}/{repo}") || rt.as == anApp {
		return nil
	}
	name := fold(c.r.PathValue("owner") + "/" + c.r.PathValue("repo"))
	r := s.byName[name]
	if left := s.formerly[name]; r == nil && left != nil && s.sees(c.id, left) {
		return s.movedTo(c, left)
	}
	if r == nil || !s.sees(c.id, r) {
		return notFound()
	}
	c.repo = r
	write := rt.method != http.MethodGet
	switch {
	case c.id.inst != nil:
		// What is public may be read by any token, whatever it was made for.
		if !r.private && !write && rt.role == "" {
			return nil
		}
		if !c.id.reaches(r) || !c.grantsOne(rt.need) {
			return notAccessible()
		}
	case c.id.nameless():
		if write || rt.role != "" {
			return refuse(http.StatusUnauthorized, "Requires authentication")
		}
	case rt.role != "" && !atLeast(r.roleOf(c.id.account), rt.role):
		return refuse(http.StatusForbidden, "Must have "+map[string]string{"triage": "triage", "write": "push", "admin": "admin"}[rt.role]+" access to repository.")
	}
	return nil
}

func (c *call) grantsOne(need []string) bool {
	for _, one := range need {
		if c.id.grants(one) {
			return true
		}
	}
	return len(need) == 0
}

// mayTouch refuses an installation whose token has no say over this kind of
// thread: issues need issues, pull requests are open to either permission.
func (c *call) mayTouch(th *thread, level string) error {
	if c.id.inst == nil || c.id.grants("issues:"+level) || (level == "read" && !th.repo.private) {
		return nil
	}
	if th.pull != nil && c.id.grants("pull_requests:"+level) {
		return nil
	}
	return notAccessible()
}
