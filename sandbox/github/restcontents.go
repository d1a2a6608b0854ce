package github

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// maxInline is the largest file whose content comes in JSON, in bytes.
const maxInline = 1 << 20

func contentRoutes() []route {
	get := http.MethodGet
	const repo = "/repos/{owner}/{repo}"
	need := []string{"contents:read"}
	return []route{
		{method: get, path: repo + "/git/ref/{ref...}", need: need, unlocked: true, serve: restRef},
		{method: get, path: repo + "/git/matching-refs/{ref...}", need: need, unlocked: true, serve: restMatchingRefs},
		{method: get, path: repo + "/branches/{branch...}", need: need, unlocked: true, serve: restBranch},
		{method: get, path: repo + "/contents/{path...}", need: need, unlocked: true, serve: restContents},
		{method: get, path: repo + "/commits/{ref...}", need: []string{"contents:read", "checks:read"}, unlocked: true, serve: restCommit},
		{method: get, path: repo + "/compare/{span...}", need: need, unlocked: true, serve: restCompare},
	}
}

func gitIsEmpty() *Error { return refuse(http.StatusConflict, "Git Repository is empty.") }

func (c *call) renderRef(ref gitRef) object {
	where := map[string]string{"commit": "/git/commits/", "tag": "/git/tags/", "tree": "/git/trees/", "blob": "/git/blobs/"}[ref.kind]
	return object{
		"ref": ref.name, "node_id": "REF_" + base64.RawURLEncoding.EncodeToString([]byte(ref.name)), "url": c.s.repoURL(c.repo, "/git/"+ref.name),
		"object": object{"type": ref.kind, "sha": ref.sha, "url": c.s.repoURL(c.repo, where+ref.sha)},
	}
}

func restRef(c *call) (reply, error) {
	name := "refs/" + strings.TrimPrefix(c.r.PathValue("ref"), "refs/")
	refs, err := refsUnder(c.repo.dir, name)
	if err != nil {
		return reply{}, fmt.Errorf("list refs: %w", err)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	for _, ref := range refs {
		if ref.name == name {
			return ok(c.renderRef(ref)), nil
		}
	}
	if emptyRepository(c.repo.dir) {
		return reply{}, gitIsEmpty()
	}
	return reply{}, notFound()
}

func restMatchingRefs(c *call) (reply, error) {
	refs, err := refsUnder(c.repo.dir, "refs/"+strings.TrimPrefix(c.r.PathValue("ref"), "refs/"))
	if err != nil {
		return reply{}, fmt.Errorf("list refs: %w", err)
	}
	if len(refs) == 0 && emptyRepository(c.repo.dir) {
		return reply{}, gitIsEmpty()
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return ok(rendered(page(c, refs), c.renderRef)), nil
}

func restBranch(c *call) (reply, error) {
	name := c.r.PathValue("branch")
	sha := branchSHA(c.repo.dir, name)
	if sha == "" {
		return reply{}, refuse(http.StatusNotFound, "Branch not found")
	}
	tip, err := oneCommit(c.repo.dir, sha)
	if err != nil {
		return reply{}, fmt.Errorf("read the tip of %s: %w", name, err)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	api, level := c.s.repoURL(c.repo, "/branches/"+name), "off"
	protected := c.repo.protected[name]
	if protected {
		level = "everyone"
	}
	return ok(object{
		"name": name, "commit": c.s.renderCommit(c.repo, tip), "protected": protected, "protection_url": api + "/protection",
		"_links": object{"self": api, "html": c.s.url + "/" + c.repo.fullName() + "/tree/" + name},
		"protection": object{"enabled": protected, "required_status_checks": object{
			"enforcement_level": level, "contexts": []string{}, "checks": []object{},
		}},
	}), nil
}

// at resolves the ref of the query, or the default branch.
func (c *call) at(name string) (sha string, err error) {
	name = cmp.Or(name, c.repo.defaultBranch)
	sha, err = resolve(c.repo.dir, strings.TrimPrefix(strings.TrimPrefix(name, "refs/heads/"), "refs/tags/"))
	if err != nil {
		return "", refuse(http.StatusNotFound, "No commit found for the ref "+name)
	}
	return sha, nil
}

func restContents(c *call) (reply, error) {
	if emptyRepository(c.repo.dir) {
		return reply{}, refuse(http.StatusNotFound, "This repository is empty.")
	}
	ref := cmp.Or(c.query("ref"), c.repo.defaultBranch)
	sha, err := c.at(ref)
	if err != nil {
		return reply{}, err
	}
	where := strings.Trim(c.r.PathValue("path"), "/")
	if where != "" && path.Clean(where) != where {
		return reply{}, notFound()
	}
	if where != "" {
		found, err := listTree(c.repo.dir, sha, where)
		if err != nil {
			return reply{}, fmt.Errorf("find %s: %w", where, err)
		}
		if len(found) == 0 {
			return reply{}, notFound()
		}
		if found[0].kind != "tree" {
			return c.file(ref, found[0])
		}
		where += "/"
	}
	list, err := listTree(c.repo.dir, sha, where)
	if err != nil {
		return reply{}, fmt.Errorf("list %s: %w", where, err)
	}
	// GitHub sorts by name alone, git puts directories as if they ended in a slash.
	slices.SortFunc(list, func(a, b treeEntry) int { return strings.Compare(a.path, b.path) })
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return ok(rendered(list, func(e treeEntry) object { return c.renderEntry(ref, e) })), nil
}

// file answers one file: its bytes, or JSON with the content up to 1 MB.
func (c *call) file(ref string, e treeEntry) (reply, error) {
	var content []byte
	var err error
	if e.kind == "blob" {
		if content, err = runGit(c.repo.dir, "cat-file", "blob", e.sha); err != nil {
			return reply{}, fmt.Errorf("read %s: %w", e.path, err)
		}
	}
	if c.wants("raw") {
		return reply{status: http.StatusOK, text: content, kind: "application/vnd.github.raw; charset=utf-8"}, nil
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	o := c.renderEntry(ref, e)
	switch {
	case e.kind != "blob": // a submodule has no content here
	case e.mode == "120000":
		o["target"] = string(content)
	case e.size > maxInline:
		o["content"], o["encoding"] = "", "none"
	default:
		o["content"], o["encoding"] = wrapped(base64.StdEncoding.EncodeToString(content)), "base64"
	}
	return ok(o), nil
}

// wrapped breaks base64 into lines of 60, as GitHub does.
func wrapped(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := min(60, len(text))
		b.WriteString(text[:n] + "\n")
		text = text[n:]
	}
	return b.String()
}

func (c *call) renderEntry(ref string, e treeEntry) object {
	kind, view, git := "file", "blob", "/git/blobs/"
	switch {
	case e.kind == "tree":
		kind, view, git = "dir", "tree", "/git/trees/"
	case e.kind == "commit":
		kind, view, git = "submodule", "tree", "/git/trees/"
	case e.mode == "120000":
		kind = "symlink"
	}
	escaped := (&url.URL{Path: e.path}).EscapedPath()
	self := c.s.repoURL(c.repo, "/contents/"+escaped+"?ref="+url.QueryEscape(ref))
	html := fmt.Sprintf("%s/%s/%s/%s/%s", c.s.url, c.repo.fullName(), view, ref, escaped)
	o := object{
		"type": kind, "size": e.size, "name": path.Base(e.path), "path": e.path, "sha": e.sha, "url": self,
		"git_url": c.s.repoURL(c.repo, git+e.sha), "html_url": html, "download_url": nil,
		"_links": object{"self": self, "git": c.s.repoURL(c.repo, git+e.sha), "html": html},
	}
	if e.kind == "blob" {
		o["download_url"] = fmt.Sprintf("%s/%s/raw/%s/%s", c.s.url, c.repo.fullName(), ref, escaped)
	}
	return o
}
