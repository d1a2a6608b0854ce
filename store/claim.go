package store

import (
	"context"
	"errors"
	"fmt"

	"sam/task"
)

// Claim takes a task over for this process under a lease of task.Deadline(Placing) and a new epoch. It returns
// task.NotYoursError when there is nothing to decide about it now.
func (s *Store) Claim(ctx context.Context, id task.ID) (task.Claimed, error) {
	before, err := s.Task(ctx, id)
	if err != nil && !errors.Is(err, task.ErrNotFound) { // of one that is gone the script forgets what still names it
		return task.Claimed{}, err
	}
	p := s.partitions.task(id)
	claim := operation()
	what, err := s.runKept(ctx, p, "claim", []string{p.task(id), p.thread(before.Thread), p.due(), p.starved(), p.changed(id)},
		string(id), s.process, lease(task.Placing), claim, lease(task.Queued)).Text()
	if err != nil {
		return task.Claimed{}, err
	}
	if what != "claimed" {
		return task.Claimed{}, task.NotYoursError{Why: what}
	}
	t, end, err := s.claimed(ctx, id, claim)
	if err == nil && t.Node != "" {
		s.freeSlot(ctx, t.Node, id, t.Epoch-1) // whatever node it was on, its attempt is over
	}
	return task.Claimed{Task: t, End: end}, err
}

// claimed reads a task as a claim has left it. The claim may be over by then, for a process may be frozen between the two:
// then what is read is another's, and so is its epoch.
func (s *Store) claimed(ctx context.Context, id task.ID, claim string) (task.Task, *task.End, error) {
	record, err := s.record(ctx, id)
	if err != nil {
		return task.Task{}, nil, err
	}
	if record["op"] != claim {
		return task.Task{}, nil, task.NotYoursError{Why: "busy"}
	}
	return decodeRecord(id, record)
}

// Renew pushes a claim of this process on, to the length that Claim gave it; ErrStale when it is another's by now.
func (s *Store) Renew(ctx context.Context, t task.Task) error {
	return s.renew(ctx, t.ID, s.process, t.Epoch, lease(task.Placing))
}

// RenewFor pushes a node's lease on an attempt on; ErrStale when the node does not hold it.
func (s *Store) RenewFor(ctx context.Context, node string, id task.ID, epoch int64) error {
	return s.renew(ctx, id, node, epoch, lease(task.Running))
}

func (s *Store) renew(ctx context.Context, id task.ID, owner string, epoch, ms int64) error {
	p := s.partitions.task(id)
	ok, err := s.run(ctx, "renew", []string{p.task(id), p.due()}, string(id), owner, epoch, ms, task.StopWithin.Milliseconds()).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("renew the lease of task %s, epoch %d: %w", id, epoch, task.ErrStale)
	}
	return nil
}
