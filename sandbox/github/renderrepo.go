package github

import "fmt"

// renderRepository is GitHub's "repository" as lists and webhooks show it.
func (s *Server) renderRepository(r *repository) object {
	api, html := s.repoURL(r, ""), s.url+"/"+r.fullName()
	open := 0
	for _, th := range r.existing() {
		if th.state == "open" {
			open++
		}
	}
	visibility := "public"
	if r.private {
		visibility = "private"
	}
	o := object{
		"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private,
		"owner": s.renderUser(r.owner), "html_url": html, "description": orNull(r.description), "fork": false, "url": api,
		"created_at": stamp(r.created), "updated_at": stamp(r.updated), "pushed_at": stamp(r.pushed),
		"git_url": "git://" + hostOf(s.url) + "/" + r.fullName() + ".git", "ssh_url": "git@" + hostOf(s.url) + ":" + r.fullName() + ".git",
		"clone_url": html + ".git", "svn_url": html, "homepage": nil, "size": 0, "stargazers_count": 0, "watchers_count": 0,
		"language": nil, "has_issues": true, "has_projects": true, "has_downloads": true, "has_wiki": true, "has_pages": false,
		"has_discussions": false, "forks_count": 0, "mirror_url": nil, "archived": false, "disabled": false,
		"open_issues_count": open, "license": nil, "allow_forking": true, "is_template": false, "web_commit_signoff_required": false,
		"topics": []string{}, "visibility": visibility, "forks": 0, "open_issues": open, "watchers": 0, "default_branch": r.defaultBranch,
	}
	for name, path := range map[string]string{
		"archive": "/{archive_format}{/ref}", "assignees": "/assignees{/user}", "blobs": "/git/blobs{/sha}",
		"branches": "/branches{/branch}", "collaborators": "/collaborators{/collaborator}", "comments": "/comments{/number}",
		"commits": "/commits{/sha}", "compare": "/compare/{base}...{head}", "contents": "/contents/{+path}",
		"contributors": "/contributors", "deployments": "/deployments", "downloads": "/downloads", "events": "/events",
		"forks": "/forks", "git_commits": "/git/commits{/sha}", "git_refs": "/git/refs{/sha}", "git_tags": "/git/tags{/sha}",
		"hooks": "/hooks", "issue_comment": "/issues/comments{/number}", "issue_events": "/issues/events{/number}",
		"issues": "/issues{/number}", "keys": "/keys{/key_id}", "labels": "/labels{/name}", "languages": "/languages",
		"merges": "/merges", "milestones": "/milestones{/number}", "notifications": "/notifications{?since,all,participating}",
		"pulls": "/pulls{/number}", "releases": "/releases{/id}", "stargazers": "/stargazers", "statuses": "/statuses/{sha}",
		"subscribers": "/subscribers", "subscription": "/subscription", "tags": "/tags", "teams": "/teams", "trees": "/git/trees{/sha}",
	} {
		o[name+"_url"] = api + path
	}
	return o
}

// renderFullRepository is what GET /repos/{owner}/{repo} answers to one who has
// that role.
func (s *Server) renderFullRepository(r *repository, role string) object {
	o := s.renderRepository(r)
	o["permissions"] = renderRole(role)
	o["network_count"], o["subscribers_count"], o["temp_clone_token"] = 0, 0, nil
	if r.owner.kind == "Organization" {
		o["organization"] = s.renderUser(r.owner)
	}
	if atLeast(role, "write") {
		for name, value := range (object{
			"allow_squash_merge": false, "allow_merge_commit": true, "allow_rebase_merge": false, "allow_auto_merge": false,
			"delete_branch_on_merge": false, "allow_update_branch": false, "use_squash_pr_title_as_default": false,
			"squash_merge_commit_message": "COMMIT_MESSAGES", "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
			"merge_commit_message": "PR_TITLE", "merge_commit_title": "MERGE_MESSAGE",
		}) {
			o[name] = value
		}
	}
	return o
}

// renderRole is GitHub's five booleans for one role.
func renderRole(role string) object {
	return object{
		"admin": atLeast(role, "admin"), "maintain": atLeast(role, "maintain"), "push": atLeast(role, "write"),
		"triage": atLeast(role, "triage"), "pull": atLeast(role, "read"),
	}
}

// renderPermission answers what one account is to a repository. permission
// knows only four words: maintain counts as write, triage as read.
func (s *Server) renderPermission(r *repository, a *account) object {
	role := r.roleOf(a)
	short := map[string]string{"maintain": "write", "triage": "read"}[role]
	if short == "" {
		short = role
	}
	user := s.renderUser(a)
	user["permissions"], user["role_name"] = renderRole(role), role
	return object{"permission": short, "role_name": role, "user": user}
}

func (s *Server) repoURL(r *repository, path string) string {
	return s.apiURL("/repos/" + r.fullName() + path)
}

func (s *Server) renderLabel(r *repository, l *label) object {
	return object{
		"id": l.id, "node_id": nodeID("LA", l.id), "url": s.repoURL(r, "/labels/"+pathEscape(l.name)), "name": l.name,
		"color": l.color, "default": l.standard, "description": orNull(l.description),
	}
}

func (s *Server) renderLabels(th *thread) []object {
	list := []object{}
	for _, l := range th.labels {
		list = append(list, s.renderLabel(th.repo, l))
	}
	return list
}

// renderIssue shows an issue, or a pull request as the issue that it also is.
func (s *Server) renderIssue(th *thread) object {
	api := s.repoURL(th.repo, fmt.Sprintf("/issues/%d", th.number))
	o := object{
		"id": th.id, "node_id": nodeID("I", th.id), "url": api, "repository_url": s.repoURL(th.repo, ""),
		"labels_url": api + "/labels{/name}", "comments_url": api + "/comments", "events_url": api + "/events",
		"html_url": s.htmlURL(th), "timeline_url": api + "/timeline", "number": th.number, "title": th.title,
		"body": orNull(th.body), "user": s.renderUser(th.author), "labels": s.renderLabels(th), "state": th.state,
		"state_reason": orNull(th.reason), "locked": false, "active_lock_reason": nil, "assignee": nil, "assignees": []object{},
		"milestone": nil, "comments": len(th.comments), "created_at": stamp(th.created), "updated_at": stamp(th.updated),
		"closed_at": maybe(th.closed), "author_association": th.repo.association(th.author),
		"performed_via_github_app": s.appOrNull(th.via), "reactions": rollup(api, th.reactions),
	}
	if th.pull != nil {
		o["node_id"] = nodeID("PR", th.pull.id)
		o["draft"] = th.pull.draft
		o["pull_request"] = object{
			"url": s.repoURL(th.repo, fmt.Sprintf("/pulls/%d", th.number)), "html_url": s.htmlURL(th),
			"diff_url": s.htmlURL(th) + ".diff", "patch_url": s.htmlURL(th) + ".patch", "merged_at": maybe(th.pull.mergedAt),
		}
	}
	return o
}

func (s *Server) htmlURL(th *thread) string {
	where := "issues"
	if th.pull != nil {
		where = "pull"
	}
	return fmt.Sprintf("%s/%s/%s/%d", s.url, th.repo.fullName(), where, th.number)
}

func (s *Server) renderComment(c *comment) object {
	r := c.thread.repo
	api := s.repoURL(r, fmt.Sprintf("/issues/comments/%d", c.id))
	return object{
		"id": c.id, "node_id": nodeID("IC", c.id), "url": api, "html_url": fmt.Sprintf("%s#issuecomment-%d", s.htmlURL(c.thread), c.id),
		"issue_url": s.repoURL(r, fmt.Sprintf("/issues/%d", c.thread.number)), "body": c.body, "user": s.renderUser(c.author),
		"created_at": stamp(c.created), "updated_at": stamp(c.updated), "author_association": r.association(c.author),
		"performed_via_github_app": s.appOrNull(c.via), "reactions": rollup(api, c.reactions),
	}
}

func (s *Server) renderReaction(r *reaction) object {
	return object{
		"id": r.id, "node_id": nodeID("REA", r.id), "user": s.renderUser(r.user), "content": r.content, "created_at": stamp(r.created),
	}
}

func rollup(api string, list []*reaction) object {
	o := object{"url": api + "/reactions", "total_count": len(list)}
	for _, content := range reactionContents() {
		o[content] = 0
	}
	for content, n := range countReactions(list) {
		o[content] = n
	}
	return o
}
