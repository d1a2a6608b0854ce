package hetzner

import (
	"net/http"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// action is something that takes a while.
type action struct {
	id        int64
	project   *project
	command   string
	started   time.Time
	ends      time.Time // when it is to end
	finished  time.Time // zero: it runs
	failed    bool
	doomed    bool        // a fault will have it fail
	hold      func() bool // while true it goes on running, if past its time; nil: never
	resources []schema.ActionResourceReference
}

func ref(kind string, id int64) schema.ActionResourceReference {
	return schema.ActionResourceReference{ID: id, Type: kind}
}

// begin starts an action that takes so long from at on. done is what comes of it,
// with mu held: failed when a fault has it fail, and then nothing came of it. done
// may be nil. With mu held.
func (s *Server) begin(
	p *project, at time.Time, command string, takes time.Duration, done func(at time.Time, failed bool), on ...schema.ActionResourceReference,
) *action {
	a := &action{id: s.nextID(), project: p, command: command, started: at, resources: on}
	s.actions[a.id] = a
	if rule, strikes := s.roll(occasion{at: onAction, path: "/" + command}, anyRule); strikes {
		s.dice.Hit(rule.Kind)
		if a.doomed = rule.Kind == ActionFailed; !a.doomed {
			takes += rule.lasts()
		}
	}
	a.ends = at.Add(takes)
	var end func(at time.Time)
	end = func(at time.Time) {
		if a.hold != nil && a.hold() {
			// From now, not from when it was due: a clock that has jumped would have it asked
			// again for every moment in between.
			s.later(s.now().Add(20*time.Millisecond), end)
			return
		}
		a.finished, a.failed = at, a.doomed
		if done != nil {
			done(at, a.failed)
		}
	}
	s.later(a.ends, end)
	return a
}

func (a *action) runs() bool { return a.finished.IsZero() }

func (a *action) status() string {
	switch {
	case a.runs():
		return "running"
	case a.failed:
		return "error"
	}
	return "success"
}

// render is the action as the API shows it. With mu held.
func (s *Server) render(a *action) schema.Action {
	out := schema.Action{
		ID: a.id, Command: a.command, Status: a.status(), Started: moment(a.started), Resources: a.resources, Progress: 100,
	}
	if a.runs() {
		whole, gone := a.ends.Sub(a.started), s.now().Sub(a.started)
		out.Progress = min(95, int(100*gone/max(whole, 1)))
	} else {
		at := moment(a.finished)
		out.Finished = &at
	}
	if a.failed {
		out.Error = &schema.ActionError{Code: "action_failed", Message: "Action failed"}
	}
	return out
}

func (s *Server) renderAll(all ...*action) []schema.Action {
	out := []schema.Action{}
	for _, a := range all {
		out = append(out, s.render(a))
	}
	return out
}

func (a *action) listed() listed {
	return listed{id: a.id, status: a.status(), created: a.started}
}

// on says whether an action is about a kind of thing, and about one of them unless
// id is 0.
func (a *action) on(kind string, id int64) bool {
	for _, r := range a.resources {
		if (kind == "" || r.Type == kind) && (id == 0 || r.ID == id) {
			return true
		}
	}
	return false
}

// actionRoutes are those of all actions, and of each kind of thing that has some.
func actionRoutes() []route {
	routes := []route{
		{"GET /v1/actions", func(c *call) (reply, error) {
			// All of a project's cannot be asked for since January 2025.
			if len(c.r.URL.Query()["id"]) == 0 {
				e := refuse(http.StatusGone, "deprecated_api_endpoint", "API functionality was removed")
				e.Details = object{"announcement": "https://docs.hetzner.cloud/changelog#2023-07-20-actions-list-endpoint-is-deprecated"}
				return reply{}, e
			}
			return c.listActions("", 0)
		}},
		{"GET /v1/actions/{action}", func(c *call) (reply, error) { return c.oneAction("", 0) }},
	}
	for path, kind := range map[string]string{
		"servers": "server", "images": "image", "primary_ips": "primary_ip", "volumes": "volume", "firewalls": "firewall",
	} {
		routes = append(routes,
			route{"GET /v1/" + path + "/actions", func(c *call) (reply, error) { return c.listActions(kind, 0) }},
			// Both /servers/actions/7 and /servers/7/actions: a mux takes only one of the two patterns.
			route{"GET /v1/" + path + "/{id}/{action}", func(c *call) (reply, error) {
				switch {
				case c.r.PathValue("id") == "actions":
					return c.oneAction(kind, 0)
				case c.r.PathValue("action") == "actions":
					return c.listActions(kind, c.id())
				}
				return reply{}, noSuchPath()
			}},
			route{"GET /v1/" + path + "/{id}/actions/{action}", func(c *call) (reply, error) { return c.oneAction(kind, c.id()) }},
		)
	}
	return routes
}

func (c *call) listActions(kind string, id int64) (reply, error) {
	mine := map[int64]*action{}
	for _, a := range c.s.actions {
		if a.project == c.p && a.on(kind, id) {
			mine[a.id] = a
		}
	}
	c.stale = false // a list of actions is asked for by id
	return list(c, "actions", mine, (*action).listed, c.s.render, "id", "status")
}

func (c *call) oneAction(kind string, id int64) (reply, error) {
	number, err := strconv.ParseInt(c.r.PathValue("action"), 10, 64)
	a := c.s.actions[number]
	if err != nil || a == nil || a.project != c.p || !a.on(kind, id) {
		return reply{}, notFound("action", number)
	}
	return ok(object{"action": c.s.render(a)}), nil
}
