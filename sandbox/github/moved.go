package github

import (
	"fmt"
	"strings"
)

// maxAnnouncedTags is how many tags one push may have for GitHub to make events
// of them; of more it makes none.
const maxAnnouncedTags = 3

// refUpdate is one ref that a push or a merge has moved. A zero SHA stands for
// "did not exist" and "was deleted".
type refUpdate struct{ ref, before, after string }

func (u refUpdate) branch() string {
	branch, ok := strings.CutPrefix(u.ref, "refs/heads/")
	if !ok {
		return ""
	}
	return branch
}

// moved makes everything follow refs that have moved already: the push events,
// and the pull requests that these branches are the ends of. With mu and the
// repository's writing held.
func (s *Server) moved(by actor, r *repository, updates []refUpdate) error {
	tags := 0
	for _, u := range updates {
		if strings.HasPrefix(u.ref, "refs/tags/") {
			tags++
		}
	}
	for _, u := range updates {
		s.past.refs = append(s.past.refs, refMove{refUpdate: u, repo: r, by: by, at: s.now().UTC()})
		r.pushed, r.updated = s.moment(), s.moment()
		if u.branch() != "" || (strings.HasPrefix(u.ref, "refs/tags/") && tags <= maxAnnouncedTags) {
			push, err := s.renderPush(by, r, u)
			if err != nil {
				return fmt.Errorf("describe the push to %s: %w", u.ref, err)
			}
			s.emit(r, "push", "", by, push)
		}
		if u.branch() == "" {
			continue
		}
		if u.branch() == r.defaultBranch && u.after != zeroSHA {
			if err := s.countContributors(r, u); err != nil {
				return fmt.Errorf("find the authors of %s: %w", u.ref, err)
			}
		}
		for _, th := range r.threads {
			if th.pull == nil || th.state != "open" {
				continue
			}
			if err := s.follow(by, th, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow moves one open pull request along with a branch. With mu held.
func (s *Server) follow(by actor, th *thread, u refUpdate) error {
	p := th.pull
	if p.head.Branch != u.branch() && p.base.Branch != u.branch() {
		return nil
	}
	if u.after == zeroSHA { // GitHub closes what has lost an end
		s.closeThread(by, th, "")
		s.announceThread("closed", th, by, nil)
		return nil
	}
	if p.head.Branch == u.branch() {
		p.head.SHA = u.after
	} else {
		p.base.SHA = u.after
		if _, err := said(th.repo.dir, "merge-base", "--is-ancestor", p.head.SHA, p.base.SHA); err == nil {
			// The head has come into the base by a push: that is merged as well. The
			// base stays as it was, or nothing would be left to show.
			p.base.SHA = u.before
			s.merged(by, th, u.after)
			return nil
		}
	}
	th.updated = s.moment()
	if err := s.refresh(th); err != nil {
		return err
	}
	if p.head.Branch == u.branch() {
		s.announceThread("synchronize", th, by, object{"before": u.before, "after": u.after})
	}
	return nil
}

// countContributors notes who has written commits of the default branch, by the
// addresses that GitHub gives accounts. With mu held.
func (s *Server) countContributors(r *repository, u refUpdate) error {
	span := u.after
	if u.before != zeroSHA {
		span = u.before + ".." + u.after
	}
	out, err := said(r.dir, "log", "--format=%ae", span)
	if err != nil {
		return err
	}
	for email := range strings.Lines(out) {
		if a := s.byEmail(strings.TrimSpace(email)); a != nil {
			r.contributors[a.id] = true
		}
	}
	return nil
}

// byEmail finds the account of a GitHub address, with or without the id in it;
// nil for any other address. With mu held.
func (s *Server) byEmail(email string) *account {
	name, ok := strings.CutSuffix(email, "@users.noreply.github.com")
	if !ok {
		return nil
	}
	if _, login, has := strings.Cut(name, "+"); has {
		name = login
	}
	return s.accounts[fold(name)]
}
