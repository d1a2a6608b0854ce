package store

import (
	"context"
	"time"
)

// consumerForgotten is how long the consumer of a process that is gone is kept. One that lives reads every few seconds.
const consumerForgotten = time.Hour

// forgetConsumers removes the consumers of a partition's streams that have been silent for a time: every process has a name
// of its own, and Redis keeps a consumer, and what it was given of the wake-ups, for ever. One that still has deliveries
// stays until they are taken over.
func (s *Store) forgetConsumers(ctx context.Context, p partition, silent time.Duration) error {
	for stream, all := range map[string]bool{p.intake(): false, p.work(): true} {
		if err := s.run(ctx, "retire", []string{stream}, group, s.process, silent.Milliseconds(), flag(all)).Err(); err != nil {
			return err
		}
	}
	return nil
}
