package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/config"
	"sam/store"
	"sam/store/blob"
)

// openStore connects to Redis as the configuration says. Tasks are kept for keep after their end.
func openStore(ctx context.Context, c config.Redis, keep time.Duration, blobs blob.Store) (*store.Store, error) {
	o := store.Options{
		Mode: store.Mode(c.Mode), Addresses: c.Addresses, SentinelMaster: c.SentinelMaster, SentinelUsername: c.SentinelUsername,
		Username: c.Username, TLS: c.TLS, CAFile: c.CAFile, Replicas: c.WantedReplicas(), AllowLossy: c.AllowLossy,
		Blobs: blobs, Keep: keep,
	}
	if len(o.Addresses) == 0 {
		o.Addresses = []string{c.Address}
	}
	for _, secret := range []struct {
		key, file string
		into      *string
	}{
		{"redis.password_file", c.PasswordFile, &o.Password},
		{"redis.sentinel_password_file", c.SentinelPasswordFile, &o.SentinelPassword},
	} {
		if secret.file == "" {
			continue
		}
		var err error
		if *secret.into, err = config.Secret(secret.key, secret.file); err != nil {
			return nil, err
		}
	}
	return store.Open(ctx, o)
}

// recovered makes up for what Redis has lost, as far as others remember it: the nodes' records are the providers', and what
// was asked for is in GitHub's log of deliveries. It may be called again.
func (s *server) recovered(ctx context.Context, _ string) error {
	if err := s.runner.Prepare(ctx); err != nil {
		return err
	}
	if err := s.sweep.Recover(ctx); err != nil {
		return err
	}
	// Whose machines there may be is known when the projects are. Nothing waits for a provider that does not answer: the records are
	// compared with its machines every few minutes.
	if err := s.pool.ReconcileOnce(ctx, time.Now()); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("the records of machines are not all written anew; trying again at the next comparison")
	}
	return nil
}

// unconfirmed counts what was not acknowledged because Redis's replicas did not have it in time.
func unconfirmed(s *store.Store) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "sam_redis_unconfirmed_total",
		Help: "Writes that were not acknowledged because too few of Redis's replicas confirmed them within a second.",
	}, func() float64 { return float64(s.Unconfirmed()) })
}
