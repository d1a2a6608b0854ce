package store

import (
	"context"
	"time"

	"sam/task"
)

// rememberDeliveries is how long a delivery's GUID is remembered. GitHub redelivers up to three days back; what comes
// later than this is caught by the task's id, which is a hash of what asked for it.
const rememberDeliveries = 7 * 24 * time.Hour

// Accept records a delivery, in one round trip. It returns false when the delivery was accepted before. Only after it
// has returned without an error may GitHub be answered with success. ErrUnconfirmed.
func (s *Store) Accept(ctx context.Context, d task.Delivery) (bool, error) {
	p := s.partitions.delivery(d.ID)
	fresh, err := s.runKept(ctx, p, "accept", []string{p.seen(d.ID), p.intake()},
		d.ID, d.Event, d.Body, rememberDeliveries.Milliseconds()).Int()
	return fresh == 1, err
}
