package github

import (
	"net/http"
	"slices"
	"time"
)

// This file is how people act and read without HTTP: seeds, pages and tests. A
// person is refused what GitHub would refuse; the web has the API's rules.

// CreateIssue opens an issue as a person who can read the repository.
func (s *Server) CreateIssue(actor, owner, repo, title, body string) (Issue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, r, err := s.acting(actor, owner, repo, "read")
	if err != nil {
		return Issue{}, err
	}
	th, err := s.openIssue(by, r, title, body, nil)
	if err != nil {
		return Issue{}, err
	}
	return th.snapshot(), nil
}

// CreateComment comments on an issue or a pull request as a person who can read
// the repository.
func (s *Server) CreateComment(actor, owner, repo string, number int, body string) (Comment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, th, err := s.actingOn(actor, owner, repo, number, "read")
	if err != nil {
		return Comment{}, err
	}
	c, err := s.commentOn(by, th, body)
	if err != nil {
		return Comment{}, err
	}
	return c.snapshot(), nil
}

// EditComment changes a comment as its author, or as one who can write.
func (s *Server) EditComment(actor, owner, repo string, id int64, body string) (Comment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, c, err := s.actingOnComment(actor, owner, repo, id)
	if err != nil {
		return Comment{}, err
	}
	if err := s.editComment(by, c, body); err != nil {
		return Comment{}, err
	}
	return c.snapshot(), nil
}

// DeleteComment deletes a comment as its author, or as one who can write.
func (s *Server) DeleteComment(actor, owner, repo string, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, c, err := s.actingOnComment(actor, owner, repo, id)
	if err != nil {
		return err
	}
	s.deleteComment(by, c)
	return nil
}

// AddLabel labels an issue or a pull request as one with triage rights or more.
// A label that the repository does not have is made.
func (s *Server) AddLabel(actor, owner, repo string, number int, label string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, th, err := s.actingOn(actor, owner, repo, number, "triage")
	if err != nil {
		return err
	}
	return s.addLabels(by, th, []string{label})
}

// RemoveLabel takes a label off as one with triage rights or more.
func (s *Server) RemoveLabel(actor, owner, repo string, number int, label string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, th, err := s.actingOn(actor, owner, repo, number, "triage")
	if err != nil {
		return err
	}
	return s.removeLabel(by, th, label)
}

// CloseIssue closes an issue or a pull request as its author or one with triage
// rights. One that is closed stays as it is.
func (s *Server) CloseIssue(actor, owner, repo string, number int) error {
	return s.moveTo(actor, owner, repo, number, "closed")
}

// ReopenIssue opens what was closed, as its author or one with triage rights.
func (s *Server) ReopenIssue(actor, owner, repo string, number int) error {
	return s.moveTo(actor, owner, repo, number, "open")
}

func (s *Server) moveTo(actor, owner, repo string, number int, state string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, th, err := s.actingOn(actor, owner, repo, number, "read")
	if err != nil {
		return err
	}
	if th.author != by.account && !atLeast(th.repo.roleOf(by.account), "triage") {
		return refuse(http.StatusForbidden, "Must have triage rights to Repository, or be the author.")
	}
	return s.setState(by, th, state, "")
}

// DeleteIssue deletes an issue as one who administers the repository. It is gone
// (410) from then on, and so are its comments. GitHub has no such call in its REST
// API. A pull request cannot be deleted.
func (s *Server) DeleteIssue(actor, owner, repo string, number int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, th, err := s.actingOn(actor, owner, repo, number, "admin")
	if err != nil {
		return err
	}
	if th.pull != nil {
		return refuse(http.StatusForbidden, "Pull requests cannot be deleted.")
	}
	s.deleteIssue(by, th)
	return nil
}

// Issues returns issues and pull requests, newest first.
func (s *Server) Issues(owner, repo string) ([]Issue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.repository(owner, repo)
	if err != nil {
		return nil, err
	}
	list := make([]Issue, 0, len(r.threads))
	for _, th := range slices.Backward(r.existing()) {
		list = append(list, th.snapshot())
	}
	return list, nil
}

// Issue returns one issue or pull request.
func (s *Server) Issue(owner, repo string, number int) (Issue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	th, err := s.find(owner, repo, number)
	if err != nil {
		return Issue{}, err
	}
	return th.snapshot(), nil
}

// Comments returns the comments on an issue or a pull request, oldest first.
func (s *Server) Comments(owner, repo string, number int) ([]Comment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	th, err := s.find(owner, repo, number)
	if err != nil {
		return nil, err
	}
	list := make([]Comment, len(th.comments))
	for i, c := range th.comments {
		list[i] = c.snapshot()
	}
	return list, nil
}

func (s *Server) find(owner, repo string, number int) (*thread, error) {
	r, err := s.repository(owner, repo)
	if err != nil {
		return nil, err
	}
	return r.thread(number)
}

// acting finds who acts and where, and refuses one who has not the role. With mu
// held.
func (s *Server) acting(login, owner, repo, role string) (actor, *repository, error) {
	by, err := s.actorNamed(login)
	if err != nil {
		return actor{}, nil, err
	}
	r, err := s.repository(owner, repo)
	if err != nil {
		return actor{}, nil, err
	}
	switch have := r.roleOf(by.account); {
	case have == "none":
		return actor{}, nil, notFound()
	case !atLeast(have, role):
		return actor{}, nil, refuse(http.StatusForbidden, "Must have "+role+" rights to Repository.")
	}
	return by, r, nil
}

func (s *Server) actingOn(login, owner, repo string, number int, role string) (actor, *thread, error) {
	by, r, err := s.acting(login, owner, repo, role)
	if err != nil {
		return actor{}, nil, err
	}
	th, err := r.thread(number)
	return by, th, err
}

func (s *Server) actingOnComment(login, owner, repo string, id int64) (actor, *comment, error) {
	by, r, err := s.acting(login, owner, repo, "read")
	if err != nil {
		return actor{}, nil, err
	}
	c, err := r.comment(id)
	if err != nil {
		return actor{}, nil, err
	}
	if c.author != by.account && !atLeast(r.roleOf(by.account), "write") {
		return actor{}, nil, refuse(http.StatusForbidden, "Must have write rights to Repository, or be the author.")
	}
	return by, c, nil
}

func (th *thread) snapshot() Issue {
	return Issue{
		ID: th.id, Number: th.number, Title: th.title, Body: th.body, State: th.state, Author: th.author.snapshot(),
		Labels: snapshotLabels(th.labels), PullRequest: th.pull != nil, Reactions: countReactions(th.reactions),
		CreatedAt: th.created, UpdatedAt: th.updated,
	}
}

func (c *comment) snapshot() Comment {
	snap := Comment{
		ID: c.id, Author: c.author.snapshot(), Body: c.body, Reactions: countReactions(c.reactions),
		CreatedAt: c.created, UpdatedAt: c.updated,
	}
	if c.via != nil {
		snap.App = c.via.slug
	}
	return snap
}

func countReactions(list []*reaction) map[string]int {
	counts := map[string]int{}
	for _, r := range list {
		counts[r.content]++
	}
	return counts
}

func zeroTime() time.Time { return time.Time{} }
