package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// taskLook is how often a followed task is looked at when its stream of changes has said nothing: what it has spent grows
// without a word. It costs one HMGET for each task that somebody follows, and ends when the task is final.
const taskLook = time.Second

// taskMarks are the fields that differ whenever a task has changed in what a person can see: every script that moves a
// task leaves the id of its operation, the others one of these.
var taskMarks = []string{"state", "epoch", "op", "moved", "ended", "head", "first_event", "amended", "spent:requests", string(task.FieldWaits), string(task.FieldPullURL)}

// TasksOf reads up to limit of a project's tasks, the newest request first, as its conversation names them. It looks at
// the last 2,000 entries only.
func (s *Store) TasksOf(ctx context.Context, project int64, limit int) ([]task.Task, error) {
	var ids []task.ID
	before := ""
	for range 10 {
		read := 0
		err := s.ReadConversationBack(ctx, project, before, 200, func(position string, e task.Entry) error {
			before = position
			read++
			if e.Task != "" && len(ids) < limit && !slices.Contains(ids, e.Task) {
				ids = append(ids, e.Task)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(ids) >= limit || read < 200 {
			break
		}
	}
	return s.tasks(ctx, ids)
}

// tasks reads several tasks at once, in the order of their requests from the newest; those that are gone are left out.
func (s *Store) tasks(ctx context.Context, ids []task.ID) ([]task.Task, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	reads := make([]*redis.MapStringStringCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, id := range ids {
			reads[i] = pipe.HGetAll(ctx, s.partitions.task(id).task(id))
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read %d tasks: %w", len(ids), err)
	}
	all := make([]task.Task, 0, len(ids))
	for i, read := range reads {
		if len(read.Val()) == 0 {
			continue
		}
		t, _, err := decodeTask(read.Val())
		if err != nil {
			return nil, fmt.Errorf("decode task %s: %w", ids[i], err)
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b task.Task) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// FollowTask hands over a task as it is now and again whenever it has changed, until it has handed over a final one, ctx
// ends (nil) or handle fails. Changes that follow each other closely may be handed over as one. task.ErrNotFound.
func (s *Store) FollowTask(ctx context.Context, id task.ID, handle func(task.Task) error) error {
	t, err := s.Task(ctx, id)
	if err != nil {
		return err
	}
	p := s.partitions.task(id)
	changed, stop, err := s.tails[p].subscribe(ctx, p.changed(id))
	if err != nil {
		return fmt.Errorf("follow task %s: %w", id, err)
	}
	defer stop()
	look := time.NewTicker(taskLook)
	defer look.Stop()
	var seen []any
	for open := true; open; {
		marks, err := s.rdb.HMGet(ctx, p.task(id), taskMarks...).Result()
		if err == nil && !slices.Equal(marks, seen) {
			seen = marks
			if t, err = s.Task(ctx, id); err == nil {
				err = handle(t)
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("follow task %s: %w", id, err)
		case t.State.Final():
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case _, open = <-changed:
		case <-look.C:
		}
	}
	return errClosed
}

// ConversationLeft is the position of the first and of the last entry of a project's conversation; "" when it has none.
func (s *Store) ConversationLeft(ctx context.Context, project int64) (first, last string, err error) {
	return s.ends(ctx, s.partitions.project(project).conversation(project))
}

// ReadConversation hands over up to limit entries of a project's conversation after a position ("0" for the start), each
// with its own, in order. A position is "<milliseconds of Redis's clock>-<n>".
func (s *Store) ReadConversation(ctx context.Context, project int64, after string, limit int64, handle func(string, task.Entry) error) error {
	entries, err := s.rdb.XRangeN(ctx, s.partitions.project(project).conversation(project), "("+after, "+", limit).Result()
	return handleEntries(project, entries, err, handle)
}

// ReadConversationBack hands over up to limit entries before a position ("" for the end), the newest first.
func (s *Store) ReadConversationBack(ctx context.Context, project int64, before string, limit int64, handle func(string, task.Entry) error) error {
	to := "+"
	if before != "" {
		to = "(" + before
	}
	entries, err := s.rdb.XRevRangeN(ctx, s.partitions.project(project).conversation(project), to, "-", limit).Result()
	return handleEntries(project, entries, err, handle)
}

// FollowConversationAfter hands over a project's entries after a position, each with its own, those that are there and
// those that come, until ctx ends (nil) or handle fails.
func (s *Store) FollowConversationAfter(ctx context.Context, project int64, after string, handle func(string, task.Entry) error) error {
	p := s.partitions.project(project)
	return s.tails[p].follow(ctx, p.conversation(project), after, func(position string, values map[string]any) error {
		return handleEntry(project, position, values, handle)
	})
}

func handleEntries(project int64, entries []redis.XMessage, err error, handle func(string, task.Entry) error) error {
	if err != nil {
		return fmt.Errorf("read the conversation of project %d: %w", project, err)
	}
	for _, entry := range entries {
		if err := handleEntry(project, entry.ID, entry.Values, handle); err != nil {
			return err
		}
	}
	return nil
}

func handleEntry(project int64, position string, values map[string]any, handle func(string, task.Entry) error) error {
	text, _ := values["entry"].(string)
	var e task.Entry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return fmt.Errorf("read the conversation of project %d, entry %s: %w", project, position, err)
	}
	return handle(position, e)
}

// ends are the ids of a stream's first and last entry, "" when it is empty.
func (s *Store) ends(ctx context.Context, stream string) (first, last string, err error) {
	var head, tail *redis.XMessageSliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		head, tail = pipe.XRangeN(ctx, stream, "-", "+", 1), pipe.XRevRangeN(ctx, stream, "+", "-", 1)
		return nil
	}); err != nil {
		return "", "", fmt.Errorf("read the ends of %s: %w", stream, err)
	}
	if len(head.Val()) == 0 || len(tail.Val()) == 0 {
		return "", "", nil
	}
	return head.Val()[0].ID, tail.Val()[0].ID, nil
}
