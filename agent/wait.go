package agent

import (
	"context"
	"time"
)

// within reports whether done is closed before the time is over.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// after waits, or returns why ctx ended.
func after(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retry does something until it succeeds, fails with an error that does not pass, or has failed after each of the pauses
// once more. The end of ctx ends a pause, with its cause.
func retry(ctx context.Context, pauses []time.Duration, passes func(error) bool, do func() error) error {
	for _, pause := range pauses {
		if err := do(); err == nil || !passes(err) {
			return err
		}
		if err := after(ctx, pause); err != nil {
			return err
		}
	}
	return do()
}
