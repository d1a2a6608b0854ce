package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"sam/task"
)

func encodeChange(c task.Change) (fields, entry, effects string, err error) {
	f := c.Fields
	if f == nil {
		f = map[task.Field]string{}
	}
	e := c.Effects
	if e == nil {
		e = []task.Effect{} // Lua reads a JSON null as something else than no effects
	}
	fieldBytes, err := json.Marshal(f)
	if err != nil {
		return "", "", "", err
	}
	effectBytes, err := json.Marshal(e)
	if err != nil {
		return "", "", "", err
	}
	if c.Entry != nil {
		b, err := json.Marshal(c.Entry)
		if err != nil {
			return "", "", "", err
		}
		entry = string(b)
	}
	return string(fieldBytes), entry, string(effectBytes), nil
}

// Move takes a claimed task to another state. It returns a task.MoveError when the table does not allow it and ErrStale
// when (state, epoch) has changed since t was read.
func (s *Store) Move(ctx context.Context, t task.Task, to task.State, c task.Change) error {
	if err := task.CheckMove(t.State, to); err != nil {
		return err
	}
	return s.move(ctx, t, to, "", false, c)
}

// Starve lets go of a task in placing until a slot is free, and looks at it again after the given time at the latest.
func (s *Store) Starve(ctx context.Context, t task.Task, again time.Duration, c task.Change) error {
	if t.State != task.Placing {
		return task.MoveError{From: t.State, To: task.Placing}
	}
	return s.move(ctx, t, t.State, strconv.FormatInt(again.Milliseconds(), 10), true, c)
}

func (s *Store) move(ctx context.Context, t task.Task, to task.State, due string, starve bool, c task.Change) error {
	fields, entry, effects, err := encodeChange(c)
	if err != nil {
		return fmt.Errorf("encode a move of task %s: %w", t.ID, err)
	}
	starved, drop := "0", ""
	if starve {
		starved = "1"
	}
	if to.Final() && t.Node != "" {
		if drop, err = encodeCommand(task.Command{Kind: task.CommandDrop, Task: t.ID, Epoch: t.Epoch, Reason: string(to)}); err != nil {
			return err
		}
	}
	p := s.partitions.task(t.ID)
	ok, err := s.runKept(ctx, p, "move",
		[]string{p.task(t.ID), p.thread(t.Thread), p.due(), p.work(), p.conversation(t.Project),
			p.owed(t.Installation), p.owedBody(t.Installation), p.owing(), p.commands(t.Node), p.starved(),
			p.changed(t.ID), p.shelf(), p.ended()},
		string(t.ID), string(t.State), string(to), t.Epoch, fields, entry, t.Installation, effects, operation(),
		due, starved, drop, s.shelveIn()).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("move task %s from %s to %s, epoch %d: %w", t.ID, t.State, to, t.Epoch, task.ErrStale)
	}
	if to.Final() && t.Node != "" {
		s.freeSlot(ctx, t.Node, t.ID, t.Epoch)
	}
	return nil
}
