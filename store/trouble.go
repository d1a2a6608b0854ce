package store

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// How a loop that meets trouble waits before it tries again.
const (
	restFirst = 20 * time.Millisecond
	restMost  = time.Second
)

// trouble is what a loop meets while Redis is away: it is logged when it begins and when it is over, not at every try.
type trouble struct {
	what      string
	partition partition
	since     time.Time
	pause     time.Duration
}

// note logs what has changed since the last time.
func (t *trouble) note(ctx context.Context, err error) {
	log := zerolog.Ctx(ctx).With().Str("partition", string(t.partition)).Logger()
	switch {
	case ctx.Err() != nil:
	case err != nil && t.since.IsZero():
		t.since = time.Now()
		log.Warn().Err(err).Msg(t.what + " failed; trying again until it works")
	case err == nil && !t.since.IsZero():
		log.Info().Dur("after", time.Since(t.since)).Msg(t.what + " works again")
		t.since = time.Time{}
	}
}

// rest notes an error and waits, longer each time up to a second. It returns false when there was none.
func (t *trouble) rest(ctx context.Context, err error) bool {
	t.note(ctx, err)
	if err == nil {
		t.pause = 0
		return false
	}
	t.pause = min(max(restFirst, 2*t.pause), restMost)
	wait(ctx, t.pause)
	return true
}
