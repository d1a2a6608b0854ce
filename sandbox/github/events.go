package github

import (
	"maps"
	"slices"
)

// emit tells every app that is installed on a repository and has asked for the
// event. With mu held; the payload is a snapshot of now.
func (s *Server) emit(r *repository, event, action string, by actor, payload object) {
	for _, id := range slices.Sorted(maps.Keys(s.apps)) { // in order, for each draws what befalls its delivery
		a := s.apps[id]
		in := s.installedOn(a, r.owner)
		if in == nil || !in.suspended.IsZero() || !in.has(r) || !slices.Contains(in.events, event) {
			continue
		}
		full := object{
			"sender":       s.renderUser(by.account),
			"installation": object{"id": in.id, "node_id": nodeID("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", in.id)},
		}
		if r.owner.kind == "Organization" {
			full["organization"] = s.renderOrganization(r.owner)
		}
		full["repository"] = s.renderRepository(r)
		if action != "" {
			full["action"] = action
		}
		for name, value := range payload {
			full[name] = value
		}
		s.send(a, event, action, in, r, full)
	}
}

// announceThread tells of a change to an issue or a pull request; more holds the
// fields that this action adds. With mu held.
func (s *Server) announceThread(action string, th *thread, by actor, more object) {
	event, payload := "issues", object{}
	if th.pull == nil {
		payload["issue"] = s.renderIssue(th)
	} else {
		event = "pull_request"
		payload["number"], payload["pull_request"] = th.number, s.renderPull(th)
	}
	for name, value := range more {
		payload[name] = value
	}
	s.emit(th.repo, event, action, by, payload)
}

// announceComment is called with mu held.
func (s *Server) announceComment(action string, c *comment, by actor, more object) {
	payload := object{"issue": s.renderIssue(c.thread), "comment": s.renderComment(c)}
	for name, value := range more {
		payload[name] = value
	}
	s.emit(c.thread.repo, "issue_comment", action, by, payload)
}

// announceInstallation tells an app about its own installation, whether it has
// asked or not. With mu held.
func (s *Server) announceInstallation(action string, in *installation) {
	payload := object{"action": action, "installation": s.renderInstallation(in), "sender": s.renderUser(in.account.responsible())}
	if action == "created" || action == "deleted" {
		payload["repositories"], payload["requester"] = briefly(s.covered(in)), nil
	}
	s.send(in.app, "installation", action, in, nil, payload)
}

// announceRepositories is called with mu held. action is added or removed.
func (s *Server) announceRepositories(action string, in *installation, repos []*repository) {
	if !in.suspended.IsZero() {
		return
	}
	added, removed := briefly(repos), []object{}
	if action == "removed" {
		added, removed = removed, added
	}
	s.send(in.app, "installation_repositories", action, in, nil, object{
		"action": action, "installation": s.renderInstallation(in), "repository_selection": in.selection(),
		"repositories_added": added, "repositories_removed": removed, "requester": nil,
		"sender": s.renderUser(in.account.responsible()),
	})
}

// ping greets a webhook. With mu held.
func (s *Server) ping(a *app) {
	s.send(a, "ping", "", nil, nil, object{
		"zen":     "Non-blocking is better than blocking.",
		"hook_id": a.hookID,
		"hook": object{
			"type": "App", "id": a.hookID, "name": "web", "active": true, "events": a.events, "app_id": a.id,
			"config":     object{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": a.hookURL},
			"created_at": stamp(a.created), "updated_at": stamp(s.moment()), "deliveries_url": s.apiURL("/app/hook/deliveries"),
		},
	})
}

// briefly is how events about installations list repositories.
func briefly(repos []*repository) []object {
	list := []object{}
	for _, r := range repos {
		list = append(list, object{
			"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		})
	}
	return list
}
