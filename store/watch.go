package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// How often is looked whether Redis still holds the data, and how often the counter in them grows.
const (
	watchEvery = 10 * time.Second
	countEvery = time.Minute
)

// Watch looks every ten seconds whether Redis still holds the data that this process has seen, until ctx ends. They are
// lost where a record is gone, was written anew, or has a lower counter than before: Redis was wiped, or went back to
// something older, by a restored copy or by a replica that became master too soon. Then Healthy fails with the reason, and
// recovered is called to make up for it from what others remember: record the nodes anew, read GitHub's log of deliveries
// from its beginning. While it fails it is called again; when it is done, so is the matter.
//
// It also looks how many replicas there are to confirm what is acknowledged.
func (s *Store) Watch(ctx context.Context, recovered func(ctx context.Context, reason string) error) error {
	trouble := trouble{what: "looking whether Redis still holds the data"}
	for {
		reason, err := s.look(ctx)
		trouble.note(ctx, err)
		if reason != "" {
			s.lost.Store(&reason)
			zerolog.Ctx(ctx).Error().Str("reason", reason).Msg("REDIS HAS LOST DATA; making up for what others remember")
		}
		if pending := s.lost.Load(); err == nil && pending != nil {
			if err := s.recover(ctx, *pending, recovered); err != nil && ctx.Err() == nil {
				zerolog.Ctx(ctx).Error().Err(err).Msg("making up for what Redis has lost failed; trying again")
			}
		}
		if !wait(ctx, watchEvery) {
			return nil
		}
		s.countReplicas(ctx)
	}
}

func (s *Store) recover(ctx context.Context, reason string, recovered func(context.Context, string) error) error {
	if _, err := s.openMeta(ctx); err != nil {
		return err
	}
	if err := recovered(ctx, reason); err != nil {
		return err
	}
	s.lost.Store(nil)
	zerolog.Ctx(ctx).Info().Msg("what could be made up for what Redis has lost is done")
	return nil
}

// look compares the records with what this process has seen of them. It returns why data are lost, "" when they are not.
func (s *Store) look(ctx context.Context) (string, error) {
	for _, key := range s.records() {
		answer, err := s.run(ctx, "watch", []string{key}, countEvery.Milliseconds()).Slice()
		if err != nil {
			return "", err
		}
		if len(answer) == 0 {
			return "there is no " + key + " any more: Redis was wiped", nil
		}
		seen := s.seen[key]
		written, _ := answer[1].(string) // nil in a record of schema 1
		text, _ := answer[2].(string)
		counter, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "", fmt.Errorf("read %s: counter %q is no number", key, text)
		}
		switch {
		case written != seen.written:
			return "there is another " + key + " than before: Redis was wiped, or holds something else", nil
		case counter < seen.counter:
			return fmt.Sprintf("the counter of %s is %d and was %d: Redis went back to something older", key, counter, seen.counter), nil
		}
		s.seen[key] = standing{written, counter}
	}
	return "", nil
}

// Healthy returns nil when Redis answers and has lost nothing that is not made up for yet.
func (s *Store) Healthy(ctx context.Context) error {
	if reason := s.lost.Load(); reason != nil {
		return errors.New("Redis has lost data, and SAM is making up for it: " + *reason)
	}
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("Redis does not answer: %w", err) //nolint:staticcheck // a name
	}
	return nil
}
