package github

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parsePageViews reads the embedded templates: each page is the layout and a
// file of its own. They are part of the program, so a broken one panics.
func parsePageViews() map[string]*template.Template {
	layout := template.Must(template.New("").Funcs(template.FuncMap{
		"when":    func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"machine": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"tone":    tone,
		"initial": func(login string) string { return strings.ToUpper(login[:min(1, len(login))]) },
		"short":   func(sha string) string { return sha[:min(7, len(sha))] },
		"subject": func(message string) string { subject, _, _ := strings.Cut(message, "\n"); return subject },
	}).ParseFS(pageFiles, "templates/layout.html"))
	views := map[string]*template.Template{}
	for _, name := range []string{"repositories", "list", "new", "thread", "error"} {
		views[name] = template.Must(template.Must(layout.Clone()).ParseFS(pageFiles, "templates/"+name+".html"))
	}
	return views
}

// tone picks one of the six colours of the style sheet for a name.
func tone(name string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return int((h.Sum32() >> 16) % 6)
}

func (p *pages) repositories(*http.Request) (pageView, error) {
	return pageView{name: "repositories", Title: "Repositories", Content: p.state.Repositories()}, nil
}

// home sends a repository's own address on to its issues: code is not shown.
func (p *pages) home(r *http.Request) (pageView, error) {
	owner, repo := r.PathValue("owner"), r.PathValue("repo")
	if _, err := p.state.Issues(owner, repo); err != nil {
		return pageView{}, err
	}
	return pageView{}, redirectError{repoPath(owner, repo) + "/issues"}
}

func repoPath(owner, repo string) string {
	return "/" + url.PathEscape(owner) + "/" + url.PathEscape(repo)
}

func issuePath(owner, repo string, number int) string {
	return fmt.Sprintf("%s/issues/%d", repoPath(owner, repo), number)
}

// pageList is a list of issues or of pull requests.
type pageList struct {
	Pulls        bool
	State        string // open or closed: which are shown
	Open, Closed int
	Shown        []Issue
}

func (p *pages) issues(r *http.Request) (pageView, error) { return p.list(r, "Issues", false) }
func (p *pages) pulls(r *http.Request) (pageView, error)  { return p.list(r, "Pull requests", true) }

func (p *pages) list(r *http.Request, title string, pulls bool) (pageView, error) {
	owner, repo := r.PathValue("owner"), r.PathValue("repo")
	all, err := p.state.Issues(owner, repo)
	if err != nil {
		return pageView{}, err
	}
	list := pageList{Pulls: pulls, State: "open"}
	if r.URL.Query().Get("state") == "closed" {
		list.State = "closed"
	}
	for _, issue := range all {
		if pulls && !issue.PullRequest {
			continue
		}
		if issue.State == "open" {
			list.Open++
		} else {
			list.Closed++
		}
		if issue.State == list.State {
			list.Shown = append(list.Shown, issue)
		}
	}
	view := pageView{name: "list", Title: title + " · " + owner + "/" + repo, Tab: "issues", Owner: owner, Repo: repo, Content: list}
	if pulls {
		view.Tab = "pulls"
	}
	return view, nil
}

func (p *pages) newIssue(r *http.Request) (pageView, error) {
	owner, repo := r.PathValue("owner"), r.PathValue("repo")
	if _, err := p.state.Issues(owner, repo); err != nil {
		return pageView{}, err
	}
	return pageView{name: "new", Title: "New issue · " + owner + "/" + repo, Tab: "issues", Owner: owner, Repo: repo}, nil
}

// pageThread is an issue or a pull request with all that was said.
type pageThread struct {
	Issue    Issue
	State    string // open, closed or merged
	Entries  []pageEntry
	Others   []Label // the repository's labels that are not on it yet
	Pull     *PullRequest
	Commits  []Commit
	Diff     pageDiff
	Resolves []Issue // what the pull request closes when it is merged
}

// pageEntry is one thing said: the opening text or a comment.
type pageEntry struct {
	Anchor    string
	Author    User
	App       string
	Body      template.HTML
	Reactions []pageReaction
	Created   time.Time
	Edited    bool
}

type pageReaction struct {
	Emoji, Name string
	Count       int
}

func pageNumber(r *http.Request) (int, error) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 1 {
		return 0, notFound()
	}
	return number, nil
}

func (p *pages) issue(r *http.Request) (pageView, error) {
	return p.thread(r, func(t *pageThread, owner, repo string) error {
		if t.Issue.PullRequest {
			return redirectError{fmt.Sprintf("%s/pull/%d", repoPath(owner, repo), t.Issue.Number)}
		}
		return nil
	})
}

func (p *pages) pullRequest(r *http.Request) (pageView, error) {
	return p.thread(r, func(t *pageThread, owner, repo string) error {
		if !t.Issue.PullRequest {
			return redirectError{issuePath(owner, repo, t.Issue.Number)}
		}
		return p.addPull(t, owner, repo)
	})
}

// thread collects what an issue and a pull request have in common; more adds the
// rest, or says that the visitor is at the wrong door.
func (p *pages) thread(r *http.Request, more func(t *pageThread, owner, repo string) error) (pageView, error) {
	owner, repo := r.PathValue("owner"), r.PathValue("repo")
	number, err := pageNumber(r)
	if err != nil {
		return pageView{}, err
	}
	issue, err := p.state.Issue(owner, repo, number)
	if err != nil {
		return pageView{}, err
	}
	t := pageThread{Issue: issue, State: issue.State}
	if err := more(&t, owner, repo); err != nil {
		return pageView{}, err
	}
	comments, err := p.state.Comments(owner, repo, number)
	if err != nil {
		return pageView{}, err
	}
	labels, err := p.state.Labels(owner, repo)
	if err != nil {
		return pageView{}, err
	}
	t.Others = slices.DeleteFunc(labels, func(l Label) bool {
		return slices.ContainsFunc(issue.Labels, func(on Label) bool { return on.Name == l.Name })
	})
	t.Entries = append(t.Entries, pageEntry{
		Anchor: fmt.Sprintf("issue-%d", issue.ID), Author: issue.Author, Body: p.markdown.render(issue.Body),
		Reactions: orderedReactions(issue.Reactions), Created: issue.CreatedAt,
	})
	for _, c := range comments {
		t.Entries = append(t.Entries, pageEntry{
			Anchor: fmt.Sprintf("issuecomment-%d", c.ID), Author: c.Author, App: c.App, Body: p.markdown.render(c.Body),
			Reactions: orderedReactions(c.Reactions), Created: c.CreatedAt, Edited: c.UpdatedAt.After(c.CreatedAt),
		})
	}
	view := pageView{
		name: "thread", Title: fmt.Sprintf("%s · #%d", issue.Title, number), Tab: "issues", Owner: owner, Repo: repo, Content: t,
	}
	if issue.PullRequest {
		view.Tab = "pulls"
	}
	return view, nil
}

func (p *pages) addPull(t *pageThread, owner, repo string) error {
	pull, err := p.state.PullRequest(owner, repo, t.Issue.Number)
	if err != nil {
		return err
	}
	t.Pull = &pull
	if pull.Merged {
		t.State = "merged"
	}
	if t.Commits, err = p.state.Commits(owner, repo, t.Issue.Number); err != nil {
		return err
	}
	text, err := p.state.Diff(owner, repo, t.Issue.Number)
	if err != nil {
		return err
	}
	t.Diff = newPageDiff(text)
	for _, number := range closes(pull.Body) {
		// A number that leads nowhere is no reason to refuse the page.
		if issue, err := p.state.Issue(owner, repo, number); err == nil && !issue.PullRequest {
			t.Resolves = append(t.Resolves, issue)
		}
	}
	return nil
}

// closes lists the issues that a body says it closes ("Fixes #12"), each once.
func closes(body string) []int {
	keyword := regexp.MustCompile(`(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d{1,9})\b`)
	var numbers []int
	for _, match := range keyword.FindAllStringSubmatch(body, -1) {
		number, err := strconv.Atoi(match[1])
		if err == nil && !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// orderedReactions puts reactions in GitHub's own order.
func orderedReactions(counts map[string]int) []pageReaction {
	var shown []pageReaction
	for _, r := range []pageReaction{
		{Emoji: "👍", Name: "+1"}, {Emoji: "👎", Name: "-1"}, {Emoji: "😄", Name: "laugh"}, {Emoji: "🎉", Name: "hooray"},
		{Emoji: "😕", Name: "confused"}, {Emoji: "❤️", Name: "heart"}, {Emoji: "🚀", Name: "rocket"}, {Emoji: "👀", Name: "eyes"},
	} {
		if r.Count = counts[r.Name]; r.Count > 0 {
			shown = append(shown, r)
		}
	}
	return shown
}
