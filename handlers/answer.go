package handlers

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"sam/task"
)

// answer takes a writer's words for the answer to the question that the thread's task under way waits with. It reports
// false when none waits, or the words were written before it asked: then they are what they always are. Of two answers the
// first is taken; the other is a request, whose task comes behind.
//
// In an answer any word counts: one that looks like a verb misspelt is an answer, and a verb is not.
func (b Base) answer(ctx context.Context, p task.Project, a asked, index int, command Command) (bool, error) {
	if command.Verb != VerbRequest && command.Verb != VerbUnknown {
		return false, nil
	}
	instead := task.NewID(p.ID, task.CommentSource(a.Comment), index)
	for {
		t, err := b.Store.Asking(ctx, task.IssueThread(p.ID, a.Number), instead)
		if errors.Is(err, task.ErrNotFound) {
			// A request that answered makes no task, as the store sees to; a misspelt verb that did is not answered in turn.
			if command.Verb != VerbUnknown {
				return false, nil
			}
			return b.Store.HasAnswered(ctx, instead)
		}
		if err != nil {
			return false, err
		}
		answered, err := b.Store.Answer(ctx, t, task.Answer{Question: t.Ask.Text, Text: command.Text, By: a.Who.Login}, instead, a.At, task.Change{
			Entry: &task.Entry{Kind: task.EntryAnswer, Thread: t.Thread, Number: t.Number, Task: t.ID, Author: a.Who.Login, Text: command.Text},
			Effects: []task.Effect{
				task.ReactionEffect(p.ID, a.Number, a.Comment, reactionSeen),
				task.StatusEffect(t.Spec),
			},
		})
		if errors.Is(err, task.ErrStale) {
			continue // it was answered, or is over: look again
		}
		if answered {
			zerolog.Ctx(ctx).Info().Str("task", string(t.ID)).Str("by", a.Who.Login).Msg("the agent's question is answered")
			b.Metrics.task("answered")
		}
		return answered, err
	}
}
