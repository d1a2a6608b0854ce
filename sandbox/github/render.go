package github

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"
)

// object is a JSON object under construction. Renderers copy what they show, so
// that it can be marshalled without mu; they are called with mu held.
type object = map[string]any

// nodeID makes a global id the way GitHub's newer ones look: a prefix and the
// number in MessagePack.
func nodeID(prefix string, id int64) string {
	packed := binary.BigEndian.AppendUint64([]byte{0x92, 0x00, 0xcf}, uint64(id)) //nolint:gosec // ids are positive
	return prefix + "_" + base64.RawURLEncoding.EncodeToString(packed)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// maybe is a timestamp that may not have come yet.
func maybe(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// orNull is GitHub's null for a text that is not there.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (s *Server) apiURL(path string) string { return s.url + "/api/v3" + path }

// renderUser is GitHub's "simple user"; an organisation looks the same.
func (s *Server) renderUser(a *account) object {
	if a == nil {
		return nil
	}
	api := s.apiURL("/users/" + a.login)
	html, prefix := s.url+"/"+a.login, "U"
	switch a.kind {
	case "Bot":
		html, prefix = s.url+"/apps/"+a.login[:len(a.login)-len("[bot]")], "BOT"
	case "Organization":
		prefix = "O"
	}
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID(prefix, a.id), "avatar_url": fmt.Sprintf("%s/avatars/u/%d?v=4", s.url, a.id),
		"gravatar_id": "", "url": api, "html_url": html, "followers_url": api + "/followers",
		"following_url": api + "/following{/other_user}", "gists_url": api + "/gists{/gist_id}",
		"starred_url": api + "/starred{/owner}{/repo}", "subscriptions_url": api + "/subscriptions",
		"organizations_url": api + "/orgs", "repos_url": api + "/repos", "events_url": api + "/events{/privacy}",
		"received_events_url": api + "/received_events", "type": a.kind, "user_view_type": "public", "site_admin": false,
	}
}

// userOrNull keeps a missing user a JSON null.
func (s *Server) userOrNull(a *account) any {
	if a == nil {
		return nil
	}
	return s.renderUser(a)
}

// renderPublicUser is what GET /users/{login} answers.
func (s *Server) renderPublicUser(a *account) object {
	o := s.renderUser(a)
	public := 0
	for _, r := range s.repositories {
		if r.owner == a && !r.private {
			public++
		}
	}
	for name, value := range (object{
		"name": nil, "company": nil, "blog": "", "location": nil, "email": nil, "hireable": nil, "bio": nil,
		"twitter_username": nil, "public_repos": public, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": stamp(a.created), "updated_at": stamp(a.created),
	}) {
		o[name] = value
	}
	return o
}

// renderOrganization is how webhooks show the organisation that owns a
// repository.
func (s *Server) renderOrganization(a *account) object {
	api := s.apiURL("/orgs/" + a.login)
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("O", a.id), "url": api, "repos_url": api + "/repos",
		"events_url": api + "/events", "hooks_url": api + "/hooks", "issues_url": api + "/issues",
		"members_url": api + "/members{/member}", "public_members_url": api + "/public_members{/member}",
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d?v=4", s.url, a.id), "description": "",
	}
}

// renderApp is an integration as everyone sees it.
func (s *Server) renderApp(a *app) object {
	return object{
		"id": a.id, "slug": a.slug, "client_id": a.clientID(), "node_id": nodeID("A", a.id), "owner": s.renderUser(a.owner),
		"name": a.name, "description": "", "external_url": s.url + "/apps/" + a.slug, "html_url": s.url + "/apps/" + a.slug,
		"created_at": stamp(a.created), "updated_at": stamp(a.created), "permissions": copied(a.perms), "events": listOf(a.events),
	}
}

func (s *Server) appOrNull(a *app) any {
	if a == nil {
		return nil
	}
	return s.renderApp(a)
}

// clientID is the other name of an app, which its tokens may use as issuer.
func (a *app) clientID() string { return fmt.Sprintf("Iv23li%014d", a.id) }

func (in *installation) selection() string {
	if in.all {
		return "all"
	}
	return "selected"
}

func (s *Server) renderInstallation(in *installation) object {
	html := fmt.Sprintf("%s/settings/installations/%d", s.url, in.id)
	if in.account.kind == "Organization" {
		html = fmt.Sprintf("%s/organizations/%s/settings/installations/%d", s.url, in.account.login, in.id)
	}
	var by any
	if !in.suspended.IsZero() {
		by = s.renderUser(in.account.responsible())
	}
	return object{
		"id": in.id, "client_id": in.app.clientID(), "account": s.renderUser(in.account), "repository_selection": in.selection(),
		"access_tokens_url": s.apiURL(fmt.Sprintf("/app/installations/%d/access_tokens", in.id)),
		"repositories_url":  s.apiURL("/installation/repositories"), "html_url": html, "app_id": in.app.id, "app_slug": in.app.slug,
		"target_id": in.account.id, "target_type": in.account.kind, "permissions": copied(in.perms), "events": listOf(in.events),
		"created_at": stamp(in.created), "updated_at": stamp(in.updated), "single_file_name": nil,
		"has_multiple_single_files": false, "single_file_paths": []string{}, "suspended_by": by, "suspended_at": maybe(in.suspended),
	}
}

// copied and listOf also keep an empty map or list from becoming null.
func copied(m map[string]string) object {
	o := object{}
	for name, value := range m {
		o[name] = value
	}
	return o
}

func listOf(list []string) []string { return append([]string{}, list...) }
