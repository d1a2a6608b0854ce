package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// fieldStatusComment is written by whoever delivers the status, not by a Change: it must outlive every race of states.
const fieldStatusComment = "status_comment"

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

// CreateTask makes a queued task with its place in the thread, its conversation entry and what is owed for it, in one
// step. It returns false, and writes nothing, when the task exists.
func (s *Store) CreateTask(ctx context.Context, spec task.Spec, c task.Change) (bool, error) {
	encoded, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("encode task %s: %w", spec.ID, err)
	}
	c.Fields = map[task.Field]string{"spec": string(encoded)}
	fields, entry, effects, err := encodeChange(c)
	if err != nil {
		return false, fmt.Errorf("encode task %s: %w", spec.ID, err)
	}
	score, member := spec.Turn()
	created, err := s.run(ctx, "create",
		[]string{s.p.task(spec.ID), s.p.thread(spec.Thread), s.p.due(), s.p.work(), s.p.conversation(spec.Project),
			s.p.owed(spec.Installation), s.p.owedBody(spec.Installation), s.p.owing()},
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
	record, err := s.rdb.HGetAll(ctx, s.p.task(id)).Result()
	if err != nil {
		return task.Task{}, nil, fmt.Errorf("read task %s: %w", id, err)
	}
	if len(record) == 0 {
		return task.Task{}, nil, fmt.Errorf("task %s: %w", id, task.ErrNotFound)
	}
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
	t.Epoch = number("epoch")
	t.Node, t.Workspace = field(task.FieldNode), field(task.FieldWorkspace)
	t.Branch, t.Base, t.Rewrite, t.Head = field(task.FieldBranch), field(task.FieldBase), field(task.FieldRewrite) == "1", r["head"]
	t.Attempts, t.Last = int(number("attempts")), number("last")
	t.Pull, t.PullURL, t.StatusComment = int(number(string(task.FieldPull))), field(task.FieldPullURL), number(fieldStatusComment)
	t.Headline, t.Summary = field(task.FieldHeadline), field(task.FieldSummary)
	t.Waits, t.Failure = field(task.FieldWaits), field(task.FieldFailure)
	t.Spent = task.Spent{
		Requests: number("spent:requests"), Input: number("spent:input"), Output: number("spent:output"),
		CacheRead: number("spent:cache_read"), CacheWrite: number("spent:cache_write"), MicroUSD: number("spent:micro_usd"),
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
	var end *task.End
	if r["end"] != "" {
		end = &task.End{}
		if e := json.Unmarshal([]byte(r["end"]), end); e != nil {
			return task.Task{}, nil, e
		}
	}
	return t, end, err
}

// Claim takes a task over for this process under a lease of task.Deadline(Placing) and a new epoch. It returns
// task.NotYoursError when there is nothing to decide about it now.
func (s *Store) Claim(ctx context.Context, id task.ID) (task.Claimed, error) {
	before, err := s.Task(ctx, id)
	if err != nil {
		return task.Claimed{}, err
	}
	what, err := s.run(ctx, "claim",
		[]string{s.p.task(id), s.p.thread(before.Thread), s.p.due(), s.p.nodeTasks(before.Node), s.p.starved()},
		string(id), s.process, lease(task.Placing), operation(), before.Node, lease(task.Queued)).Text()
	if err != nil {
		return task.Claimed{}, err
	}
	if what != "claimed" {
		return task.Claimed{}, task.NotYoursError{Why: what}
	}
	t, end, err := s.readTask(ctx, id)
	return task.Claimed{Task: t, End: end}, err
}

// Renew pushes a lease of this process on by task.Deadline of the task's state; ErrStale when it is another's by now.
func (s *Store) Renew(ctx context.Context, t task.Task) error {
	return s.renew(ctx, t.ID, s.process, t.Epoch, lease(t.State))
}

// RenewFor pushes a node's lease on an attempt on; ErrStale when the node does not hold it.
func (s *Store) RenewFor(ctx context.Context, node string, id task.ID, epoch int64) error {
	return s.renew(ctx, id, node, epoch, lease(task.Running))
}

func (s *Store) renew(ctx context.Context, id task.ID, owner string, epoch, ms int64) error {
	ok, err := s.run(ctx, "renew", []string{s.p.task(id), s.p.due()}, string(id), owner, epoch, ms).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("renew the lease of task %s, epoch %d: %w", id, epoch, task.ErrStale)
	}
	return nil
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
	ok, err := s.run(ctx, "move",
		[]string{s.p.task(t.ID), s.p.thread(t.Thread), s.p.due(), s.p.work(), s.p.conversation(t.Project),
			s.p.owed(t.Installation), s.p.owedBody(t.Installation), s.p.owing(), s.p.nodeTasks(t.Node),
			s.p.commands(t.Node), s.p.starved()},
		string(t.ID), string(t.State), string(to), t.Epoch, fields, entry, t.Installation, effects, operation(),
		due, starved, drop).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("move task %s from %s to %s, epoch %d: %w", t.ID, t.State, to, t.Epoch, task.ErrStale)
	}
	return nil
}

// Place gives a task in placing to a node and writes the command to start. ErrFull, ErrStale.
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
	what, err := s.run(ctx, "place",
		[]string{s.p.task(t.ID), s.p.due(), s.p.node(node), s.p.nodeTasks(node), s.p.commands(node),
			s.p.owed(t.Installation), s.p.owedBody(t.Installation), s.p.owing(), s.p.work(), s.p.conversation(t.Project)},
		string(t.ID), t.Epoch, node, lease(task.Preparing), frame, fields, t.Account, t.Installation, effects,
		operation(), entry).Text()
	switch {
	case err != nil:
		return err
	case what == "stale":
		return fmt.Errorf("place task %s, epoch %d: %w", t.ID, t.Epoch, task.ErrStale)
	case what == "full":
		return fmt.Errorf("place task %s on %s: %w", t.ID, node, task.ErrFull)
	}
	return nil
}

// RecordPush notes the commit that GitHub accepted on the task's branch. ErrStale when the epoch or the branch is not
// the task's.
func (s *Store) RecordPush(ctx context.Context, id task.ID, epoch int64, branch, commit string) error {
	ok, err := s.run(ctx, "push", []string{s.p.task(id)}, epoch, branch, commit).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("record a push for task %s, epoch %d: %w", id, epoch, task.ErrStale)
	}
	return nil
}

// NoteStatusComment keeps the id of the task's status comment, whatever the task's state is by now.
func (s *Store) NoteStatusComment(ctx context.Context, id task.ID, comment int64) error {
	if err := s.rdb.HSet(ctx, s.p.task(id), fieldStatusComment, comment).Err(); err != nil {
		return fmt.Errorf("note the status comment of task %s: %w", id, err)
	}
	return nil
}

// Due lists tasks whose deadline has passed, the oldest first.
func (s *Store) Due(ctx context.Context, limit int64) ([]task.ID, error) {
	at, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return nil, fmt.Errorf("read Redis's clock: %w", err)
	}
	members, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: s.p.due(), Start: "-inf", Stop: at.UnixMilli(), ByScore: true, Count: limit,
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("read what is due: %w", err)
	}
	ids := make([]task.ID, len(members))
	for i, m := range members {
		ids[i] = task.ID(m)
	}
	return ids, nil
}
