package github

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tokenAge is how long an installation's token lasts.
const tokenAge = time.Hour

func appRoutes() []route {
	get, post := http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: "/rate_limit", serve: restRateLimit, uncounted: true},
		{method: get, path: "/users/{login}", serve: restUser},
		{method: get, path: "/app", as: anApp, serve: func(c *call) (reply, error) {
			o := c.s.renderApp(c.id.app)
			o["installations_count"] = len(c.s.installationsOf(c.id.app))
			return ok(o), nil
		}},
		{method: get, path: "/app/installations", as: anApp, serve: func(c *call) (reply, error) {
			return ok(rendered(page(c, c.s.installationsOf(c.id.app)), c.s.renderInstallation)), nil
		}},
		{method: get, path: "/app/installations/{id}", as: anApp, serve: func(c *call) (reply, error) {
			in, err := c.installation()
			if err != nil {
				return reply{}, err
			}
			return ok(c.s.renderInstallation(in)), nil
		}},
		{method: post, path: "/app/installations/{id}/access_tokens", as: anApp, serve: restAccessToken},
		{method: get, path: "/repos/{owner}/{repo}/installation", as: anApp, serve: func(c *call) (reply, error) {
			r := c.s.byName[fold(c.r.PathValue("owner")+"/"+c.r.PathValue("repo"))]
			if r == nil {
				return reply{}, c.elsewhere()
			}
			if in := c.s.installedOn(c.id.app, r.owner); in != nil && in.has(r) {
				return ok(c.s.renderInstallation(in)), nil
			}
			return reply{}, notFound()
		}},
		{method: get, path: "/users/{login}/installation", as: anApp, serve: restAccountInstallation},
		{method: get, path: "/orgs/{login}/installation", as: anApp, serve: restAccountInstallation},
		{method: get, path: "/installation/repositories", as: anInstallation, serve: restInstallationRepositories},
		{method: get, path: "/app/hook/deliveries", as: anApp, serve: restDeliveries, unlocked: true},
		{method: get, path: "/app/hook/deliveries/{id}", as: anApp, serve: restDelivery, unlocked: true},
		{method: post, path: "/app/hook/deliveries/{id}/attempts", as: anApp, unlocked: true, serve: func(c *call) (reply, error) {
			id, err := c.number("id")
			if err != nil {
				return reply{}, err
			}
			if err := c.s.Redeliver(c.id.app.id, id); err != nil {
				return reply{}, err
			}
			return reply{status: http.StatusAccepted, body: object{}}, nil
		}},
	}
}

// elsewhere is a redirect when the path's repository has moved within what the
// app is installed on; not found when not.
func (c *call) elsewhere() error {
	r := c.s.formerly[fold(c.r.PathValue("owner")+"/"+c.r.PathValue("repo"))]
	if r == nil {
		return notFound()
	}
	if in := c.s.installedOn(c.id.app, r.owner); in == nil || !in.has(r) {
		return notFound()
	}
	return c.s.movedTo(c, r)
}

func restUser(c *call) (reply, error) {
	a := c.s.accounts[fold(c.r.PathValue("login"))]
	if a == nil {
		return reply{}, notFound()
	}
	return ok(c.s.renderPublicUser(a)), nil
}

// installation finds the app's own installation that the path names.
func (c *call) installation() (*installation, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	in := c.s.installations[id]
	if in == nil || in.app != c.id.app {
		return nil, notFound()
	}
	return in, nil
}

func restAccountInstallation(c *call) (reply, error) {
	if a := c.s.accounts[fold(c.r.PathValue("login"))]; a != nil {
		if in := c.s.installedOn(c.id.app, a); in != nil {
			return ok(c.s.renderInstallation(in)), nil
		}
	}
	return reply{}, notFound()
}

// restAccessToken makes an installation's token, narrowed to what is asked for.
func restAccessToken(c *call) (reply, error) {
	in, err := c.installation()
	if err != nil {
		return reply{}, err
	}
	if !in.suspended.IsZero() {
		return reply{}, suspended()
	}
	var ask struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	t := &token{inst: in, perms: in.perms, expires: c.s.moment().Add(tokenAge)}
	if len(ask.Permissions) > 0 {
		t.perms = map[string]string{"metadata": "read"}
		for name, level := range ask.Permissions {
			if !(identity{perms: in.perms}).grants(name+":"+level) || (level != "read" && level != "write" && level != "admin") {
				return reply{}, refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
			t.perms[name] = level
		}
	}
	out := object{"permissions": copied(t.perms), "repository_selection": in.selection()}
	if len(ask.Repositories)+len(ask.RepositoryIDs) > 0 {
		list, err := c.narrowed(in, ask.Repositories, ask.RepositoryIDs)
		if err != nil {
			return reply{}, err
		}
		t.repos = map[int64]bool{}
		for _, r := range list {
			t.repos[r.id] = true
		}
		out["repository_selection"], out["repositories"] = "selected", rendered(list, c.s.renderRepository)
	}
	maps.DeleteFunc(c.s.tokens, func(_ string, old *token) bool { return !old.expires.IsZero() && !c.s.now().Before(old.expires) })
	secret := "ghs_" + randomText(36)
	c.s.tokens[secret] = t
	out["token"], out["expires_at"] = secret, stamp(t.expires)
	return created(out), nil
}

// narrowed finds the repositories that a token is asked for, all of which the
// installation must have.
func (c *call) narrowed(in *installation, names []string, ids []int64) ([]*repository, error) {
	var list []*repository
	add := func(r *repository) error {
		if r == nil || !in.has(r) {
			return refuse(http.StatusUnprocessableEntity,
				"There is at least one repository that does not exist or is not accessible to the parent installation.")
		}
		if !slices.Contains(list, r) {
			list = append(list, r)
		}
		return nil
	}
	for _, name := range names {
		if strings.Contains(name, "/") {
			return nil, add(nil)
		}
		if err := add(c.s.repositoryOf(in.account, name)); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := add(c.s.repositories[id]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func restInstallationRepositories(c *call) (reply, error) {
	var list []*repository
	for _, r := range c.s.covered(c.id.inst) {
		if c.id.reaches(r) {
			list = append(list, r)
		}
	}
	selection := c.id.inst.selection()
	if c.id.token.repos != nil {
		selection = "selected"
	}
	return ok(object{
		"total_count": len(list), "repository_selection": selection,
		"repositories": rendered(page(c, list), func(r *repository) object {
			o := c.s.renderRepository(r)
			o["permissions"] = renderRole(c.role(r))
			return o
		}),
	}), nil
}

// role is what the caller amounts to in a repository.
func (c *call) role(r *repository) string {
	switch {
	case c.id.inst != nil && c.id.reaches(r) && c.id.grants("contents:write"):
		return "write"
	case c.id.inst != nil, c.id.nameless():
		return "read"
	}
	return r.roleOf(c.id.account)
}

// restDeliveries lists the log, newest first. The cursor is the id below which
// the page begins.
func restDeliveries(c *call) (reply, error) {
	size := 30
	if text := c.query("per_page"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return reply{}, refuse(http.StatusBadRequest, "Invalid per_page")
		}
		size = min(n, 100)
	}
	list := c.id.app.courier.entries()
	if cursor := c.query("cursor"); cursor != "" {
		below, err := strconv.ParseInt(strings.TrimPrefix(cursor, "v1_"), 10, 64)
		if err != nil {
			return reply{}, refuse(http.StatusBadRequest, "Invalid cursor")
		}
		list = slices.DeleteFunc(list, func(d *delivered) bool { return d.id >= below })
	}
	if status := c.query("status"); status != "" {
		list = slices.DeleteFunc(list, func(d *delivered) bool { return (d.code < 400) != (status == "success") })
	}
	if len(list) > size {
		list = list[:size]
		c.s.mu.Lock()
		c.header.Set("Link", c.link("next", map[string]string{"cursor": fmt.Sprintf("v1_%d", list[size-1].id)}))
		c.s.mu.Unlock()
	}
	return ok(rendered(list, renderDelivery)), nil
}

func restDelivery(c *call) (reply, error) {
	id, err := c.number("id")
	if err != nil {
		return reply{}, err
	}
	d := c.id.app.courier.find(id)
	if d == nil {
		return reply{}, notFound()
	}
	o := renderDelivery(d)
	o["url"] = d.url
	o["request"] = object{"headers": d.requestHeaders, "payload": json.RawMessage(d.payload)}
	o["response"] = object{"headers": copied(d.responseHeaders), "payload": d.responseBody}
	return ok(o), nil
}

func renderDelivery(d *delivered) object {
	orNone := func(id int64) any {
		if id == 0 {
			return nil
		}
		return id
	}
	return object{
		"id": d.id, "guid": d.guid, "delivered_at": stamp(d.at), "redelivery": d.redelivery,
		"duration": float64(d.duration.Milliseconds()) / 1000, "status": d.status, "status_code": d.code, "event": d.event,
		"action": orNull(d.action), "installation_id": orNone(d.installation), "repository_id": orNone(d.repository), "throttled_at": nil,
	}
}
