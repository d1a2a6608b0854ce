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

// publish ends a task that ran. The agent's word is not enough: what the git broker saw GitHub accept is what was done.
func (r *Runner) publish(ctx context.Context, p task.Project, c task.Claimed) error {
	t := c.Task
	if c.End == nil {
		return fmt.Errorf("publishing without an end of the attempt")
	}
	switch {
	case c.End.Outcome == task.Stopped:
		return r.store.Move(ctx, t, task.Cancelled, task.Change{
			Fields:  map[task.Field]string{task.FieldFailure: c.End.Reason},
			Entry:   result(t, task.Cancelled, c.End.Reason),
			Effects: []task.Effect{task.ClosingEffect(t.Spec), task.StatusEffect(t.Spec)},
		})
	case c.End.Outcome != task.Done:
		return r.fail(ctx, t, failureWords(t, *c.End))
	case t.Head == "":
		return r.fail(ctx, t, nothingWords(*c.End))
	}
	t.Headline, t.Summary = c.End.Headline, c.End.Summary
	pull, err := r.github.Publish(ctx, p, t)
	var unusable task.UnusableError
	if errors.As(err, &unusable) {
		return r.fail(ctx, t, unusable.Reason)
	}
	if err != nil {
		if since := t.Claimed.Sub(t.At[task.Publishing]); since > publishFor {
			return r.fail(ctx, t, fmt.Sprintf("GitHub did not take the pull request for %s. Open it by hand from the branch, or ask again.", since.Round(time.Minute)))
		}
		return err
	}
	t.Pull, t.PullURL = pull.Number, pull.URL
	zerolog.Ctx(ctx).Info().Int("pull_request", pull.Number).Str("head", t.Head).Msg("the task succeeded")
	return r.store.Move(ctx, t, task.Succeeded, task.Change{
		Fields: map[task.Field]string{
			task.FieldHeadline: t.Headline, task.FieldSummary: t.Summary,
			task.FieldPull: strconv.Itoa(pull.Number), task.FieldPullURL: pull.URL,
		},
		Entry:   result(t, task.Succeeded, t.Headline),
		Effects: []task.Effect{task.ClosingEffect(t.Spec), task.StatusEffect(t.Spec)},
	})
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

func nothingWords(end task.End) string {
	words := "The agent says that it is done, but it committed nothing, so there is nothing to show. "
	if end.Left {
		words += "It changed files without committing them; they are kept in the workspace on the node. "
	}
	return words + "Say more exactly what should change, and ask again."
}
