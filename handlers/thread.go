package handlers

import (
	"context"
	"errors"
	"time"

	"sam/task"
)

// lookAgain asks GitHub what has become of what some open tasks of a project stand on, and ends those that are not wanted
// any more. The event only says that it is time to look: an issue that was closed may be open again when its event is read. Now is Redis's
// clock.
func (b Base) lookAgain(ctx context.Context, p task.Project, event string, now time.Time, concerns func(task.Task) bool) error {
	open, err := b.Store.OpenTasks(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, t := range open {
		if t.Cancel != "" || !concerns(t) {
			continue
		}
		state, err := b.GitHub.ThreadState(ctx, p, t)
		if errors.Is(err, task.ErrNotFound) || errors.Is(err, task.ErrSuspended) {
			return nil // the installation's own event, or the next look at it, ends the project's tasks
		}
		if err != nil {
			return err
		}
		if why := state.Unwanted(t, now); why != "" {
			if err := b.unwanted(ctx, event, t.ID, why); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone ends the tasks of an issue or a pull request that does not exist any more: that is for good, so nobody is asked.
func (b Base) gone(ctx context.Context, p task.Project, event string, number int) error {
	open, err := b.Store.OpenTasks(ctx, p.ID)
	if err != nil {
		return err
	}
	for _, t := range open {
		if t.Number != number {
			continue
		}
		if err := b.unwanted(ctx, event, t.ID, task.ThreadState{Gone: true}.Unwanted(t, time.Time{})); err != nil {
			return err
		}
	}
	return nil
}

// endAll ends every open task of a project, and reports whether none is left: a node that was told to stop may still be at
// it.
func (b Base) endAll(ctx context.Context, p task.Project, event, why string) (none bool, err error) {
	open, err := b.Store.OpenTasks(ctx, p.ID)
	if err != nil {
		return false, err
	}
	for _, t := range open {
		if err := b.unwanted(ctx, event, t.ID, why); err != nil {
			return false, err
		}
	}
	return len(open) == 0, nil
}
