package github

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

func issueRoutes() []route {
	get, post, patch, put, del := http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete
	const repo = "/repos/{owner}/{repo}"
	reading, writing := []string{"issues:read"}, []string{"issues:write"}
	either := []string{"issues:read", "pull_requests:read"}
	eitherWriting := []string{"issues:write", "pull_requests:write"}
	return []route{
		{method: get, path: repo, serve: func(c *call) (reply, error) {
			return ok(c.s.renderFullRepository(c.repo, c.role(c.repo))), nil
		}},
		{method: get, path: repo + "/collaborators/{login}/permission", role: "write", serve: restPermission},
		{method: get, path: repo + "/labels", need: either, serve: func(c *call) (reply, error) {
			return ok(rendered(page(c, c.repo.labels), func(l *label) object { return c.s.renderLabel(c.repo, l) })), nil
		}},
		{method: get, path: repo + "/issues", need: reading, serve: restIssues},
		{method: post, path: repo + "/issues", need: writing, serve: restOpenIssue},
		{method: get, path: repo + "/issues/{number}", need: either, serve: onThread("read", func(c *call, th *thread) (reply, error) {
			o := c.s.renderIssue(th)
			o["closed_by"] = c.s.userOrNull(th.closedBy)
			return ok(o), nil
		})},
		{method: patch, path: repo + "/issues/{number}", need: eitherWriting, serve: onThread("write", restEditIssue)},
		{method: get, path: repo + "/issues/{number}/labels", need: either, serve: onThread("read", restLabels)},
		{method: post, path: repo + "/issues/{number}/labels", need: eitherWriting, role: "triage", serve: onThread("write", func(c *call, th *thread) (reply, error) {
			names, err := c.labelNames()
			if err != nil {
				return reply{}, err
			}
			if err := c.s.addLabels(c.by(), th, names); err != nil {
				return reply{}, err
			}
			return restLabels(c, th)
		})},
		{method: put, path: repo + "/issues/{number}/labels", need: eitherWriting, role: "triage", serve: onThread("write", func(c *call, th *thread) (reply, error) {
			names, err := c.labelNames()
			if err != nil {
				return reply{}, err
			}
			if err := c.s.setLabels(c.by(), th, names); err != nil {
				return reply{}, err
			}
			return restLabels(c, th)
		})},
		{method: del, path: repo + "/issues/{number}/labels", need: eitherWriting, role: "triage", serve: onThread("write", func(c *call, th *thread) (reply, error) {
			return noContent(), c.s.setLabels(c.by(), th, nil)
		})},
		{method: del, path: repo + "/issues/{number}/labels/{name}", need: eitherWriting, role: "triage", serve: onThread("write", func(c *call, th *thread) (reply, error) {
			if err := c.s.removeLabel(c.by(), th, c.r.PathValue("name")); err != nil {
				return reply{}, err
			}
			return restLabels(c, th)
		})},
		{method: get, path: repo + "/issues/{number}/comments", need: either, serve: onThread("read", restComments)},
		{method: post, path: repo + "/issues/{number}/comments", need: eitherWriting, serve: onThread("write", restComment)},
		{method: get, path: repo + "/issues/comments", need: either, serve: restAllComments},
		{method: get, path: repo + "/issues/comments/{id}", need: either, serve: onComment("read", func(c *call, one *comment) (reply, error) {
			return ok(c.s.renderComment(one)), nil
		})},
		{method: patch, path: repo + "/issues/comments/{id}", need: eitherWriting, serve: onComment("write", restEditComment)},
		{method: del, path: repo + "/issues/comments/{id}", need: eitherWriting, serve: onComment("write", restDeleteComment)},
		{method: get, path: repo + "/issues/{number}/reactions", need: either, serve: onThread("read", func(c *call, th *thread) (reply, error) {
			return c.reactions(th.reactions)
		})},
		{method: post, path: repo + "/issues/{number}/reactions", need: eitherWriting, serve: onThread("write", func(c *call, th *thread) (reply, error) {
			return c.react(th, nil)
		})},
		{method: del, path: repo + "/issues/{number}/reactions/{id}", need: eitherWriting, serve: onThread("write", func(c *call, th *thread) (reply, error) {
			return c.unreact(&th.reactions, "id")
		})},
		{method: get, path: repo + "/issues/comments/{id}/reactions", need: either, serve: onComment("read", func(c *call, one *comment) (reply, error) {
			return c.reactions(one.reactions)
		})},
		{method: post, path: repo + "/issues/comments/{id}/reactions", need: eitherWriting, serve: onComment("write", func(c *call, one *comment) (reply, error) {
			return c.react(one.thread, one)
		})},
		{method: del, path: repo + "/issues/comments/{id}/reactions/{reaction}", need: eitherWriting, serve: onComment("write", func(c *call, one *comment) (reply, error) {
			return c.unreact(&one.reactions, "reaction")
		})},
	}
}

// onThread finds the issue or pull request of the path for a handler.
func onThread(level string, serve func(*call, *thread) (reply, error)) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		number, err := c.number("number")
		if err != nil {
			return reply{}, err
		}
		th, err := c.repo.thread(int(number))
		if err != nil {
			return reply{}, err
		}
		if err := c.mayTouch(th, level); err != nil {
			return reply{}, err
		}
		return serve(c, th)
	}
}

// restPermission answers what a person is to the repository; an app's bot and
// strangers to a private repository have none.
func restPermission(c *call) (reply, error) {
	a := c.s.accounts[fold(c.r.PathValue("login"))]
	if a == nil || a.kind == "Organization" {
		return reply{}, refuse(http.StatusNotFound, c.r.PathValue("login")+" is not a user")
	}
	return ok(c.s.renderPermission(c.repo, a)), nil
}

// restIssues lists issues and pull requests. Filters that concern what does not
// exist here (milestones, assignees, mentions) find nothing.
func restIssues(c *call) (reply, error) {
	query := c.r.URL.Query()
	state := cmp.Or(query.Get("state"), "open")
	if state != "open" && state != "closed" && state != "all" {
		return reply{}, invalid(FieldError{Resource: "Issue", Field: "state", Code: "invalid"})
	}
	since, err := c.since("Issue")
	if err != nil {
		return reply{}, err
	}
	none := func(name string) bool { v := query.Get(name); return v == "" || v == "none" }
	var list []*thread
	for _, th := range c.repo.existing() {
		if (state == "all" || th.state == state) && !th.updated.Before(since) && hasLabels(th, query.Get("labels")) &&
			(query.Get("creator") == "" || fold(query.Get("creator")) == fold(th.author.login)) &&
			none("milestone") && none("assignee") && query.Get("mentioned") == "" {
			list = append(list, th)
		}
	}
	slices.SortStableFunc(list, func(a, b *thread) int {
		order := cmp.Compare(a.number, b.number)
		switch query.Get("sort") {
		case "updated":
			order = cmp.Or(a.updated.Compare(b.updated), order)
		case "comments":
			order = cmp.Or(cmp.Compare(len(a.comments), len(b.comments)), order)
		}
		if query.Get("direction") != "asc" {
			order = -order
		}
		return order
	})
	return ok(rendered(page(c, settledIn(c, list, (*thread).madeAt)), c.s.renderIssue)), nil
}

// hasLabels says whether a thread has all labels of a comma-separated list.
func hasLabels(th *thread, names string) bool {
	if names == "" {
		return true
	}
	for name := range strings.SplitSeq(names, ",") {
		if !slices.ContainsFunc(th.labels, func(l *label) bool { return fold(l.name) == fold(name) }) {
			return false
		}
	}
	return true
}

func restOpenIssue(c *call) (reply, error) {
	var ask struct {
		Title  string   `json:"title"`
		Body   string   `json:"body"`
		Labels []string `json:"labels"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if c.id.inst == nil && !atLeast(c.repo.roleOf(c.id.account), "triage") {
		ask.Labels = nil // GitHub drops them without a word
	}
	th, err := c.s.openIssue(c.by(), c.repo, ask.Title, ask.Body, ask.Labels)
	if err != nil {
		return reply{}, err
	}
	return created(c.s.renderIssue(th)), nil
}

func restEditIssue(c *call, th *thread) (reply, error) {
	var ask struct {
		Title       *string   `json:"title"`
		Body        *string   `json:"body"`
		State       *string   `json:"state"`
		StateReason *string   `json:"state_reason"`
		Labels      *[]string `json:"labels"`
	}
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if err := c.mayEdit(th.author, "triage"); err != nil {
		return reply{}, err
	}
	if err := c.s.editThread(c.by(), th, ask.Title, ask.Body); err != nil {
		return reply{}, err
	}
	if ask.Labels != nil {
		if err := c.s.setLabels(c.by(), th, *ask.Labels); err != nil {
			return reply{}, err
		}
	}
	if ask.State != nil {
		reason := ""
		if ask.StateReason != nil {
			reason = *ask.StateReason
		}
		if err := c.s.setState(c.by(), th, *ask.State, reason); err != nil {
			return reply{}, err
		}
	}
	o := c.s.renderIssue(th)
	o["closed_by"] = c.s.userOrNull(th.closedBy)
	return ok(o), nil
}

// mayEdit refuses people who are neither the author nor have the role.
func (c *call) mayEdit(author *account, role string) error {
	if c.id.inst != nil || author == c.id.account || atLeast(c.repo.roleOf(c.id.account), role) {
		return nil
	}
	return refuse(http.StatusForbidden, "Must have admin rights to Repository.")
}

func restLabels(c *call, th *thread) (reply, error) {
	return ok(rendered(page(c, th.labels), func(l *label) object { return c.s.renderLabel(th.repo, l) })), nil
}

// labelNames reads both forms that GitHub takes: {"labels": [...]} and [...].
func (c *call) labelNames() ([]string, error) {
	var bare []string
	if json.Unmarshal(c.body, &bare) == nil {
		return bare, nil
	}
	var ask struct {
		Labels []string `json:"labels"`
	}
	err := c.read(&ask)
	return ask.Labels, err
}

// setLabels makes a thread have just these labels. With mu held.
func (s *Server) setLabels(by actor, th *thread, names []string) error {
	if err := checkLabels(names); err != nil {
		return err // before any is taken off
	}
	for _, l := range slices.Clone(th.labels) {
		if !slices.ContainsFunc(names, func(name string) bool { return fold(name) == fold(l.name) }) {
			if err := s.removeLabel(by, th, l.name); err != nil {
				return err
			}
		}
	}
	return s.addLabels(by, th, names)
}
