package github

import (
	"fmt"
	"net/url"
	"strings"
)

// pathEscape escapes one segment of a path.
func pathEscape(segment string) string { return url.PathEscape(segment) }

// hostOf is the host of a base URL, with its port.
func hostOf(base string) string {
	_, host, _ := strings.Cut(base, "://")
	return host
}

// renderPullBrief is a pull request as lists show it, without the numbers.
func (s *Server) renderPullBrief(th *thread) object {
	r, p := th.repo, th.pull
	api, issue, html := s.repoURL(r, fmt.Sprintf("/pulls/%d", th.number)), s.repoURL(r, fmt.Sprintf("/issues/%d", th.number)), s.htmlURL(th)
	statuses := s.repoURL(r, "/statuses/"+p.head.SHA)
	link := func(to string) object { return object{"href": to} }
	end := func(ref Ref) object {
		return object{
			"label": r.owner.login + ":" + ref.Branch, "ref": ref.Branch, "sha": ref.SHA,
			"user": s.renderUser(r.owner), "repo": s.renderRepository(r),
		}
	}
	return object{
		"url": api, "id": p.id, "node_id": nodeID("PR", p.id), "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch",
		"issue_url": issue, "commits_url": api + "/commits", "review_comments_url": api + "/comments",
		"review_comment_url": s.repoURL(r, "/pulls/comments{/number}"), "comments_url": issue + "/comments", "statuses_url": statuses,
		"number": th.number, "state": th.state, "locked": false, "title": th.title, "user": s.renderUser(th.author),
		"body": orNull(th.body), "labels": s.renderLabels(th), "milestone": nil, "active_lock_reason": nil,
		"created_at": stamp(th.created), "updated_at": stamp(th.updated), "closed_at": maybe(th.closed),
		"merged_at": maybe(p.mergedAt), "merge_commit_sha": orNull(p.mergeSHA), "assignee": nil, "assignees": []object{},
		"requested_reviewers": []object{}, "requested_teams": []object{}, "head": end(p.head), "base": end(p.base),
		"_links": object{
			"self": link(api), "html": link(html), "issue": link(issue), "comments": link(issue + "/comments"),
			"review_comments": link(api + "/comments"), "review_comment": link(s.repoURL(r, "/pulls/comments{/number}")),
			"commits": link(api + "/commits"), "statuses": link(statuses),
		},
		"author_association": r.association(th.author), "auto_merge": nil, "draft": p.draft,
	}
}

// renderPull is one pull request in full.
func (s *Server) renderPull(th *thread) object {
	p, o := th.pull, s.renderPullBrief(th)
	state := "clean"
	switch {
	case p.merged:
		state = "unknown"
	case p.draft:
		state = "draft"
	case !p.mergeable:
		state = "dirty"
	}
	for name, value := range (object{
		"merged": p.merged, "mergeable": p.mergeable, "rebaseable": p.mergeable, "mergeable_state": state,
		"merged_by": s.userOrNull(p.mergedBy), "comments": len(th.comments), "review_comments": 0, "maintainer_can_modify": false,
		"commits": p.stats.commits, "additions": p.stats.additions, "deletions": p.stats.deletions, "changed_files": p.stats.files,
	}) {
		o[name] = value
	}
	if p.merged {
		o["mergeable"], o["rebaseable"] = nil, nil
	}
	return o
}

// renderCommit shows a commit without its files.
func (s *Server) renderCommit(r *repository, c gitCommit) object {
	html := s.url + "/" + r.fullName() + "/commit/"
	parents := []object{}
	for _, sha := range c.parents {
		parents = append(parents, object{"sha": sha, "url": s.repoURL(r, "/commits/"+sha), "html_url": html + sha})
	}
	return object{
		"sha": c.sha, "node_id": "C_" + c.sha, "url": s.repoURL(r, "/commits/"+c.sha), "html_url": html + c.sha,
		"comments_url": s.repoURL(r, "/commits/"+c.sha+"/comments"), "parents": parents,
		"author": s.userOrNull(s.byEmail(c.authorEmail)), "committer": s.userOrNull(s.byEmail(c.commitEmail)),
		"commit": object{
			"author":    object{"name": c.authorName, "email": c.authorEmail, "date": stamp(c.authored)},
			"committer": object{"name": c.committerName, "email": c.commitEmail, "date": stamp(c.committed)},
			"message":   c.message, "url": s.repoURL(r, "/git/commits/"+c.sha), "comment_count": 0,
			"tree":         object{"sha": c.tree, "url": s.repoURL(r, "/git/trees/"+c.tree)},
			"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
	}
}

// renderFiles shows the files of a diff as seen at a commit.
func (s *Server) renderFiles(r *repository, sha string, files []gitFile) []object {
	list := []object{}
	for _, f := range files {
		path := (&url.URL{Path: f.path}).EscapedPath()
		o := object{
			"sha": f.sha, "filename": f.path, "status": f.status, "additions": f.additions, "deletions": f.removed,
			"changes":  f.additions + f.removed,
			"blob_url": fmt.Sprintf("%s/%s/blob/%s/%s", s.url, r.fullName(), sha, path), "raw_url": fmt.Sprintf("%s/%s/raw/%s/%s", s.url, r.fullName(), sha, path),
			"contents_url": s.repoURL(r, "/contents/"+path+"?ref="+sha),
		}
		if f.patch != "" {
			o["patch"] = f.patch
		}
		if f.from != "" {
			o["previous_filename"] = f.from
		}
		list = append(list, o)
	}
	return list
}
