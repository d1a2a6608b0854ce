package github

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxBody is how many characters a body or a comment may have.
const maxBody = 65536

func checkBody(resource, body string) error {
	if utf8.RuneCountInString(body) > maxBody {
		return invalid(FieldError{Resource: resource, Code: "custom", Field: "body", Message: "body is too long (maximum is 65536 characters)"})
	}
	return nil
}

func checkTitle(resource, title string) error {
	switch {
	case strings.TrimSpace(title) == "":
		return invalid(FieldError{Resource: resource, Code: "missing_field", Field: "title"})
	case utf8.RuneCountInString(title) > 256:
		return invalid(FieldError{Resource: resource, Code: "custom", Field: "title", Message: "title is too long (maximum is 256 characters)"})
	}
	return nil
}

func checkLabels(names []string) error {
	for _, name := range names {
		if strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > 50 {
			return invalid(FieldError{Resource: "Label", Field: "name", Code: "invalid"})
		}
	}
	return nil
}

func (th *thread) resource() string {
	if th.pull != nil {
		return "PullRequest"
	}
	return "Issue"
}

// thread finds an issue or a pull request by number. With mu held.
func (r *repository) thread(number int) (*thread, error) {
	if number < 1 || number > len(r.threads) {
		return nil, notFound()
	}
	th := r.threads[number-1]
	if !th.deleted.IsZero() {
		return nil, refuse(http.StatusGone, "This issue was deleted")
	}
	return th, nil
}

// newThread adds a thread that its caller completes and announces. With mu held.
func (s *Server) newThread(by actor, r *repository, title, body string) *thread {
	th := &thread{
		id: s.newID(issueID), repo: r, number: len(r.threads) + 1, title: title, body: body, state: "open",
		author: by.account, via: by.via, created: s.moment(), updated: s.moment(),
	}
	r.threads = append(r.threads, th)
	return th
}

// openIssue is called with mu held.
func (s *Server) openIssue(by actor, r *repository, title, body string, labels []string) (*thread, error) {
	if err := checkTitle("Issue", title); err != nil {
		return nil, err
	}
	if err := checkBody("Issue", body); err != nil {
		return nil, err
	}
	if err := checkLabels(labels); err != nil {
		return nil, err
	}
	th := s.newThread(by, r, title, body)
	// Labels that come with an issue are there when it is announced, and are
	// announced one by one as well.
	added := s.attach(th, labels)
	s.announceThread("opened", th, by, nil)
	for _, l := range added {
		s.announceThread("labeled", th, by, object{"label": s.renderLabel(r, l)})
	}
	return th, nil
}

// editThread changes the title, the body or both. With mu held.
func (s *Server) editThread(by actor, th *thread, title, body *string) error {
	changes := object{}
	if title != nil && *title != th.title {
		if err := checkTitle(th.resource(), *title); err != nil {
			return err
		}
		changes["title"] = object{"from": th.title}
	}
	if body != nil && *body != th.body {
		if err := checkBody(th.resource(), *body); err != nil {
			return err
		}
		changes["body"] = object{"from": th.body}
	}
	if len(changes) == 0 {
		return nil
	}
	if title != nil {
		th.title = *title
	}
	if body != nil {
		th.body = *body
	}
	th.updated = s.moment()
	s.announceThread("edited", th, by, object{"changes": changes})
	return nil
}

// setState opens or closes a thread. Asking for the state it has changes
// nothing. With mu held.
func (s *Server) setState(by actor, th *thread, state, reason string) error {
	switch {
	case state != "open" && state != "closed":
		return invalid(FieldError{Resource: th.resource(), Field: "state", Code: "invalid"})
	case state == th.state:
		return nil
	case state == "closed":
		if reason == "" {
			reason = "completed"
		}
		s.closeThread(by, th, reason)
		s.announceThread("closed", th, by, nil)
		return nil
	}
	if th.pull != nil {
		if err := s.mayReopen(th); err != nil {
			return err
		}
	}
	th.state, th.reason, th.closedBy = "open", "reopened", nil
	th.closed, th.updated = zeroTime(), s.moment()
	s.announceThread("reopened", th, by, nil)
	return nil
}

// closeThread closes without a word to anyone. With mu held.
func (s *Server) closeThread(by actor, th *thread, reason string) {
	th.state, th.reason, th.closedBy = "closed", reason, by.account
	if th.pull != nil {
		th.reason = ""
	}
	th.closed, th.updated = s.moment(), s.moment()
}

// attach puts labels on a thread, making those that the repository does not
// know, and returns the ones that were not there before. With mu held.
func (s *Server) attach(th *thread, names []string) []*label {
	var added []*label
	for _, name := range names {
		l := th.repo.label(name)
		if l == nil {
			l = &label{id: s.newID(labelID), name: name, color: "ededed"}
			th.repo.labels = append(th.repo.labels, l)
		}
		if !slices.Contains(th.labels, l) {
			th.labels = append(th.labels, l)
			added = append(added, l)
		}
	}
	return added
}

// addLabels is called with mu held.
func (s *Server) addLabels(by actor, th *thread, names []string) error {
	if err := checkLabels(names); err != nil {
		return err
	}
	for _, l := range s.attach(th, names) {
		th.updated = s.moment()
		s.announceThread("labeled", th, by, object{"label": s.renderLabel(th.repo, l)})
	}
	return nil
}

// removeLabel is called with mu held.
func (s *Server) removeLabel(by actor, th *thread, name string) error {
	l := th.repo.label(name)
	if l == nil || !slices.Contains(th.labels, l) {
		return refuse(http.StatusNotFound, "Label does not exist")
	}
	th.labels = slices.DeleteFunc(th.labels, func(other *label) bool { return other == l })
	th.updated = s.moment()
	s.announceThread("unlabeled", th, by, object{"label": s.renderLabel(th.repo, l)})
	return nil
}

// label finds a repository's label by name, case aside. With mu held.
func (r *repository) label(name string) *label {
	for _, l := range r.labels {
		if fold(l.name) == fold(name) {
			return l
		}
	}
	return nil
}

// closers finds the issues that a merged pull request closes by its words.
var closers = regexp.MustCompile(`(?i)\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:([\w.-]+/[\w.-]+))?#(\d+)\b`)

// closeMentioned closes what a body says it closes, in its own repository. With
// mu held.
func (s *Server) closeMentioned(by actor, r *repository, body string) {
	for _, match := range closers.FindAllStringSubmatch(body, -1) {
		number, err := strconv.Atoi(match[2])
		if err != nil || (match[1] != "" && fold(match[1]) != fold(r.fullName())) {
			continue
		}
		if th, err := r.thread(number); err == nil && th.pull == nil && th.state == "open" {
			s.closeThread(by, th, "completed")
			s.announceThread("closed", th, by, nil)
		}
	}
}

// commentOn is called with mu held.
func (s *Server) commentOn(by actor, th *thread, body string) (*comment, error) {
	if strings.TrimSpace(body) == "" {
		return nil, invalid(FieldError{Resource: "IssueComment", Code: "missing_field", Field: "body"})
	}
	if err := checkBody("IssueComment", body); err != nil {
		return nil, err
	}
	c := &comment{
		id: s.newID(commentID), thread: th, body: body, author: by.account, via: by.via,
		created: s.moment(), updated: s.moment(),
	}
	th.comments = append(th.comments, c)
	s.past.comments = append(s.past.comments, c)
	th.updated = s.moment()
	s.announceComment("created", c, by, nil)
	return c, nil
}

// editComment is called with mu held.
func (s *Server) editComment(by actor, c *comment, body string) error {
	if strings.TrimSpace(body) == "" {
		return invalid(FieldError{Resource: "IssueComment", Code: "missing_field", Field: "body"})
	}
	if err := checkBody("IssueComment", body); err != nil {
		return err
	}
	if body == c.body {
		return nil
	}
	was := c.body
	c.body, c.updated = body, s.moment()
	c.edits++
	s.announceComment("edited", c, by, object{"changes": object{"body": object{"from": was}}})
	return nil
}

// deleteComment is called with mu held.
func (s *Server) deleteComment(by actor, c *comment) {
	c.deleted = s.moment()
	c.thread.comments = slices.DeleteFunc(c.thread.comments, func(other *comment) bool { return other == c })
	s.announceComment("deleted", c, by, nil)
}

// deleteIssue takes an issue away with all that was said about it. With mu held.
func (s *Server) deleteIssue(by actor, th *thread) {
	s.announceThread("deleted", th, by, nil)
	th.deleted = s.moment()
}

// comment finds a comment of the repository by id. With mu held.
func (r *repository) comment(id int64) (*comment, error) {
	for _, th := range r.existing() {
		for _, c := range th.comments {
			if c.id == id {
				return c, nil
			}
		}
	}
	return nil, notFound()
}
