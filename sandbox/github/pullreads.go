package github

import "fmt"

// This file is pull requests for pages and tests, without HTTP.

// PullRequests returns pull requests, newest first.
func (s *Server) PullRequests(owner, repo string) ([]PullRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.repository(owner, repo)
	if err != nil {
		return nil, err
	}
	var list []PullRequest
	for i := len(r.threads) - 1; i >= 0; i-- {
		if r.threads[i].pull != nil {
			list = append(list, r.threads[i].snapshotPull())
		}
	}
	return list, nil
}

// PullRequest returns one pull request; an issue's number is not found.
func (s *Server) PullRequest(owner, repo string, number int) (PullRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	th, err := s.findPull(owner, repo, number)
	if err != nil {
		return PullRequest{}, err
	}
	return th.snapshotPull(), nil
}

// CreatePullRequest opens a pull request as one who can write.
func (s *Server) CreatePullRequest(actor, owner, repo, title, body, head, base string) (PullRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, r, err := s.acting(actor, owner, repo, "write")
	if err != nil {
		return PullRequest{}, err
	}
	th, err := s.openPull(by, r, pullSpec{title: title, body: body, head: head, base: base})
	if err != nil {
		return PullRequest{}, err
	}
	return th.snapshotPull(), nil
}

// MergePullRequest merges with a merge commit as one who can write.
func (s *Server) MergePullRequest(actor, owner, repo string, number int) error {
	s.mu.Lock()
	r, err := s.repository(owner, repo)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	by, th, err := s.actingOn(actor, owner, repo, number, "write")
	if err != nil {
		return err
	}
	if th.pull == nil {
		return notFound()
	}
	return s.merge(by, th, mergeSpec{})
}

// Diff returns what a pull request changes, as a unified diff.
func (s *Server) Diff(owner, repo string, number int) (string, error) {
	dir, p, err := s.pullAt(owner, repo, number)
	if err != nil {
		return "", err
	}
	from, err := said(dir, "merge-base", p.base.SHA, p.head.SHA)
	if err != nil {
		return "", fmt.Errorf("find where pull request %d left its base: %w", number, err)
	}
	text, err := diffText(dir, from, p.head.SHA)
	if err != nil {
		return "", fmt.Errorf("compare the branches of pull request %d: %w", number, err)
	}
	return string(text), nil
}

// Commits returns the commits of a pull request, oldest first.
func (s *Server) Commits(owner, repo string, number int) ([]Commit, error) {
	dir, p, err := s.pullAt(owner, repo, number)
	if err != nil {
		return nil, err
	}
	read, err := commits(dir, "--reverse", "--topo-order", p.base.SHA+".."+p.head.SHA)
	if err != nil {
		return nil, fmt.Errorf("read the commits of pull request %d: %w", number, err)
	}
	list := make([]Commit, len(read))
	for i, c := range read {
		list[i] = Commit{SHA: c.sha, Message: c.message, AuthorName: c.authorName, Date: c.authored.UTC()}
	}
	return list, nil
}

// pullAt copies what is needed to ask git about a pull request without mu.
func (s *Server) pullAt(owner, repo string, number int) (dir string, p pull, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	th, err := s.findPull(owner, repo, number)
	if err != nil {
		return "", pull{}, err
	}
	return th.repo.dir, *th.pull, nil
}

func (s *Server) findPull(owner, repo string, number int) (*thread, error) {
	th, err := s.find(owner, repo, number)
	if err != nil {
		return nil, err
	}
	if th.pull == nil {
		return nil, notFound()
	}
	return th, nil
}

func (th *thread) snapshotPull() PullRequest {
	return PullRequest{
		Number: th.number, Title: th.title, Body: th.body, State: th.state, Merged: th.pull.merged,
		Author: th.author.snapshot(), Head: th.pull.head, Base: th.pull.base, CreatedAt: th.created,
	}
}
