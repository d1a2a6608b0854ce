package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func checkRoutes() []route {
	const repo = "/repos/{owner}/{repo}"
	return []route{
		{method: http.MethodPost, path: repo + "/check-runs", need: []string{"checks:write"}, serve: restCreateCheck},
		{method: http.MethodGet, path: repo + "/check-runs/{id}", need: []string{"checks:read"}, serve: func(c *call) (reply, error) {
			run, err := c.check()
			if err != nil {
				return reply{}, err
			}
			return ok(c.s.renderCheck(c.repo, run)), nil
		}},
		{method: http.MethodPatch, path: repo + "/check-runs/{id}", need: []string{"checks:write"}, serve: restUpdateCheck},
	}
}

// checkAsk is what one sends to create or update a check run.
type checkAsk struct {
	Name        *string    `json:"name"`
	HeadSHA     *string    `json:"head_sha"`
	Status      *string    `json:"status"`
	Conclusion  *string    `json:"conclusion"`
	ExternalID  *string    `json:"external_id"`
	DetailsURL  *string    `json:"details_url"`
	StartedAt   *time.Time `json:"started_at"`
	CompletedAt *time.Time `json:"completed_at"`
	Output      *struct {
		Title       *string           `json:"title"`
		Summary     *string           `json:"summary"`
		Text        *string           `json:"text"`
		Annotations []json.RawMessage `json:"annotations"`
	} `json:"output"`
}

// check finds the path's check run.
func (c *call) check() (*checkRun, error) {
	id, err := c.number("id")
	if err != nil {
		return nil, err
	}
	for _, run := range c.repo.checks {
		if run.id == id {
			return run, nil
		}
	}
	return nil, notFound()
}

func restCreateCheck(c *call) (reply, error) {
	ask, err := c.checkAsk()
	if err != nil {
		return reply{}, err
	}
	switch {
	case ask.Name == nil || *ask.Name == "":
		return reply{}, missing("name")
	case ask.HeadSHA == nil || *ask.HeadSHA == "":
		return reply{}, missing("head_sha")
	}
	sha, err := resolve(c.repo.dir, *ask.HeadSHA)
	if err != nil || sha != *ask.HeadSHA {
		return reply{}, refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+*ask.HeadSHA)
	}
	run := &checkRun{app: c.id.app, name: *ask.Name, sha: sha, created: c.s.moment(), status: "queued", started: c.s.moment()}
	if err := run.apply(ask, c.s.moment()); err != nil {
		return reply{}, err
	}
	run.id = c.s.newID(checkRunID)
	for _, other := range c.repo.checks {
		if other.sha == sha && other.app == run.app {
			run.suite = other.suite
		}
	}
	if run.suite == 0 {
		run.suite = c.s.newID(checkSuiteID)
	}
	c.repo.checks = append(c.repo.checks, run)
	return created(c.s.renderCheck(c.repo, run)), nil
}

func restUpdateCheck(c *call) (reply, error) {
	ask, err := c.checkAsk()
	if err != nil {
		return reply{}, err
	}
	run, err := c.check()
	if err != nil {
		return reply{}, err
	}
	if run.app != c.id.app {
		return reply{}, refuse(http.StatusForbidden, fmt.Sprintf("Invalid app_id `%d` - check run can only be modified by the GitHub App that created it.", c.id.app.id))
	}
	if err := run.apply(ask, c.s.moment()); err != nil {
		return reply{}, err
	}
	return ok(c.s.renderCheck(c.repo, run)), nil
}

// checkAsk reads the body; people may not write check runs at all.
func (c *call) checkAsk() (checkAsk, error) {
	var ask checkAsk
	if c.id.inst == nil {
		return ask, refuse(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	return ask, c.read(&ask)
}

// apply changes a check run as asked, or not at all.
func (run *checkRun) apply(ask checkAsk, now time.Time) error {
	if ask.Status != nil && !slices.Contains([]string{"queued", "in_progress", "completed", "waiting", "requested", "pending"}, *ask.Status) {
		return malformed(fmt.Sprintf("For 'properties/status', %q is not a possible value.", *ask.Status))
	}
	conclusions := []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
	if ask.Conclusion != nil && !slices.Contains(conclusions, *ask.Conclusion) {
		return malformed(fmt.Sprintf("For 'properties/conclusion', %q is not a possible value. Must be one of the following: %s.", *ask.Conclusion, strings.Join(conclusions, ", ")))
	}
	if ask.Status != nil && *ask.Status == "completed" && ask.Conclusion == nil {
		return missing("conclusion")
	}
	if out := ask.Output; out != nil {
		switch {
		case out.Summary == nil:
			return malformed(`For 'properties/output', "summary" wasn't supplied.`)
		case len(*out.Summary) > 65535 || (out.Text != nil && len(*out.Text) > 65535):
			return malformed("For 'properties/output', only 65535 characters are allowed.")
		case len(out.Annotations) > 50:
			return malformed(fmt.Sprintf("For 'properties/annotations', no more than 50 items are allowed; %d were supplied.", len(out.Annotations)))
		}
		run.summary, run.annotations = out.Summary, append(run.annotations, out.Annotations...)
		if out.Title != nil {
			run.title = out.Title
		}
		if out.Text != nil {
			run.text = out.Text
		}
	}
	set(&run.name, ask.Name)
	set(&run.externalID, ask.ExternalID)
	set(&run.detailsURL, ask.DetailsURL)
	set(&run.started, ask.StartedAt)
	switch {
	case ask.Conclusion != nil || ask.CompletedAt != nil:
		run.status, run.completed = "completed", now
		set(&run.conclusion, ask.Conclusion)
		set(&run.completed, ask.CompletedAt)
	case ask.Status != nil:
		// Back to work: GitHub forgets how it ended before.
		run.status, run.conclusion, run.completed = *ask.Status, "", zeroTime()
	}
	return nil
}

// set assigns what was given.
func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

// restChecksFor lists the check runs of a commit, newest first; of those that an
// app named alike only the latest, unless the filter says all.
func restChecksFor(c *call, ref string) (reply, error) {
	if c.id.inst != nil && c.repo.private && !c.id.grants("checks:read") {
		return reply{}, notAccessible()
	}
	sha, err := resolve(c.repo.dir, strings.TrimPrefix(ref, "heads/"))
	if err != nil {
		return reply{}, err
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	type key struct {
		app  *app
		name string
	}
	seen := map[key]bool{}
	var list []*checkRun
	for _, run := range slices.Backward(c.repo.checks) {
		k := key{run.app, run.name}
		if run.sha != sha || (seen[k] && c.query("filter") != "all") || !c.selects(run) {
			continue
		}
		seen[k] = true
		list = append(list, run)
	}
	return ok(object{
		"total_count": len(list),
		"check_runs":  rendered(page(c, list), func(run *checkRun) object { return c.s.renderCheck(c.repo, run) }),
	}), nil
}

func (c *call) selects(run *checkRun) bool {
	name, status, byApp := c.query("check_name"), c.query("status"), c.query("app_id")
	return (name == "" || name == run.name) && (status == "" || status == run.status) && (byApp == "" || byApp == fmt.Sprint(run.app.id))
}

func (s *Server) renderCheck(r *repository, run *checkRun) object {
	api := s.repoURL(r, fmt.Sprintf("/check-runs/%d", run.id))
	pulls := []object{}
	brief := object{"id": r.id, "url": s.repoURL(r, ""), "name": r.name}
	for _, th := range r.threads {
		if th.pull != nil && th.state == "open" && th.pull.head.SHA == run.sha {
			pulls = append(pulls, object{
				"id": th.pull.id, "number": th.number, "url": s.repoURL(r, fmt.Sprintf("/pulls/%d", th.number)),
				"head": object{"ref": th.pull.head.Branch, "sha": th.pull.head.SHA, "repo": brief},
				"base": object{"ref": th.pull.base.Branch, "sha": th.pull.base.SHA, "repo": brief},
			})
		}
	}
	details := run.detailsURL
	if details == "" {
		details = s.url + "/apps/" + run.app.slug
	}
	return object{
		"id": run.id, "node_id": nodeID("CR", run.id), "name": run.name, "head_sha": run.sha, "external_id": run.externalID,
		"url": api, "html_url": fmt.Sprintf("%s/%s/runs/%d", s.url, r.fullName(), run.id), "details_url": details,
		"status": run.status, "conclusion": orNull(run.conclusion), "started_at": maybe(run.started), "completed_at": maybe(run.completed),
		"output": object{
			"title": run.title, "summary": run.summary, "text": run.text, "annotations_count": len(run.annotations),
			"annotations_url": api + "/annotations",
		},
		"check_suite": object{"id": run.suite}, "app": s.renderApp(run.app), "pull_requests": pulls,
	}
}
