package forge

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// maxBranches is how many branches a thread may have used up: each merged or closed pull request takes one.
const maxBranches = 100

// Branch chooses the branch of a thread. On a pull request of the same repository it is its head. On an issue it is
// sam/issue-<n>, which the thread's tasks share as long as its pull request is open; when that was merged or closed the
// next is sam/issue-<n>-2, so there is at most one open pull request per thread. Its Rewrite is set where SAM made the branch: a
// person may have made one of that name, or on it. task.UnusableError when there is none.
func (f *Forge) Branch(ctx context.Context, p task.Project, s task.Spec) (task.Branch, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return task.Branch{}, err
	}
	if s.OnPull {
		return f.headBranch(ctx, client, p, s.Number)
	}
	base := p.DefaultBranch
	if base == "" {
		repository, _, err := client.Repositories.Get(ctx, p.Owner, p.Name)
		if err != nil {
			return task.Branch{}, fmt.Errorf("read repository %s: %w", p.FullName(), err)
		}
		base = repository.GetDefaultBranch()
	}
	for n := 1; n <= maxBranches; n++ {
		name := issueBranch(s.Number, n)
		pulls, err := f.pullsFrom(ctx, client, p, name, "all")
		if err != nil {
			return task.Branch{}, err
		}
		chosen := task.Branch{Name: name, Base: base}
		free := len(pulls) == 0
		for _, pull := range pulls {
			if pull.GetState() == "open" {
				free, chosen.Rewrite = true, f.opened(pull)
				chosen.Base, chosen.Pull, chosen.PullURL = pull.GetBase().GetRef(), pull.GetNumber(), pull.GetHTMLURL()
			}
		}
		if free {
			if chosen.Tip, err = tip(ctx, client, p, name); err == nil && !chosen.Rewrite {
				chosen.Rewrite, err = f.wrote(ctx, client, p, chosen)
			}
			return chosen, err
		}
	}
	return task.Branch{}, task.UnusableError{Reason: fmt.Sprintf("Issue #%d has had %d pull requests already. Open a new issue for what is left to do.", s.Number, maxBranches)}
}

// issueBranch is the nth branch of an issue.
func issueBranch(issue, n int) string {
	if n == 1 {
		return fmt.Sprintf("sam/issue-%d", issue)
	}
	return fmt.Sprintf("sam/issue-%d-%d", issue, n)
}

var ownBranch = regexp.MustCompile(`^sam/issue-\d+(-\d+)?$`)

// opened reports whether a pull request is SAM's own, from a branch of SAM's.
func (f *Forge) opened(pull *github.PullRequest) bool {
	return pull.GetUser().GetID() == f.self.UserID && ownBranch.MatchString(pull.GetHead().GetRef())
}

// wrote reports whether all that is on a branch is by SAM, as an attempt that came to no pull request leaves it: then
// rewriting it takes nothing from anybody. A branch that does not exist is nobody's.
func (f *Forge) wrote(ctx context.Context, client *github.Client, p task.Project, b task.Branch) (bool, error) {
	if b.Tip == task.NoCommit {
		return true, nil
	}
	commits, err := ahead(ctx, client, p, b.Base, b.Tip)
	if errors.Is(err, task.ErrNotFound) || err == nil && len(commits) >= maxCompared {
		return false, nil
	}
	for _, c := range commits {
		if c.GetCommit().GetAuthor().GetEmail() != f.self.Email || c.GetCommit().GetCommitter().GetEmail() != f.self.Email {
			return false, nil
		}
	}
	return err == nil, err
}

func (f *Forge) headBranch(ctx context.Context, client *github.Client, p task.Project, number int) (task.Branch, error) {
	pull, _, err := client.PullRequests.Get(ctx, p.Owner, p.Name, number)
	if err != nil {
		return task.Branch{}, fmt.Errorf("read pull request #%d of %s: %w", number, p.FullName(), err)
	}
	head := pull.GetHead()
	switch {
	case pull.GetState() != "open":
		return task.Branch{}, task.UnusableError{Reason: fmt.Sprintf("Pull request #%d is closed, so there is no branch to work on. Reopen it, or ask on an issue.", number)}
	case head.GetRepo().GetID() != p.ID:
		return task.Branch{}, task.UnusableError{Reason: fmt.Sprintf("Pull request #%d comes from another repository, and SAM pushes only to its own. Ask on an issue instead, or push the branch here.", number)}
	case head.GetRef() == p.DefaultBranch:
		return task.Branch{}, task.UnusableError{Reason: fmt.Sprintf("Pull request #%d has the default branch %s as its head, and SAM never pushes there.", number, head.GetRef())}
	}
	branch, _, err := client.Repositories.GetBranch(ctx, p.Owner, p.Name, head.GetRef(), 1)
	if err != nil {
		return task.Branch{}, fmt.Errorf("read branch %s of %s: %w", head.GetRef(), p.FullName(), err)
	}
	if branch.GetProtected() {
		return task.Branch{}, task.UnusableError{Reason: fmt.Sprintf("Branch %s is protected, and SAM never pushes to a protected branch.", head.GetRef())}
	}
	return task.Branch{Name: head.GetRef(), Base: pull.GetBase().GetRef(), Pull: number, PullURL: pull.GetHTMLURL(), Tip: branch.GetCommit().GetSHA(), Rewrite: f.opened(pull)}, nil
}

func (f *Forge) pullsFrom(ctx context.Context, client *github.Client, p task.Project, branch, state string) ([]*github.PullRequest, error) {
	pulls, _, err := client.PullRequests.List(ctx, p.Owner, p.Name, &github.PullRequestListOptions{
		State: state, Head: p.Owner + ":" + branch, ListOptions: github.ListOptions{PerPage: 100},
	})
	if err != nil {
		return nil, fmt.Errorf("list pull requests from %s in %s: %w", branch, p.FullName(), err)
	}
	return pulls, nil
}
