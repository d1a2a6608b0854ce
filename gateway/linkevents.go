package gateway

import (
	"context"
	"errors"
	"fmt"

	"sam/agent/wire"
	"sam/task"
)

// events stores a run of events, notes what they mean for the task, and only then acknowledges them.
func (l *link) events(ctx context.Context, e wire.Events) error {
	id := task.ID(e.Task)
	items, err := l.redact(ctx, id, e.Items)
	if err != nil {
		return err
	}
	run := make([]task.Numbered, len(items))
	parsed := make([]task.Event, len(items))
	for i, item := range items {
		event, err := task.ParseEvent(item)
		if err != nil {
			return refusal{fmt.Sprintf("task %s: %v", e.Task, err)}
		}
		run[i], parsed[i] = task.Numbered{Seq: event.Seq, JSON: item}, event
	}
	last, err := l.gateway.store.AppendEvents(ctx, id, e.Epoch, l.node, run)
	if errors.Is(err, task.ErrStale) {
		return l.drop(ctx, e.Ref, "another attempt has taken over, or the task is over")
	}
	if err != nil {
		return err
	}
	var progress task.Progress
	for _, event := range parsed {
		if event.Seq <= last { // what came too early is not stored and will come again
			progress.Note(event)
		}
	}
	if progress != (task.Progress{}) {
		t, err := l.gateway.store.Task(ctx, id)
		if err != nil {
			return err
		}
		if err := l.asked(ctx, t, e.Epoch, progress); err != nil {
			return err
		}
		err = l.gateway.store.NoteProgress(ctx, t, e.Epoch, progress, []task.Effect{task.StatusEffect(t.Spec)})
		if err != nil && !errors.Is(err, task.ErrStale) {
			return err
		}
	}
	return l.write(ctx, wire.Frame{Type: wire.TypeAck, Ack: &wire.Ack{Ref: e.Ref, Seq: last}})
}

// asked has the task wait for the answer to what its agent asked. An attempt that has ended asks nothing, unless it was
// lost: then its question stands.
func (l *link) asked(ctx context.Context, t task.Task, epoch int64, p task.Progress) error {
	if p.Asked == nil || p.End != nil && p.End.Outcome != task.Lost {
		return nil
	}
	err := l.gateway.store.Ask(ctx, t, epoch, *p.Asked, task.Change{
		Entry: &task.Entry{Kind: task.EntryQuestion, Thread: t.Thread, Number: t.Number, Task: t.ID, Text: p.Asked.Text},
		Effects: []task.Effect{
			task.QuestionEffect(t.Spec, p.Asked.Key(), p.Asked.Text),
			task.StatusEffect(t.Spec),
		},
	})
	if errors.Is(err, task.ErrStale) {
		return nil // as for the progress
	}
	return err
}
