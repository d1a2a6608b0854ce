package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sam/task"
)

// fieldStatusComment is written by whoever delivers the status, not by a Change: it must outlive every race of states.
const fieldStatusComment = "status_comment"

// CreateTask makes a queued task with its place in the thread, its conversation entry and what is owed for it, in one
// step. It returns false, and writes nothing, when the task exists, or did. task.ErrNoRoom when Redis is nearly full and the task
// is new.
func (s *Store) CreateTask(ctx context.Context, spec task.Spec, c task.Change) (bool, error) {
	p := s.partitions.task(spec.ID)
	if of := s.partitions.project(spec.Project); of != p {
		return false, fmt.Errorf("create task %s: its ID puts it in partition %s and its project %d is in %s", spec.ID, p, spec.Project, of)
	}
	if s.full(ctx, p) {
		if there, err := s.rdb.Exists(ctx, p.task(spec.ID), p.answered(spec.ID)).Result(); err != nil || there > 0 {
			return false, err
		}
		if spent, err := s.isSpent(ctx, spec.ID); err != nil || spent {
			return false, err
		}
		return false, fmt.Errorf("create task %s: %w", spec.ID, task.ErrNoRoom)
	}
	kept, err := s.putBody(ctx, spec)
	if err != nil {
		return false, err
	}
	c.Fields = map[task.Field]string{"spec": string(kept)}
	fields, entry, effects, err := encodeChange(c)
	if err != nil {
		return false, fmt.Errorf("encode task %s: %w", spec.ID, err)
	}
	score, member := spec.Turn()
	created, err := s.runKept(ctx, p, "create",
		[]string{p.task(spec.ID), p.thread(spec.Thread), p.due(), p.work(), p.conversation(spec.Project),
			p.owed(spec.Installation), p.owedBody(spec.Installation), p.owing(), p.answered(spec.ID), p.spent()},
		string(spec.ID), fields, score, member, entry, spec.Installation, effects).Int()
	return created == 1, err
}

// Task reads a task; ErrNotFound when there is none.
func (s *Store) Task(ctx context.Context, id task.ID) (task.Task, error) {
	t, _, err := s.readTask(ctx, id)
	return t, err
}

// readTask reads a task and how its agent's attempt ended, nil while it has not.
func (s *Store) readTask(ctx context.Context, id task.ID) (task.Task, *task.End, error) {
	record, err := s.record(ctx, id)
	if err != nil {
		return task.Task{}, nil, err
	}
	return decodeRecord(id, record)
}

// record reads a task's hash; ErrNotFound when there is none.
func (s *Store) record(ctx context.Context, id task.ID) (map[string]string, error) {
	record, err := s.rdb.HGetAll(ctx, s.partitions.task(id).task(id)).Result()
	if err != nil {
		return nil, fmt.Errorf("read task %s: %w", id, err)
	}
	if len(record) == 0 {
		return nil, fmt.Errorf("task %s: %w", id, task.ErrNotFound)
	}
	return record, nil
}

func decodeRecord(id task.ID, record map[string]string) (task.Task, *task.End, error) {
	t, end, err := decodeTask(record)
	if err != nil {
		return task.Task{}, nil, fmt.Errorf("decode task %s: %w", id, err)
	}
	return t, end, nil
}

func decodeTask(r map[string]string) (task.Task, *task.End, error) {
	var t task.Task
	if err := json.Unmarshal([]byte(r["spec"]), &t.Spec); err != nil {
		return task.Task{}, nil, err
	}
	var err error
	field := func(f task.Field) string { return r[string(f)] }
	number := func(field string) int64 {
		if r[field] == "" {
			return 0
		}
		n, e := strconv.ParseInt(r[field], 10, 64)
		if e != nil && err == nil {
			err = fmt.Errorf("field %s: %w", field, e)
		}
		return n
	}
	t.State = task.State(r["state"])
	if t.Noted = number("noted"); r["noted"] == "" {
		t.Noted = number("last") // placed by an earlier release
	}
	if t.Ask, err = decodeQuestion(r, number); err != nil {
		return task.Task{}, nil, err
	}
	if r["answers"] != "" {
		if err := json.Unmarshal([]byte(r["answers"]), &t.Answers); err != nil {
			return task.Task{}, nil, fmt.Errorf("field answers: %w", err)
		}
	}
	if text := field(task.FieldSettings); text != "" {
		if err := json.Unmarshal([]byte(text), &t.Settings); err != nil {
			return task.Task{}, nil, fmt.Errorf("field settings: %w", err)
		}
	}
	if t.Settings.Agent != "" {
		t.Agent = t.Settings.Agent
	}
	t.Epoch = number("epoch")
	t.Node, t.Workspace = field(task.FieldNode), field(task.FieldWorkspace)
	t.Branch, t.Base, t.Rewrite, t.Head = field(task.FieldBranch), field(task.FieldBase), field(task.FieldRewrite) == "1", r["head"]
	t.Pushing = r["pushing"]
	t.Tip, t.Untrusted = field(task.FieldTip), field(task.FieldUntrusted) == "1"
	t.Attempts, t.Last = int(number("attempts")), number("last")
	t.Pull, t.PullURL, t.StatusComment = int(number(string(task.FieldPull))), field(task.FieldPullURL), number(fieldStatusComment)
	t.Headline, t.Summary = field(task.FieldHeadline), field(task.FieldSummary)
	t.Waits, t.Failure = field(task.FieldWaits), field(task.FieldFailure)
	t.Nodeless = field(task.FieldNodeless) == "1"
	t.Cancel, t.Avoid = r["cancel"], field(task.FieldAvoid)
	if r["request"] != "" {
		t.Request = r["request"] // the comment was edited while the task was queued
	}
	t.Spent = task.Spent{
		Requests: number("spent:requests"), Input: number("spent:input"), Output: number("spent:output"),
		CacheRead: number("spent:cache_read"), CacheWrite: number("spent:cache_write"), MicroUSD: number("spent:micro_usd"),
	}
	for _, how := range []task.Misuse{task.Elsewhere, task.AfterEnd} {
		if number("misused:"+string(how)) > 0 {
			t.Misused = append(t.Misused, how)
		}
	}
	t.At = map[task.State]time.Time{}
	for field := range r {
		if state, ok := strings.CutPrefix(field, "at:"); ok {
			t.At[task.State(state)] = time.UnixMilli(number(field))
		}
	}
	if ms := number("first_event"); ms > 0 {
		t.FirstEvent = time.UnixMilli(ms)
	}
	if ms := number("claimed"); ms > 0 {
		t.Claimed = time.UnixMilli(ms)
	}
	if ms := number(string(task.FieldSought)); ms > 0 {
		t.Sought = time.UnixMilli(ms)
	}
	if ms := number("progressed"); ms > 0 {
		t.Progressed = time.UnixMilli(ms)
	}
	var end *task.End
	if r["end"] != "" {
		end = &task.End{}
		if e := json.Unmarshal([]byte(r["end"]), end); e != nil {
			return task.Task{}, nil, e
		}
	}
	return t, end, err
}

// BeginPush notes that a commit is about to be pushed to the task's branch. ErrStale as of RecordPush.
func (s *Store) BeginPush(ctx context.Context, id task.ID, epoch int64, branch, commit string) error {
	return s.notePush(ctx, id, epoch, branch, commit, false)
}

// RecordPush notes the commit that GitHub accepted on the task's branch. ErrStale when the epoch or the branch is not
// the task's.
func (s *Store) RecordPush(ctx context.Context, id task.ID, epoch int64, branch, commit string) error {
	return s.notePush(ctx, id, epoch, branch, commit, true)
}

func (s *Store) notePush(ctx context.Context, id task.ID, epoch int64, branch, commit string, landed bool) error {
	p := s.partitions.task(id)
	ok, err := s.runKept(ctx, p, "push", []string{p.task(id), p.changed(id)}, epoch, branch, commit, flag(landed)).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("record a push for task %s, epoch %d: %w", id, epoch, task.ErrStale)
	}
	return nil
}

// NoteStatusComment keeps the id of the task's status comment, whatever the task's state is by now. task.ErrNotFound when
// there is no such task (any more).
func (s *Store) NoteStatusComment(ctx context.Context, id task.ID, comment int64) error {
	there, err := s.run(ctx, "note", []string{s.partitions.task(id).task(id)}, fieldStatusComment, comment).Int()
	if err != nil {
		return fmt.Errorf("note the status comment of task %s: %w", id, err)
	}
	if there == 0 {
		return fmt.Errorf("note the status comment of task %s: %w", id, task.ErrNotFound)
	}
	return nil
}
