package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// Tip is the commit that a branch points at, task.NoCommit when there is no such branch.
func (f *Forge) Tip(ctx context.Context, p task.Project, branch string) (string, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return "", err
	}
	return tip(ctx, client, p, branch)
}

func tip(ctx context.Context, client *github.Client, p task.Project, branch string) (string, error) {
	ref, _, err := client.Git.GetRef(ctx, p.Owner, p.Name, "heads/"+branch)
	switch meaning, _ := judge(err); {
	case err == nil:
		return ref.GetObject().GetSHA(), nil
	case meaning == missing, status(err) == http.StatusConflict: // 409: the repository is empty
		return task.NoCommit, nil
	default:
		return "", fmt.Errorf("read the tip of %s in %s: %w", branch, p.FullName(), err)
	}
}

// Landed asks GitHub what a task has pushed, for a task whose record says that it has pushed nothing: GitHub may have
// accepted a push that could not be recorded any more. It returns the tip of the task's branch when that is not where it
// was before the task began, goes beyond the base, and has a new commit that SAM is the author or the committer of, for
// others push to the same branches. It says no when it is not known where the branch was.
func (f *Forge) Landed(ctx context.Context, p task.Project, t task.Task) (head string, ok bool, err error) {
	if t.Tip == "" || t.Branch == "" || t.Base == "" {
		return "", false, nil
	}
	client, err := f.client(p.Installation)
	if err != nil {
		return "", false, err
	}
	head, err = tip(ctx, client, p, t.Branch)
	if err != nil || head == task.NoCommit || head == t.Tip {
		return "", false, err
	}
	// An end of a comparison that is not there any more has nothing to compare with.
	beyond, err := ahead(ctx, client, p, t.Base, head)
	if errors.Is(err, task.ErrNotFound) || err == nil && len(beyond) == 0 {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	fresh := beyond
	if t.Tip != task.NoCommit {
		if fresh, err = ahead(ctx, client, p, t.Tip, head); errors.Is(err, task.ErrNotFound) {
			fresh, err = beyond, nil // the branch was rewritten and what it held is forgotten
		}
		if err != nil {
			return "", false, err
		}
	}
	for _, c := range fresh {
		if c.GetCommit().GetAuthor().GetEmail() == f.self.Email || c.GetCommit().GetCommitter().GetEmail() == f.self.Email {
			return head, true, nil
		}
	}
	return "", false, nil
}

// maxCompared is how many commits GitHub's comparison tells at the most.
const maxCompared = 250

// ahead lists the commits of head, up to maxCompared, that are not of base. task.ErrNotFound when one of them does not
// exist.
func ahead(ctx context.Context, client *github.Client, p task.Project, base, head string) ([]*github.RepositoryCommit, error) {
	compared, _, err := client.Repositories.CompareCommits(ctx, p.Owner, p.Name, base, head, nil)
	switch meaning, _ := judge(err); {
	case err == nil:
		return compared.Commits, nil
	case meaning == missing:
		return nil, fmt.Errorf("compare %s with %s in %s: %w", base, head, p.FullName(), task.ErrNotFound)
	default:
		return nil, fmt.Errorf("compare %s with %s in %s: %w", base, head, p.FullName(), err)
	}
}
