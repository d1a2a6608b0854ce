package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// appearsWithin is how long after its creation GitHub may say 404 of what is there.
const appearsWithin = time.Minute

// Installation says whether GitHub lets SAM act as an installation: nil, task.ErrSuspended, or task.ErrNotFound when the
// App was uninstalled.
func (f *Forge) Installation(ctx context.Context, installation int64) error {
	found, _, err := f.app.Apps.GetInstallation(ctx, installation)
	return installationError(installation, found, err)
}

func installationError(id int64, found *github.Installation, err error) error {
	switch meaning, _ := judge(err); {
	case err == nil && found.SuspendedAt != nil:
		return fmt.Errorf("installation %d: %w", id, task.ErrSuspended)
	case err == nil:
		return nil
	case meaning == missing:
		return fmt.Errorf("installation %d: %w", id, task.ErrNotFound)
	default:
		return fmt.Errorf("read installation %d: %w", id, err)
	}
}

// Whereabouts is a project as GitHub describes it now, found by the repository's id, which survives renames and
// transfers: its owner, name and installation may have changed. task.ErrNotFound when the repository is gone or SAM is
// not installed on it any more, task.ErrSuspended when it must not be read.
func (f *Forge) Whereabouts(ctx context.Context, p task.Project) (task.Project, error) {
	found, _, err := f.app.Apps.FindRepositoryInstallationByID(ctx, p.ID)
	if err := installationError(found.GetID(), found, err); err != nil {
		return task.Project{}, fmt.Errorf("find project %d (%s): %w", p.ID, p.FullName(), err)
	}
	client, err := f.client(found.GetID())
	if err != nil {
		return task.Project{}, err
	}
	repository, _, err := client.Repositories.GetByID(ctx, p.ID)
	switch meaning, _ := judge(err); {
	case err == nil:
		return project(found.GetID(), repository), nil
	case meaning == missing:
		return task.Project{}, fmt.Errorf("find project %d (%s): %w", p.ID, p.FullName(), task.ErrNotFound)
	default:
		return task.Project{}, fmt.Errorf("find project %d (%s): %w", p.ID, p.FullName(), err)
	}
}

// ThreadState is what GitHub says now of what a task stands on. What was created less than a minute ago counts as there.
// task.ErrNotFound when not the issue but the project is gone, as of Whereabouts.
func (f *Forge) ThreadState(ctx context.Context, p task.Project, t task.Task) (task.ThreadState, error) {
	var state task.ThreadState
	client, err := f.client(p.Installation)
	if err != nil {
		return state, err
	}
	issue, gone, err := f.issue(ctx, client, p, t)
	if err != nil || gone {
		return task.ThreadState{Gone: gone}, err
	}
	if t.Comment != 0 {
		_, response, err := client.Issues.GetComment(ctx, p.Owner, p.Name, t.Comment)
		if meaning, _ := judge(err); err != nil && meaning != missing {
			return state, fmt.Errorf("read comment %d of %s: %w", t.Comment, p.FullName(), err)
		}
		state.CommentGone = err != nil && clock(response).Sub(t.Created) > appearsWithin
	}
	if issue.GetState() == "closed" {
		state.ClosedAt = issue.GetClosedAt().Time
		if !t.OnPull {
			if state.ByMerge, err = f.closedByMerge(ctx, client, p, t.Number, state.ClosedAt); err != nil {
				return state, err
			}
		}
	}
	if t.Pull != 0 {
		if state.Pull, err = f.pullState(ctx, client, p, t.Pull); err != nil {
			return state, err
		}
	}
	return state, nil
}

// issue reads a task's issue or pull request, and says whether it is gone from the project.
func (f *Forge) issue(ctx context.Context, client *github.Client, p task.Project, t task.Task) (*github.Issue, bool, error) {
	issue, response, err := client.Issues.Get(ctx, p.Owner, p.Name, t.Number)
	meaning, _ := judge(err)
	switch {
	case err != nil && meaning != missing:
		return nil, false, fmt.Errorf("read #%d of %s: %w", t.Number, p.FullName(), err)
	case err != nil && clock(response).Sub(t.Created) < appearsWithin:
		return &github.Issue{}, false, nil
	case err == nil && issue.GetNumber() == t.Number && strings.EqualFold(repositoryOf(issue), p.FullName()):
		return issue, false, nil
	}
	// It may be the project that moved or went, not the issue; and an issue that moved is found where it is by a redirect.
	now, err := f.Whereabouts(ctx, p)
	if err != nil {
		return nil, false, err
	}
	return issue, meaning == missing || issue.GetNumber() != t.Number || !strings.EqualFold(repositoryOf(issue), now.FullName()), nil
}

// clock is GitHub's, by which things were created; this machine's may be off.
func clock(r *github.Response) time.Time {
	if r != nil && r.Response != nil {
		if at, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			return at
		}
	}
	return time.Now()
}

// repositoryOf is the full name in an issue's repository_url.
func repositoryOf(i *github.Issue) string {
	u, err := url.Parse(i.GetRepositoryURL())
	if err != nil {
		return ""
	}
	_, name, _ := strings.Cut(u.Path, "/repos/")
	return name
}

// closedByMerge reports whether an issue was closed by the merge of SAM's own pull request for it: one of its branches, which
// were used up one after the other, was merged at that time.
func (f *Forge) closedByMerge(ctx context.Context, client *github.Client, p task.Project, number int, closed time.Time) (bool, error) {
	for n := 1; n <= maxBranches; n++ {
		pulls, err := f.pullsFrom(ctx, client, p, issueBranch(number, n), "all")
		if err != nil || len(pulls) == 0 {
			return false, err
		}
		for _, pull := range pulls {
			if pull.MergedAt != nil && closed.Sub(pull.GetMergedAt().Time).Abs() < time.Minute {
				return true, nil
			}
		}
	}
	return false, nil
}

func (f *Forge) pullState(ctx context.Context, client *github.Client, p task.Project, number int) (task.PullState, error) {
	pull, _, err := client.PullRequests.Get(ctx, p.Owner, p.Name, number)
	switch {
	case err != nil:
		return task.PullNone, fmt.Errorf("read pull request #%d of %s: %w", number, p.FullName(), err)
	case pull.MergedAt != nil:
		return task.PullMerged, nil
	case pull.GetState() == "open":
		return task.PullOpen, nil
	default:
		return task.PullClosed, nil
	}
}
