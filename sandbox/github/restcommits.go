package github

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// What a comparison shows at most.
const (
	maxCompareCommits = 250
	maxCompareFiles   = 300
)

// restCommit answers commits/{ref} and, since a ref may contain slashes,
// commits/{ref}/check-runs as well.
func restCommit(c *call) (reply, error) {
	name := c.r.PathValue("ref")
	if ref, runs := strings.CutSuffix(name, "/check-runs"); runs {
		return restChecksFor(c, ref)
	}
	if c.id.inst != nil && c.repo.private && !c.id.grants("contents:read") {
		return reply{}, notAccessible()
	}
	if emptyRepository(c.repo.dir) {
		return reply{}, gitIsEmpty()
	}
	sha, err := resolve(c.repo.dir, strings.TrimPrefix(name, "heads/"))
	if err != nil {
		return reply{}, err
	}
	if c.wants("sha") {
		return reply{status: http.StatusOK, text: []byte(sha), kind: "application/vnd.github.sha; charset=utf-8"}, nil
	}
	one, err := oneCommit(c.repo.dir, sha)
	if err != nil {
		return reply{}, fmt.Errorf("read commit %s: %w", sha, err)
	}
	from := emptyTree
	if len(one.parents) > 0 {
		from = one.parents[0]
	}
	files, err := changedFiles(c.repo.dir, from, sha)
	if err != nil {
		return reply{}, fmt.Errorf("compare commit %s with its parent: %w", sha, err)
	}
	plus, minus := 0, 0
	for _, f := range files {
		plus, minus = plus+f.additions, minus+f.removed
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o := c.s.renderCommit(c.repo, one)
	o["stats"] = object{"additions": plus, "deletions": minus, "total": plus + minus}
	o["files"] = c.s.renderFiles(c.repo, sha, files[:min(len(files), maxCompareFiles)])
	return ok(o), nil
}

func restCompare(c *call) (reply, error) {
	base, head, both := strings.Cut(c.r.PathValue("span"), "...")
	if !both {
		return reply{}, notFound()
	}
	c.s.mu.Lock()
	own := c.repo.owner.login
	c.s.mu.Unlock()
	end := func(name string) (string, error) {
		if owner, branch, qualified := strings.Cut(name, ":"); qualified {
			if fold(owner) != fold(own) {
				return "", notFound()
			}
			name = branch
		}
		sha, err := resolve(c.repo.dir, name)
		if err != nil {
			return "", notFound()
		}
		return sha, nil
	}
	baseSHA, err1 := end(base)
	headSHA, err2 := end(head)
	if err := errors.Join(err1, err2); err != nil {
		return reply{}, err
	}
	dir := c.repo.dir
	fork, err := said(dir, "merge-base", baseSHA, headSHA)
	if err != nil {
		return reply{}, refuse(http.StatusNotFound, fmt.Sprintf("No common ancestor between %s and %s.", base, head))
	}
	if c.wants("diff") {
		text, err := diffText(dir, fork, headSHA)
		return reply{status: http.StatusOK, text: text, kind: "application/vnd.github.diff; charset=utf-8"}, err
	}
	list, err1 := commits(dir, "--reverse", "--topo-order", baseSHA+".."+headSHA)
	behind, err2 := countCommits(dir, headSHA+".."+baseSHA)
	files, err3 := changedFiles(dir, fork, headSHA)
	baseCommit, err4 := oneCommit(dir, baseSHA)
	forkCommit, err5 := oneCommit(dir, fork)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return reply{}, fmt.Errorf("compare %s with %s: %w", base, head, err)
	}
	status := map[[2]bool]string{
		{false, false}: "identical", {true, false}: "ahead", {false, true}: "behind", {true, true}: "diverged",
	}[[2]bool{len(list) > 0, behind > 0}]
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	html := c.s.url + "/" + c.repo.fullName() + "/compare/"
	permalink := fmt.Sprintf("%s%s:%.7s...%s:%.7s", html, c.repo.owner.login, baseSHA, c.repo.owner.login, headSHA)
	return ok(object{
		"url": c.s.repoURL(c.repo, "/compare/"+base+"..."+head), "html_url": html + base + "..." + head, "permalink_url": permalink,
		"diff_url": html + base + "..." + head + ".diff", "patch_url": html + base + "..." + head + ".patch",
		"base_commit": c.s.renderCommit(c.repo, baseCommit), "merge_base_commit": c.s.renderCommit(c.repo, forkCommit),
		"status": status, "ahead_by": len(list), "behind_by": behind, "total_commits": len(list),
		"commits": rendered(list[:min(len(list), maxCompareCommits)], func(one gitCommit) object { return c.s.renderCommit(c.repo, one) }),
		"files":   c.s.renderFiles(c.repo, headSHA, files[:min(len(files), maxCompareFiles)]),
	}), nil
}
