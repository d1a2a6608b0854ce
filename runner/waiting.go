package runner

import (
	"context"

	"github.com/rs/zerolog"

	"sam/task"
)

// waiting looks after a task whose agent asked. Nobody claims it: a claim would take it from the node on which the agent
// waits. What has to be done is decided and written by one script of the store.
func (r *Runner) waiting(ctx context.Context, id task.ID) error {
	t, err := r.store.Task(ctx, id)
	if err != nil {
		return err
	}
	did, err := r.store.Wait(ctx, t, []task.Effect{task.StatusEffect(t.Spec)})
	if err != nil {
		return err
	}
	log := zerolog.Ctx(ctx)
	switch did {
	case task.WaitedRemind:
		log.Info().Int("reminders", t.Ask.Reminded+1).Msg("the question is told again: nobody has answered it")
	case task.WaitedAlone:
		log.Warn().Str("node", t.Node).Msg("the node of a task that waits for an answer is lost; the answer will go to another attempt")
		// What waits without a node does not count as in flight. It asks for a place again when it is placed.
		return r.store.Leave(ctx, t.Spec, r.Bounds.InFlight)
	case task.WaitedTooLong:
		// As for every task that is not wanted any more: its node is told to stop, and pushes what was committed.
		log.Info().Msg("nobody answered in time")
		_, err := r.store.Cancel(ctx, id, task.Unanswered(t), task.Waiting)
		return err
	}
	return nil
}
