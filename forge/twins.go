package forge

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// twinRounds are when twins are looked for, counted from before the creation that may be the second: soon, and once more
// when a creation that is under way cannot come any more (deliverWithin). Both are within a minute.
var twinRounds = []time.Duration{10 * time.Second, 45 * time.Second}

// expectTwins owes the looks for a twin of what the effect creates: it may be there twice, because an answer was lost or
// because another deliverer was at it too. GitHub knows no idempotent creation, and its lists lag behind.
func (d *delivery) expectTwins(ctx context.Context) error {
	switch d.body.Kind {
	case task.EffectQuestion, task.EffectClosing, task.EffectReply, task.EffectStatus:
	default:
		return nil
	}
	for i, after := range twinRounds {
		effect := task.TwinsEffect(d.body, d.marker(), i+1)
		if err := d.outbox.ledger.OweLater(ctx, d.owed.Installation, after, effect); err != nil {
			return fmt.Errorf("owe a look for twins: %w", err)
		}
	}
	return nil
}

// removeTwins deletes all but the oldest of the App's comments with one marker.
func (d *delivery) removeTwins(ctx context.Context, t task.Task) error {
	found, err := d.find(ctx, t.Created)
	if err != nil || len(found) < 2 {
		return err
	}
	oldest, twins := found[0], found[1:]
	for _, id := range twins {
		if err := d.pace(ctx); err != nil {
			return err
		}
		_, err := d.client.Issues.DeleteComment(ctx, d.project.Owner, d.project.Name, id)
		if err != nil && status(err) != http.StatusNotFound {
			return fmt.Errorf("delete comment %d, a twin of %d: %w", id, oldest, err)
		}
		zerolog.Ctx(ctx).Info().Int64("comment", id).Int64("twin_of", oldest).Msg("removed a comment that was made twice")
	}
	if d.marker() != marker(string(task.EffectStatus), string(t.ID)) || t.StatusComment == oldest {
		return nil
	}
	// The comment that was kept up to date is the one that went.
	if err := d.outbox.ledger.NoteStatusComment(ctx, t.ID, oldest); err != nil {
		return err
	}
	return d.outbox.ledger.OweLater(ctx, d.owed.Installation, 0, task.StatusEffect(t.Spec))
}
