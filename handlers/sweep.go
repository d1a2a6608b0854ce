package handlers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// SweepStore is where a sweep keeps what it knows from one to the next, for all replicas.
type SweepStore interface {
	// TakeTurn makes this process the one that does a job, for at most the lease, when nobody else is at it and nobody has
	// finished it within the last time; it returns Redis's clock. EndTurn lets go.
	TakeTurn(ctx context.Context, job string, lease, every time.Duration) (now time.Time, mine bool, err error)
	EndTurn(ctx context.Context, job string) error
	// Seen reports whether a delivery was accepted, by its GUID.
	Seen(ctx context.Context, guid string) (bool, error)
	// MissedLog is what SaveMissedLog wrote last; its zero before.
	MissedLog(ctx context.Context) (task.MissedLog, error)
	SaveMissedLog(ctx context.Context, l task.MissedLog) error
	Projects(ctx context.Context) ([]task.Project, error)
}

// HookLog is the App's log of deliveries at GitHub.
type HookLog interface {
	// DeliveryLog lists what GitHub has delivered since the cursor, one for each GUID, and returns the cursor to go on from;
	// with a Page in it there is more at once.
	DeliveryLog(ctx context.Context, since task.LogCursor) ([]task.Logged, task.LogCursor, error)
	// Redeliver asks GitHub to make a delivery again. task.ErrNotFound when the log has it no more.
	Redeliver(ctx context.Context, delivery int64) error
}

const (
	// SweepEvery is how often the deliveries and the installations are looked at.
	SweepEvery = 5 * time.Minute
	// sweepLease is how long one sweep may take before another process begins its own.
	sweepLease = 2 * time.Minute
	// redeliverFor is how long a delivery is asked for again: GitHub keeps its log for three days.
	redeliverFor = 3 * 24 * time.Hour
	// redeliverDoublings is how often the pause between two requests for the same delivery doubles: what GitHub makes and
	// SAM refuses every time, as after a change of the secret, must not be asked for every few minutes for three days.
	redeliverDoublings = 6
)

// Sweep finds out what GitHub told and SAM did not hear: deliveries that failed are asked for again, and the installations
// are compared with their records. One replica does it at a time.
type Sweep struct {
	Base
	Turns SweepStore
	Log   HookLog
	Every time.Duration // SweepEvery; the most that a missed delivery waits
}

// sweepEvent stands where an event's type would, for what no event told.
const sweepEvent = "sweep"

// Run sweeps at once and then at every interval, until ctx ends. Where another process is at it, it looks again when that
// one's turn must be over: it may have died.
func (s Sweep) Run(ctx context.Context) error {
	for since := time.Duration(0); ctx.Err() == nil; since = s.Every / 2 {
		pause := time.NewTimer(s.Every)
		if !s.Once(ctx, since) {
			pause.Reset(min(s.Every, sweepLease))
		}
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

// Once sweeps, unless another process is at it or has finished within the last time; then it returns false. What fails is
// left to the next sweep.
func (s Sweep) Once(ctx context.Context, since time.Duration) bool {
	log := zerolog.Ctx(ctx)
	now, mine, err := s.Turns.TakeTurn(ctx, "sweep", sweepLease, since)
	if err != nil {
		log.Warn().Err(err).Msg("no turn to sweep; trying again")
		return false
	}
	if !mine {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, sweepLease)
	defer cancel()
	if err := s.deliveries(bounded, now); err != nil && ctx.Err() == nil {
		log.Warn().Err(err).Msg("looking for missed deliveries failed; trying again at the next interval")
	}
	if err := s.installations(bounded); err != nil && ctx.Err() == nil {
		log.Warn().Err(err).Msg("comparing the installations with GitHub failed; trying again at the next interval")
	}
	if err := s.Turns.EndTurn(context.WithoutCancel(ctx), "sweep"); err != nil {
		log.Warn().Err(err).Msg("letting go of the turn to sweep failed; it ends by itself")
	}
	return true
}

// deliveries asks for what was missed. A delivery stays on the list until Redis has seen it or GitHub has made it with
// success (SAM writes nothing down of what it has no use for): that GitHub took the request says nothing about whether it
// arrived.
func (s Sweep) deliveries(ctx context.Context, now time.Time) error {
	known, err := s.Turns.MissedLog(ctx)
	if err != nil {
		return err
	}
	next := task.MissedLog{Cursor: known.Cursor, Waiting: map[string]task.Awaited{}}
	maps.Copy(next.Waiting, known.Waiting)
	for more := true; more; more = next.Cursor.Page != "" {
		var log []task.Logged
		if log, next.Cursor, err = s.Log.DeliveryLog(ctx, next.Cursor); err != nil {
			return err
		}
		for _, d := range log {
			if d.Delivered {
				delete(next.Waiting, d.GUID)
				if known.Doubt {
					if err := s.doubted(ctx, d); err != nil {
						return err
					}
				}
				continue
			}
			w, again := next.Waiting[d.GUID]
			if !again {
				w.Since = now
			}
			w.ID = max(w.ID, d.ID)
			next.Waiting[d.GUID] = w
		}
		if next.Cursor.Page != "" { // a log that takes longer than a turn is read to its end all the same
			next.Doubt = known.Doubt
			if err := s.Turns.SaveMissedLog(ctx, next); err != nil {
				return err
			}
		}
	}
	next.Doubt = false
	for guid, w := range next.Waiting {
		if err = s.missed(ctx, now, next.Waiting, guid, w); err != nil {
			break
		}
	}
	// Kept when it was cut short, too: what was asked for must not be asked for again as if for the first time.
	return errors.Join(err, s.Turns.SaveMissedLog(context.WithoutCancel(ctx), next))
}

// Recover reads the log from its beginning after Redis has lost data: what SAM has answered with success and Redis does
// not know is asked for once more. What such a delivery asked for and was done before is found at GitHub; see request.
//
// It fails while another process is at the log: that one would write over the list what it began with.
func (s Sweep) Recover(ctx context.Context) error {
	now, mine, err := s.Turns.TakeTurn(ctx, "sweep", sweepLease, 0)
	if err != nil {
		return err
	}
	if !mine {
		return errors.New("another process reads GitHub's log of deliveries now; it is read from its beginning after that")
	}
	err = s.Turns.SaveMissedLog(ctx, task.MissedLog{Doubt: true})
	if err == nil {
		err = s.deliveries(ctx, now)
	}
	return errors.Join(err, s.Turns.EndTurn(context.WithoutCancel(ctx), "sweep"))
}

// doubted asks again for a delivery that was made with success and that Redis has not seen, if SAM uses its kind. It is
// asked for once: one of which nothing is kept would never be seen.
func (s Sweep) doubted(ctx context.Context, d task.Logged) error {
	if !s.takes(d.Event) {
		return nil
	}
	seen, err := s.Turns.Seen(ctx, d.GUID)
	if err != nil || seen {
		return err
	}
	if err := s.Log.Redeliver(ctx, d.ID); err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	zerolog.Ctx(ctx).Info().Str("delivery", d.GUID).Msg("asked GitHub to deliver again what Redis has lost")
	s.Metrics.missed("asked")
	return nil
}

// missed decides about one delivery without success: it has arrived all the same, is given up, is to be asked for, or not yet.
func (s Sweep) missed(ctx context.Context, now time.Time, waiting map[string]task.Awaited, guid string, w task.Awaited) error {
	log := zerolog.Ctx(ctx).With().Str("delivery", guid).Int("times", w.Asked).Logger()
	seen, err := s.Turns.Seen(ctx, guid)
	if err != nil {
		return err
	}
	switch {
	case seen:
		delete(waiting, guid)
		return nil
	case now.Sub(w.Since) > redeliverFor:
		log.Error().Msg("a delivery could not be had for three days; it is given up")
		s.Metrics.missed("given_up")
		delete(waiting, guid)
		return nil
	case w.Asked > 0 && now.Sub(w.Last) < s.pause(w.Asked):
		return nil
	}
	switch err := s.Log.Redeliver(ctx, w.ID); {
	case err == nil:
		log.Info().Msg("asked GitHub to deliver again")
		s.Metrics.missed("asked")
	case errors.Is(err, task.ErrNotFound):
		log.Error().Err(err).Msg("GitHub has forgotten a delivery that SAM never got; it is given up")
		s.Metrics.missed("given_up")
		delete(waiting, guid)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		log.Warn().Err(err).Msg("asking GitHub to deliver again failed")
		s.Metrics.missed("failed")
	}
	w.Asked, w.Last = w.Asked+1, now
	waiting[guid] = w
	return nil
}

// pause is how long the same delivery is not asked for after it was: a little less than the interval at first.
func (s Sweep) pause(asked int) time.Duration {
	return s.Every / 2 << min(asked-1, redeliverDoublings)
}

// installations looks at every installation that has a project: one whose removal was not heard of ends here.
func (s Sweep) installations(ctx context.Context) error {
	projects, err := s.Turns.Projects(ctx)
	if err != nil {
		return err
	}
	looked := map[int64]bool{}
	var errs []error
	for _, p := range projects {
		if looked[p.Installation] {
			continue
		}
		looked[p.Installation] = true
		if err := s.refresh(ctx, sweepEvent, p.Installation); err != nil {
			errs = append(errs, fmt.Errorf("installation %d: %w", p.Installation, err))
		}
	}
	return errors.Join(errs...)
}
