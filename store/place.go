package store

import (
	"context"
	"fmt"

	"sam/task"
)

// Place gives a task in placing to a node and writes the command to start. ErrFull, ErrStale.
//
// A task and a node may be in two partitions, so it is two steps: one of the node's slots is taken for this epoch of the
// task, then the task is given to the node. A process that dies between leaves a slot taken, which the sweep gives back.
func (s *Store) Place(ctx context.Context, t task.Task, node string, start task.Command, c task.Change) error {
	if err := task.CheckMove(t.State, task.Preparing); err != nil {
		return err
	}
	fields, entry, effects, err := encodeChange(c)
	if err != nil {
		return fmt.Errorf("encode the placing of task %s: %w", t.ID, err)
	}
	frame, err := encodeCommand(start)
	if err != nil {
		return err
	}
	if err := s.takeSlot(ctx, t, node); err != nil {
		return err
	}
	p := s.partitions.task(t.ID)
	what, err := s.runKept(ctx, p, "place",
		[]string{p.task(t.ID), p.due(), p.commands(node), p.owed(t.Installation), p.owedBody(t.Installation), p.owing(), p.work(),
			p.conversation(t.Project), p.changed(t.ID)},
		string(t.ID), t.Epoch, node, lease(task.Preparing), frame, fields, t.Installation, effects, operation(), entry).Text()
	if err != nil {
		return err // it may be placed all the same: the slot is the sweep's to judge
	}
	if what == "stale" {
		s.freeSlot(ctx, node, t.ID, t.Epoch)
		return fmt.Errorf("place task %s, epoch %d: %w", t.ID, t.Epoch, task.ErrStale)
	}
	return nil
}
