package store

import (
	"context"
	"encoding/json"
	"fmt"

	"sam/task"
)

// AppendEvents stores a run of an attempt's events and returns the number of the last one stored, up to which the node
// may forget. Events stored before are passed over; new ones push the node's lease on. ErrStale when the attempt is not the task's current one.
func (s *Store) AppendEvents(ctx context.Context, id task.ID, epoch int64, node string, events []task.Numbered) (int64, error) {
	args := make([]any, 0, 7+3*len(events))
	args = append(args, epoch, node, string(id), s.keepEvents(), lease(task.Running), task.StopWithin.Milliseconds(), task.NodeBeat.Milliseconds())
	for _, e := range events {
		head, whole := s.head(ctx, id, epoch, e)
		args = append(args, e.Seq, head, whole)
	}
	p := s.partitions.task(id)
	last, err := s.runKept(ctx, p, "append", []string{p.task(id), p.events(id), p.shelf(), p.due()}, args...).Int64()
	if err != nil {
		return 0, err
	}
	if last < 0 {
		return 0, fmt.Errorf("store events of task %s, epoch %d: %w", id, epoch, task.ErrStale)
	}
	return last, nil
}

// NoteProgress writes what events mean for the task; repeating it changes nothing. Effects are owed when the task starts
// to run by it. ErrStale when the attempt is not the task's current one.
func (s *Store) NoteProgress(ctx context.Context, t task.Task, epoch int64, progress task.Progress, effects []task.Effect) error {
	_, _, owed, err := encodeChange(task.Change{Effects: effects})
	if err != nil {
		return fmt.Errorf("encode progress of task %s: %w", t.ID, err)
	}
	end := ""
	if progress.End != nil {
		b, err := json.Marshal(progress.End)
		if err != nil {
			return fmt.Errorf("encode progress of task %s: %w", t.ID, err)
		}
		end = string(b)
	}
	p := s.partitions.task(t.ID)
	ok, err := s.runKept(ctx, p, "progress",
		[]string{p.task(t.ID), p.due(), p.work(), p.owed(t.Installation), p.owedBody(t.Installation), p.owing(),
			p.changed(t.ID)},
		string(t.ID), epoch, flag(progress.Started), flag(progress.Spoke), end, t.Installation, owed, progress.Last).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("note progress of task %s, epoch %d: %w", t.ID, epoch, task.ErrStale)
	}
	return nil
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// Conversation reads up to limit entries of a project's conversation after the entry with the given stream id ("" from
// the start), in order, and returns the id of the last one read.
func (s *Store) Conversation(ctx context.Context, project int64, after string, limit int64) ([]task.Entry, string, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	entries, err := s.rdb.XRangeN(ctx, s.partitions.project(project).conversation(project), from, "+", limit).Result()
	if err != nil {
		return nil, "", fmt.Errorf("read the conversation of project %d: %w", project, err)
	}
	read := make([]task.Entry, 0, len(entries))
	for _, entry := range entries {
		text, _ := entry.Values["entry"].(string)
		var e task.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return nil, "", fmt.Errorf("read the conversation of project %d, entry %s: %w", project, entry.ID, err)
		}
		read = append(read, e)
		after = entry.ID
	}
	return read, after, nil
}

// FollowConversation hands over a project's entries from its first on, those that are there and those that come, until
// ctx ends (nil) or handle fails.
func (s *Store) FollowConversation(ctx context.Context, project int64, handle func(task.Entry) error) error {
	p := s.partitions.project(project)
	return s.tails[p].follow(ctx, p.conversation(project), "0", func(id string, values map[string]any) error {
		text, _ := values["entry"].(string)
		var e task.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return fmt.Errorf("read the conversation of project %d, entry %s: %w", project, id, err)
		}
		return handle(e)
	})
}
