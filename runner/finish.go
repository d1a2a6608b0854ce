package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/rs/zerolog"

	"sam/task"
)

// finish is the one way in which a task ends: the state by the table, the words for the person, the conversation's entry,
// the closing comment and the last edit of the status, in one script. The store tells its node to let go of it in the same
// script. Only then is its place among the tasks in flight another's; should that be lost, the reconciler finds it.
func (r *Runner) finish(ctx context.Context, t task.Task, to task.State, words string, fields map[task.Field]string) error {
	all := map[task.Field]string{}
	if to != task.Succeeded {
		all[task.FieldFailure] = words
	}
	maps.Copy(all, fields)
	if err := r.store.Move(ctx, t, to, task.Change{
		Fields:  all,
		Entry:   &task.Entry{Kind: task.EntryResult, Thread: t.Thread, Number: t.Number, Task: t.ID, Text: words, State: to, Pull: t.Pull},
		Effects: []task.Effect{task.ClosingEffect(t.Spec), task.StatusEffect(t.Spec)},
	}); err != nil {
		return err
	}
	if err := r.store.Leave(ctx, t.Spec, r.Bounds.InFlight); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the task's place in flight is not given up yet; the reconciler does")
	}
	return nil
}

// fail ends a task with what happened, why, and what to do next.
func (r *Runner) fail(ctx context.Context, t task.Task, why string) error {
	zerolog.Ctx(ctx).Warn().Str("from", string(t.State)).Str("why", why).Msg("the task failed")
	return r.finish(ctx, t, task.Failed, why, nil)
}

// cancelled ends a task that is not wanted any more. One that was being published may have its pull request already: then
// the person is told of it, for nobody else would.
func (r *Runner) cancelled(ctx context.Context, t task.Task, why string) error {
	zerolog.Ctx(ctx).Info().Str("from", string(t.State)).Str("why", why).Msg("the task is cancelled")
	fields := map[task.Field]string{}
	if t.State == task.Publishing && t.Pull == 0 {
		found, err := r.published(ctx, t)
		if err != nil {
			return err
		}
		if t.Pull = found.Pull; t.Pull != 0 {
			fields[task.FieldPull], fields[task.FieldPullURL] = strconv.Itoa(found.Pull), found.PullURL
		}
	}
	switch {
	case t.Pull != 0:
		why += fmt.Sprintf(" What was committed until then is in pull request #%d.", t.Pull)
	case t.Head != "" && t.Rewrite:
		why += " What was committed until then is on the branch `" + t.Branch + "`."
	}
	return r.finish(ctx, t, task.Cancelled, why, fields)
}

// published is the thread's branch with its open pull request, when that is the task's branch: a publisher that died may
// have made it.
func (r *Runner) published(ctx context.Context, t task.Task) (task.Branch, error) {
	p, err := r.store.Project(ctx, t.Project)
	if errors.Is(err, task.ErrNotFound) {
		return task.Branch{}, nil
	}
	if err != nil {
		return task.Branch{}, err
	}
	branch, err := r.github.Branch(ctx, p, t.Spec)
	var unusable task.UnusableError
	if errors.As(err, &unusable) || err == nil && branch.Name != t.Branch {
		return task.Branch{}, nil
	}
	return branch, err
}
