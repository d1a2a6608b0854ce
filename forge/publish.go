package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-github/v62/github"
	"github.com/rs/zerolog"

	"sam/task"
)

// Publish returns the open pull request of the task's branch, and creates it when there is none: repeating it finds
// what was made before. task.UnusableError when GitHub will never take it, task.LaterError when it must wait.
func (f *Forge) Publish(ctx context.Context, p task.Project, t task.Task) (task.PullRequest, error) {
	pull, err := f.publish(ctx, p, t)
	if meaning, _ := judge(err); meaning != moved {
		return pull, err
	}
	now, lookErr := f.Whereabouts(ctx, p)
	if lookErr != nil || now == p {
		return pull, err
	}
	return f.publish(ctx, now, t)
}

func (f *Forge) publish(ctx context.Context, p task.Project, t task.Task) (task.PullRequest, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return task.PullRequest{}, err
	}
	if found, ok, err := f.openPull(ctx, client, p, t); ok || err != nil {
		return found, err
	}
	if t.OnPull {
		return task.PullRequest{}, task.UnusableError{Reason: fmt.Sprintf(
			"Pull request #%d was closed meanwhile. The commits are on its branch %s: reopen it, or ask on an issue.", t.Number, t.Branch)}
	}
	if err := f.pace(ctx, p.Installation, task.EffectClosing.Urgency()); err != nil {
		return task.PullRequest{}, err
	}
	title, body := pullText(t)
	made, _, err := client.PullRequests.Create(ctx, p.Owner, p.Name, &github.NewPullRequest{
		Title: &title, Body: &body, Head: &t.Branch, Base: &t.Base, MaintainerCanModify: github.Bool(true),
	})
	if status(err) == http.StatusUnprocessableEntity {
		if found, ok, findErr := f.openPull(ctx, client, p, t); ok || findErr != nil { // another of us was faster
			return found, findErr
		}
		if !strings.Contains(refusal(err), "already exists") { // else GitHub's lists lag behind, and it is found next time
			return task.PullRequest{}, task.UnusableError{Reason: "GitHub refused the pull request: " + refusal(err)}
		}
	}
	if err != nil {
		return task.PullRequest{}, fmt.Errorf("create a pull request from %s in %s: %w", t.Branch, p.FullName(), err)
	}
	return task.PullRequest{Number: made.GetNumber(), URL: made.GetHTMLURL()}, nil
}

// openPull finds the open pull request of the task's branch. GitHub itself allows one for each head and base, so there can
// be two only when the default branch changed in between: then SAM closes its own younger ones.
func (f *Forge) openPull(ctx context.Context, client *github.Client, p task.Project, t task.Task) (task.PullRequest, bool, error) {
	pulls, err := f.pullsFrom(ctx, client, p, t.Branch, "open")
	if err != nil || len(pulls) == 0 {
		return task.PullRequest{}, false, err
	}
	slices.SortFunc(pulls, func(a, b *github.PullRequest) int { return a.GetNumber() - b.GetNumber() })
	for _, twin := range pulls[1:] {
		if twin.GetUser().GetID() != f.self.UserID || !strings.Contains(twin.GetBody(), "<!-- sam:pull:") {
			continue
		}
		if err := f.pace(ctx, p.Installation, task.EffectClosing.Urgency()); err != nil {
			return task.PullRequest{}, false, err
		}
		if _, _, err := client.PullRequests.Edit(ctx, p.Owner, p.Name, twin.GetNumber(), &github.PullRequest{State: github.String("closed")}); err != nil {
			return task.PullRequest{}, false, fmt.Errorf("close pull request #%d, a twin of #%d: %w", twin.GetNumber(), pulls[0].GetNumber(), err)
		}
		zerolog.Ctx(ctx).Info().Int("pull_request", twin.GetNumber()).Int("twin_of", pulls[0].GetNumber()).Msg("closed a pull request that was made twice")
	}
	return task.PullRequest{Number: pulls[0].GetNumber(), URL: pulls[0].GetHTMLURL()}, true, nil
}
