package github

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func pullRoutes() []route {
	get, post, patch, put := http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut
	const repo = "/repos/{owner}/{repo}"
	reading, writing := []string{"pull_requests:read"}, []string{"pull_requests:write"}
	return append([]route{
		{method: get, path: repo + "/pulls", need: reading, serve: restPulls},
		{method: post, path: repo + "/pulls", need: writing, serve: restOpenPull},
		{method: get, path: repo + "/pulls/{number}", need: reading, unlocked: true, serve: restPull},
		{method: patch, path: repo + "/pulls/{number}", need: writing, serve: restEditPull},
		{method: get, path: repo + "/pulls/{number}/files", need: reading, unlocked: true, serve: restPullFiles},
		{method: get, path: repo + "/pulls/{number}/commits", need: reading, unlocked: true, serve: restPullCommits},
		{method: put, path: repo + "/pulls/{number}/merge", need: []string{"contents:write"}, role: "write", unlocked: true, serve: restMerge},
	}, checkRoutes()...)
}

// pull finds the pull request of the path. With mu held.
func (c *call) pull() (*thread, error) {
	number, err := c.number("number")
	if err != nil {
		return nil, err
	}
	th, err := c.repo.thread(int(number))
	if err != nil {
		return nil, err
	}
	if th.pull == nil {
		return nil, notFound()
	}
	return th, nil
}

func restPulls(c *call) (reply, error) {
	query := c.r.URL.Query()
	state := cmp.Or(query.Get("state"), "open")
	if state != "open" && state != "closed" && state != "all" {
		return reply{}, invalid(FieldError{Resource: "PullRequest", Field: "state", Code: "invalid"})
	}
	var list []*thread
	for _, th := range c.repo.threads {
		if th.pull == nil || (state != "all" && th.state != state) {
			continue
		}
		// A head without "owner:" selects nothing in particular, as on GitHub.
		owner, branch, qualified := strings.Cut(query.Get("head"), ":")
		if qualified && (fold(owner) != fold(c.repo.owner.login) || branch != th.pull.head.Branch) {
			continue
		}
		if base := query.Get("base"); base != "" && base != th.pull.base.Branch {
			continue
		}
		list = append(list, th)
	}
	sort := cmp.Or(query.Get("sort"), "created")
	direction := query.Get("direction")
	slices.SortStableFunc(list, func(a, b *thread) int {
		order := cmp.Compare(a.number, b.number)
		if sort == "updated" {
			order = cmp.Or(a.updated.Compare(b.updated), order)
		}
		if direction == "desc" || (direction == "" && sort == "created") {
			order = -order
		}
		return order
	})
	return ok(rendered(page(c, settledIn(c, list, (*thread).madeAt)), c.s.renderPullBrief)), nil
}

func restOpenPull(c *call) (reply, error) {
	var ask struct {
		Title *string `json:"title"`
		Body  string  `json:"body"`
		Head  *string `json:"head"`
		Base  *string `json:"base"`
		Draft bool    `json:"draft"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	for _, field := range []struct {
		name  string
		value *string
	}{{"base", ask.Base}, {"head", ask.Head}, {"title", ask.Title}} {
		if field.value == nil {
			return reply{}, missing(field.name)
		}
	}
	// Reading is enough where people fork; here the branch is in the repository
	// itself, so that only who can write opens one.
	if c.id.inst == nil && !atLeast(c.repo.roleOf(c.id.account), "write") {
		return reply{}, notFound()
	}
	th, err := c.s.openPull(c.by(), c.repo, pullSpec{title: *ask.Title, body: ask.Body, head: *ask.Head, base: *ask.Base, draft: ask.Draft})
	if err != nil {
		return reply{}, err
	}
	o := c.s.renderPull(th)
	c.header.Set("Location", o["url"].(string)) //nolint:errcheck // renderPull puts a text there
	return created(o), nil
}

func restPull(c *call) (reply, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	th, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	if !c.wants("diff") {
		return ok(c.s.renderPull(th)), nil
	}
	dir, p := th.repo.dir, *th.pull
	c.s.mu.Unlock()
	defer c.s.mu.Lock()
	from, err := said(dir, "merge-base", p.base.SHA, p.head.SHA)
	if err != nil {
		return reply{}, fmt.Errorf("find where the branches parted: %w", err)
	}
	text, err := diffText(dir, from, p.head.SHA)
	return reply{status: http.StatusOK, text: text, kind: "application/vnd.github.diff; charset=utf-8"}, err
}

func restEditPull(c *call) (reply, error) {
	var ask struct {
		Title *string `json:"title"`
		Body  *string `json:"body"`
		State *string `json:"state"`
		Base  *string `json:"base"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	th, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	if err := c.mayEdit(th.author, "write"); err != nil {
		return reply{}, err
	}
	if err := c.s.editThread(c.by(), th, ask.Title, ask.Body); err != nil {
		return reply{}, err
	}
	if ask.Base != nil {
		if err := c.s.rebase(c.by(), th, *ask.Base); err != nil {
			return reply{}, err
		}
	}
	if ask.State != nil {
		if err := c.s.setState(c.by(), th, *ask.State, ""); err != nil {
			return reply{}, err
		}
	}
	return ok(c.s.renderPull(th)), nil
}

// pullNow copies what is needed to ask git about the path's pull request.
func (c *call) pullNow() (pull, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	th, err := c.pull()
	if err != nil {
		return pull{}, err
	}
	return *th.pull, nil
}

func restPullFiles(c *call) (reply, error) {
	p, err := c.pullNow()
	if err != nil {
		return reply{}, err
	}
	files, err := pullFiles(c.repo.dir, p.base.SHA, p.head.SHA)
	if err != nil {
		return reply{}, fmt.Errorf("compare the branches: %w", err)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return ok(c.s.renderFiles(c.repo, p.head.SHA, page(c, files))), nil
}

func restPullCommits(c *call) (reply, error) {
	p, err := c.pullNow()
	if err != nil {
		return reply{}, err
	}
	list, err := commits(c.repo.dir, "--reverse", "--topo-order", p.base.SHA+".."+p.head.SHA)
	if err != nil {
		return reply{}, fmt.Errorf("read the commits: %w", err)
	}
	list = list[:min(len(list), maxCompareCommits)]
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return ok(rendered(page(c, list), func(one gitCommit) object { return c.s.renderCommit(c.repo, one) })), nil
}

func restMerge(c *call) (reply, error) {
	var ask struct {
		Title   string `json:"commit_title"`
		Message string `json:"commit_message"`
		SHA     string `json:"sha"`
		Method  string `json:"merge_method"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	c.repo.writing.Lock()
	defer c.repo.writing.Unlock()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	th, err := c.pull()
	if err != nil {
		return reply{}, err
	}
	if err := c.s.merge(c.by(), th, mergeSpec{title: ask.Title, message: ask.Message, sha: ask.SHA, method: ask.Method}); err != nil {
		return reply{}, err
	}
	return ok(object{"sha": th.pull.mergeSHA, "merged": true, "message": "Pull Request successfully merged"}), nil
}
