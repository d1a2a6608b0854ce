package store

import (
	"context"
	"fmt"
	"time"
)

// GitHub takes about 80 content-creating calls a minute and 500 an hour of one installation, and how it counts them it
// does not say. SAM stays under both in every minute and every hour, over all its replicas.
const (
	paceMinute = 76
	paceHour   = 480
)

// What edits leave to what is more urgent: of the minute's calls and of the hour's.
var paceLeft = [][2]int{0: {0, 0}, 1: {6, 40}, 2: {16, 100}}

// How long calls stop when GitHub speaks of a limit and not of when it ends: GitHub asks for a minute at least, and for
// more each time. A limit that was over for holdForgets is forgotten.
const (
	holdFirst   = time.Minute
	holdMost    = 8 * time.Minute
	holdForgets = 15 * time.Minute
)

// Pace asks for one content-creating call of an installation's. It returns zero when it is granted, else how long to
// wait before asking again; nothing is reserved by waiting. Urgency is task.EffectKind's: what is less urgent is
// refused a little earlier, so that a flood of edits leaves room for a question.
func (s *Store) Pace(ctx context.Context, installation int64, urgency int) (time.Duration, error) {
	left := paceLeft[min(max(urgency, 0), len(paceLeft)-1)]
	p := s.partitions.installation(installation)
	ms, err := s.run(ctx, "pace", []string{p.pace(installation), p.hold(installation)},
		operation(), paceMinute-left[0], paceHour-left[1]).Int64()
	if err != nil {
		return 0, fmt.Errorf("ask for a call of installation %d: %w", installation, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Hold keeps every replica from calling an installation for a time; 0 when GitHub did not say for how long: a minute
// then, and more when it happens again soon. A longer hold stays. It returns how long calls are held.
func (s *Store) Hold(ctx context.Context, installation int64, length time.Duration) (time.Duration, error) {
	ms, err := s.run(ctx, "hold", []string{s.partitions.installation(installation).hold(installation)}, length.Milliseconds(),
		holdFirst.Milliseconds(), holdMost.Milliseconds(), holdForgets.Milliseconds()).Int64()
	if err != nil {
		return 0, fmt.Errorf("hold the calls of installation %d: %w", installation, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// Held is how long an installation must not be called at all, zero when it may be.
func (s *Store) Held(ctx context.Context, installation int64) (time.Duration, error) {
	ms, err := s.run(ctx, "held", []string{s.partitions.installation(installation).hold(installation)}).Int64()
	if err != nil {
		return 0, fmt.Errorf("ask whether installation %d may be called: %w", installation, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
