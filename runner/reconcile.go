package runner

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// Reconciled is what the reconciler reads and writes.
type Reconciled interface {
	// AllOpenTasks lists the tasks that are not final.
	AllOpenTasks(ctx context.Context) ([]task.Task, error)
	// Cancel notes why a task is not wanted any more and has it ended; false when it is over or was cancelled before.
	Cancel(ctx context.Context, id task.ID, why string, in ...task.State) (bool, error)
	// TakeTurn makes this process the one that does a job, for at most the lease, when nobody else is at it and nobody has
	// finished it within the last time; it returns Redis's clock. EndTurn lets go.
	TakeTurn(ctx context.Context, job string, lease, every time.Duration) (now time.Time, mine bool, err error)
	EndTurn(ctx context.Context, job string) error
}

const (
	// ReconcileEvery is how often open tasks are compared with GitHub.
	ReconcileEvery = 5 * time.Minute
	// reconcileLease is how long one comparison may take before another process begins its own.
	reconcileLease = 2 * time.Minute
)

// Reconcile compares what is open with GitHub, at once and then at every interval, until ctx ends: an event may have been
// missed, and what it told of is true all the same. One replica does it at a time; where another is at it, this one looks
// again when that one's turn must be over: it may have died.
func (r *Runner) Reconcile(ctx context.Context, every time.Duration) error {
	for since := time.Duration(0); ctx.Err() == nil; since = every / 2 {
		pause := time.NewTimer(every)
		if !r.ReconcileOnce(ctx, since) {
			pause.Reset(min(every, reconcileLease))
		}
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

// ReconcileOnce compares once, unless another process is at it or has finished within the last time; then it returns false.
// What fails is left to the next time.
func (r *Runner) ReconcileOnce(ctx context.Context, since time.Duration) bool {
	log := zerolog.Ctx(ctx)
	now, mine, err := r.store.TakeTurn(ctx, "reconcile", reconcileLease, since)
	if err != nil {
		log.Warn().Err(err).Msg("no turn to reconcile; trying again")
		return false
	}
	if !mine {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, reconcileLease)
	defer cancel()
	if err := errors.Join(r.leaveOver(bounded), r.reconcile(bounded, now)); err != nil && ctx.Err() == nil {
		log.Warn().Err(err).Msg("comparing open tasks with GitHub failed; trying again at the next interval")
	}
	if err := r.store.EndTurn(context.WithoutCancel(ctx), "reconcile"); err != nil {
		log.Warn().Err(err).Msg("letting go of the turn to reconcile failed; it ends by itself")
	}
	return true
}

// reconcile ends the open tasks that are not wanted any more by what GitHub says. One that cannot be asked about holds up
// no other.
func (r *Runner) reconcile(ctx context.Context, now time.Time) error {
	open, err := r.store.AllOpenTasks(ctx)
	if err != nil {
		return err
	}
	// There may be more than there is time for: in another order each time, every one is looked at before long.
	rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] }) //nolint:gosec // an order hides nothing
	var errs []error
	for _, t := range open {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		if t.Cancel != "" {
			continue
		}
		why, err := r.unwanted(ctx, t, now)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if why == "" {
			continue
		}
		zerolog.Ctx(ctx).Info().Str("task", string(t.ID)).Str("why", why).Msg("the task is not wanted any more")
		if _, err := r.store.Cancel(ctx, t.ID, why); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (r *Runner) unwanted(ctx context.Context, t task.Task, now time.Time) (string, error) {
	p, err := r.store.Project(ctx, t.Project)
	if errors.Is(err, task.ErrNotFound) {
		return "SAM is no longer installed on this repository.", nil
	}
	if err != nil {
		return "", err
	}
	why := ""
	for range 2 { // no event has told, and a read may be wrong for a moment: what ends somebody's work is asked for twice
		state, err := r.github.ThreadState(ctx, p, t)
		switch {
		case errors.Is(err, task.ErrNotFound), errors.Is(err, task.ErrSuspended):
			return "", nil // a matter of the whole installation, which is looked at as one
		case err != nil:
			return "", err
		}
		if why = state.Unwanted(t, now); why == "" {
			return "", nil
		}
	}
	return why, nil
}

// leaveOver gives up the places in flight of tasks that are over: who ended them died before it could.
func (r *Runner) leaveOver(ctx context.Context) error {
	flying, err := r.store.InFlight(ctx)
	if err != nil {
		return err
	}
	for _, id := range flying {
		t, err := r.store.Task(ctx, id)
		gone := errors.Is(err, task.ErrNotFound)
		switch {
		case gone:
			t.ID = id
		case err != nil:
			return err
		case !t.State.Final():
			continue
		}
		zerolog.Ctx(ctx).Warn().Str("task", string(id)).Bool("gone", gone).Msg("a place in flight was held by a task that is over")
		if err := r.store.Leave(ctx, t.Spec, r.Bounds.InFlight); err != nil {
			return err
		}
	}
	return nil
}
