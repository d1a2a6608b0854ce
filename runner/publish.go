package runner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// publish ends a task that ran. The agent's word is not enough: what GitHub has on the branch is what was done.
func (r *Runner) publish(ctx context.Context, p task.Project, c task.Claimed) error {
	t := c.Task
	if c.End == nil {
		return fmt.Errorf("publishing without an end of the attempt")
	}
	switch c.End.Outcome {
	case task.Done:
	case task.Stopped:
		return r.cancelled(ctx, t, c.End.Reason)
	default:
		return r.fail(ctx, t, failureWords(t, *c.End))
	}
	t.Headline, t.Summary = c.End.Headline, c.End.Summary
	pull, err := r.show(ctx, p, &t)
	var unusable task.UnusableError
	var later task.LaterError
	switch {
	case errors.As(err, &unusable):
		return r.fail(ctx, t, unusable.Reason)
	case errors.Is(err, errNothing):
		return r.fail(ctx, t, nothingWords(*c.End))
	case errors.As(err, &later):
		return err
	case err != nil:
		if since := t.Claimed.Sub(t.At[task.Publishing]); since > r.Bounds.Publish {
			return r.fail(ctx, t, fmt.Sprintf("GitHub did not take the pull request for %s. Open it by hand from the branch, or ask again.", since.Round(time.Minute)))
		}
		return err
	}
	t.Pull, t.PullURL = pull.Number, pull.URL
	zerolog.Ctx(ctx).Info().Int("pull_request", pull.Number).Str("head", t.Head).Msg("the task succeeded")
	return r.finish(ctx, t, task.Succeeded, t.Headline, map[task.Field]string{
		task.FieldHeadline: t.Headline, task.FieldSummary: t.Summary,
		task.FieldPull: strconv.Itoa(pull.Number), task.FieldPullURL: pull.URL,
	})
}

// errNothing: the agent is done and there is no commit of it.
var errNothing = errors.New("nothing was committed")

// show makes the commits a pull request.
func (r *Runner) show(ctx context.Context, p task.Project, t *task.Task) (task.PullRequest, error) {
	unrecorded, err := r.unrecorded(ctx, p, *t)
	if err != nil {
		return task.PullRequest{}, err
	}
	if unrecorded != "" {
		zerolog.Ctx(ctx).Warn().Str("head", unrecorded).Msg("a push that was not recorded is found on the branch")
		if err := r.store.RecordPush(ctx, t.ID, t.Epoch, t.Branch, unrecorded); err != nil {
			return task.PullRequest{}, err
		}
		t.Head = unrecorded
	}
	if t.Head == "" {
		return task.PullRequest{}, errNothing
	}
	return r.github.Publish(ctx, p, *t)
}

// unrecorded is the commit of a push that GitHub took and of which the record says nothing, "" when there is none. One that
// was begun is looked for by its name. A task that has no push at all is asked for before it counts as one that committed
// nothing: Redis may have lost what it had.
func (r *Runner) unrecorded(ctx context.Context, p task.Project, t task.Task) (string, error) {
	if t.Pushing != "" {
		if tip, err := r.github.Tip(ctx, p, t.Branch); err != nil || tip == t.Pushing {
			return t.Pushing, err
		}
	}
	if t.Head != "" {
		return "", nil
	}
	head, landed, err := r.github.Landed(ctx, p, t)
	if err != nil || !landed {
		return "", err
	}
	return head, nil
}

func failureWords(t task.Task, end task.End) string {
	words := []string{end.Reason}
	if end.Reason == "" {
		words = []string{fmt.Sprintf("The agent %s ended without saying why.", t.Agent)}
	}
	if end.Left {
		words = append(words, "Changes that it did not commit are kept in the workspace on the node.")
	}
	return strings.Join(words, " ")
}

// nothingWords tell that there is nothing to publish. What the agent said last is most often why.
func nothingWords(end task.End) string {
	words := "The agent says that it is done, but it committed nothing, so there is nothing to show."
	if end.Left {
		words += " It changed files without committing them; they are kept in the workspace on the node."
	}
	if end.Summary == "" {
		return words + " Say more exactly what should change, and ask again."
	}
	return words + " Its last words:\n\n" + end.Summary
}
