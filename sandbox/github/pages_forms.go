package github

import (
	"fmt"
	"net/http"
	"strings"
)

// chooseActor keeps in a cookie whom the visitor acts as from now on.
func (p *pages) chooseActor(w http.ResponseWriter, r *http.Request) (string, error) {
	login := r.PostForm.Get("login")
	known := false
	for _, u := range p.people() {
		known = known || u.Login == login
	}
	if !known {
		return "", refuse(http.StatusUnprocessableEntity, fmt.Sprintf("There is nobody called %q to act as.", login))
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure: the sandbox speaks plain HTTP on loopback, and the cookie is no secret
		Name: actorCookie, Value: login, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return localPath(r.PostForm.Get("back")), nil
}

// localPath keeps a redirect on this site.
func localPath(to string) string {
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return to
}

func (p *pages) createIssue(_ http.ResponseWriter, r *http.Request) (string, error) {
	owner, repo := r.PathValue("owner"), r.PathValue("repo")
	title := strings.TrimSpace(r.PostForm.Get("title"))
	issue, err := p.state.CreateIssue(p.actor(r), owner, repo, title, r.PostForm.Get("body"))
	if err != nil {
		return "", err
	}
	return issuePath(owner, repo, issue.Number), nil
}

// change does one thing to an issue or a pull request.
func (p *pages) change(_ http.ResponseWriter, r *http.Request) (string, error) {
	owner, repo := r.PathValue("owner"), r.PathValue("repo")
	number, err := pageNumber(r)
	if err != nil {
		return "", err
	}
	actor, to := p.actor(r), issuePath(owner, repo, number)
	switch label := strings.TrimSpace(r.PostForm.Get("label")); r.PathValue("what") {
	case "comments":
		// The body keeps the CR LF that browsers send: so does GitHub.
		comment, err := p.state.CreateComment(actor, owner, repo, number, r.PostForm.Get("body"))
		if err != nil {
			return "", err
		}
		to += fmt.Sprintf("#issuecomment-%d", comment.ID)
	case "label":
		err = p.state.AddLabel(actor, owner, repo, number, label)
	case "unlabel":
		err = p.state.RemoveLabel(actor, owner, repo, number, label)
	case "close":
		err = p.state.CloseIssue(actor, owner, repo, number)
	case "reopen":
		err = p.state.ReopenIssue(actor, owner, repo, number)
	case "merge":
		err = p.state.MergePullRequest(actor, owner, repo, number)
	default:
		err = notFound()
	}
	return to, err
}
