package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rs/zerolog"
)

// How often is looked whether Redis still holds the data, how often the counter in them grows, and how long one process may
// take to make up for a loss before another does it.
const (
	watchEvery    = 10 * time.Second
	countEvery    = time.Minute
	recoverWithin = 5 * time.Minute
)

// Watch looks every ten seconds whether Redis still holds the data that this process has seen, until ctx ends. They are
// lost where a record is gone, was written anew, or has a lower counter than before: Redis was wiped, or went back to
// something older, by a restored copy or by a replica that became master too soon. Then Healthy fails with the reason, and
// recovered is called to make up for it from what others remember: record the nodes anew, read GitHub's log of deliveries
// from its beginning. While it fails it is called again; when it is done, so is the matter.
//
// Every process notices, and one of them makes up for it: the loss is noted in the meta record, and stays there for whoever
// comes next should that one die.
//
// It also looks how many replicas there are to confirm what is acknowledged.
func (s *Store) Watch(ctx context.Context, recovered func(ctx context.Context, reason string) error) error {
	trouble := trouble{what: "looking whether Redis still holds the data"}
	for {
		reason, err := s.look(ctx)
		trouble.note(ctx, err)
		if reason != "" && s.lost.Load() == nil {
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

// recover makes up for a loss, unless another process has done so, or is at it: then the next look comes back to it.
func (s *Store) recover(ctx context.Context, reason string, recovered func(context.Context, string) error) error {
	if _, err := s.openMeta(ctx); err != nil {
		return err
	}
	loss, done, err := s.noteLoss(ctx, "")
	if err == nil && !done {
		done, err = s.makeUp(ctx, reason, recovered)
	}
	if err != nil || !done {
		return err
	}
	s.recovered = loss
	s.lost.Store(nil)
	zerolog.Ctx(ctx).Info().Msg("what could be made up for what Redis has lost is done")
	return nil
}

// makeUp makes up for the loss that is noted, when it is this process's turn. It returns whether that is done.
func (s *Store) makeUp(ctx context.Context, reason string, recovered func(context.Context, string) error) (done bool, err error) {
	if _, mine, err := s.TakeTurn(ctx, "recover", recoverWithin, 0); err != nil || !mine {
		return false, err
	}
	defer func() { err = errors.Join(err, s.EndTurn(context.WithoutCancel(ctx), "recover")) }()
	loss, done, err := s.noteLoss(ctx, "")
	if err != nil || done { // by another, before the turn came
		return done, err
	}
	within, cancel := context.WithTimeout(ctx, recoverWithin)
	defer cancel()
	if err := recovered(within, reason); err != nil {
		return false, err
	}
	if _, done, err = s.noteLoss(ctx, id(loss)); err == nil && !done {
		err = errors.New("data were lost once more meanwhile")
	}
	return done, err
}

// noteLoss notes that data were lost, or that a loss is made up for. It returns the newest loss, and whether that is.
func (s *Store) noteLoss(ctx context.Context, madeUpFor string) (loss int64, done bool, err error) {
	answer, err := s.run(ctx, "loss", []string{keyMeta}, s.recovered, madeUpFor).StringSlice()
	if err != nil {
		return 0, false, err
	}
	if len(answer) != 2 {
		return 0, false, fmt.Errorf("run loss.lua: %d answers", len(answer))
	}
	loss, err = strconv.ParseInt(answer[0], 10, 64)
	return loss, answer[1] == "1", err
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
		var fields [5]string // what is nil is a field that a record of schema 1 has not
		for i := range min(len(fields), len(answer)) {
			fields[i], _ = answer[i].(string)
		}
		now := standing{written: fields[1]}
		var loss, recovered int64
		for _, number := range []struct {
			text string
			into *int64
		}{{fields[2], &now.counter}, {fields[3], &loss}, {fields[4], &recovered}} {
			if *number.into, err = strconv.ParseInt(number.text, 10, 64); err != nil {
				return "", fmt.Errorf("read %s: %q is no number", key, number.text)
			}
		}
		seen := s.seen[key]
		switch {
		case now.written != seen.written:
			return "there is another " + key + " than before: Redis was wiped, or holds something else", nil
		case now.counter < seen.counter:
			return fmt.Sprintf("the counter of %s is %d and was %d: Redis went back to something older", key, now.counter, seen.counter), nil
		case loss != recovered:
			return fmt.Sprintf("Redis lost data at %s, and nobody has made up for it yet", time.UnixMilli(loss).UTC().Format(time.RFC3339)), nil
		}
		s.seen[key] = now
		if key == keyMeta {
			s.recovered = recovered
		}
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
