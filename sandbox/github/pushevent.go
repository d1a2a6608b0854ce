package github

import (
	"fmt"
	"strings"
)

// maxPushCommits is how many commits a push event lists at most.
const maxPushCommits = 2048

// renderPush describes one moved ref as the push event does. With mu held.
func (s *Server) renderPush(by actor, r *repository, u refUpdate) (object, error) {
	html := s.url + "/" + r.fullName()
	created, deleted := u.before == zeroSHA, u.after == zeroSHA
	forced := false
	if !created && !deleted {
		_, err := said(r.dir, "merge-base", "--is-ancestor", u.before, u.after)
		forced = err != nil
	}
	listed := []object{}
	var head any
	if !deleted {
		span := []string{"--reverse", "--topo-order", u.after}
		switch {
		case !created:
			span = append(span, "^"+u.before)
		case u.branch() != r.defaultBranch && branchSHA(r.dir, r.defaultBranch) != "":
			span = append(span, "^refs/heads/"+r.defaultBranch)
		}
		list, err := commits(r.dir, span...)
		if err != nil {
			return nil, err
		}
		if over := len(list) - maxPushCommits; over > 0 {
			list = list[over:]
		}
		for _, c := range list {
			o, err := s.renderPushed(r, c)
			if err != nil {
				return nil, err
			}
			listed = append(listed, o)
		}
		tip, err := resolve(r.dir, u.after)
		if err != nil {
			return nil, err
		}
		last, err := oneCommit(r.dir, tip)
		if err != nil {
			return nil, err
		}
		if head, err = s.renderPushed(r, last); err != nil {
			return nil, err
		}
	}
	repo := s.renderRepository(r)
	// The push event alone writes these as seconds, and knows the owner's address.
	repo["created_at"], repo["pushed_at"] = r.created.Unix(), r.pushed.Unix()
	repo["stargazers"], repo["master_branch"] = 0, r.defaultBranch
	owner := s.renderUser(r.owner)
	owner["name"], owner["email"] = r.owner.login, r.owner.email()
	repo["owner"] = owner
	if r.owner.kind == "Organization" {
		repo["organization"] = r.owner.login
	}
	compare := fmt.Sprintf("%s/compare/%.12s...%.12s", html, u.before, u.after)
	if created || deleted {
		compare = html + "/compare/" + strings.TrimPrefix(strings.TrimPrefix(u.ref, "refs/heads/"), "refs/tags/")
	}
	return object{
		"ref": u.ref, "before": u.before, "after": u.after, "created": created, "deleted": deleted, "forced": forced,
		"base_ref": nil, "compare": compare, "commits": listed, "head_commit": head, "repository": repo,
		"pusher": object{"name": by.account.login, "email": by.account.email()},
	}, nil
}

// renderPushed is a commit with the names of what it changes.
func (s *Server) renderPushed(r *repository, c gitCommit) (object, error) {
	from := emptyTree
	if len(c.parents) > 0 {
		from = c.parents[0]
	}
	raw, err := runGit(r.dir, "diff", "--no-renames", "--raw", "-z", "--no-abbrev", from, c.sha)
	if err != nil {
		return nil, err
	}
	changed := map[string][]string{"added": {}, "removed": {}, "modified": {}}
	for _, f := range parseRaw(string(raw)) {
		status := f.status
		if status == "changed" {
			status = "modified"
		}
		changed[status] = append(changed[status], f.path)
	}
	person := func(name, email string) object {
		o := object{"name": name, "email": email}
		if a := s.byEmail(email); a != nil {
			o["username"] = a.login
		}
		return o
	}
	return object{
		"id": c.sha, "tree_id": c.tree, "distinct": true, "message": c.message, "timestamp": c.committed.Format("2006-01-02T15:04:05-07:00"),
		"url": s.url + "/" + r.fullName() + "/commit/" + c.sha, "author": person(c.authorName, c.authorEmail),
		"committer": person(c.committerName, c.commitEmail),
		"added":     changed["added"], "removed": changed["removed"], "modified": changed["modified"],
	}, nil
}
