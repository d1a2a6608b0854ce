package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"sam/task"
)

// Ask has a task wait for the answer to a question of its attempt's, with an entry and effects for it; repeating it changes
// nothing. A task that is not wanted any more, or whose attempt is over, does not wait. ErrStale when the attempt is not the
// task's current one.
func (s *Store) Ask(ctx context.Context, t task.Task, epoch int64, q task.Question, c task.Change) error {
	_, entry, effects, err := encodeChange(c)
	if err != nil {
		return fmt.Errorf("encode a question of task %s: %w", t.ID, err)
	}
	encoded, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode a question of task %s: %w", t.ID, err)
	}
	p := s.partitions.task(t.ID)
	ok, err := s.runKept(ctx, p, "ask",
		[]string{p.task(t.ID), p.due(), p.work(), p.conversation(t.Project), p.owed(t.Installation), p.owedBody(t.Installation),
			p.owing(), p.changed(t.ID)},
		string(t.ID), epoch, q.Seq, encoded, entry, t.Installation, effects, nag(0).Milliseconds()).Int()
	if err != nil {
		return err
	}
	if ok != 1 {
		return fmt.Errorf("note a question of task %s, epoch %d: %w", t.ID, epoch, task.ErrStale)
	}
	return nil
}

// nag is how long after a question its n-th reminder is due, from 0, and after the last one its end.
func nag(n int) time.Duration {
	if all := task.Reminders(); n < len(all) {
		return all[n]
	}
	return task.Deadline(task.Waiting)
}

// decodeQuestion reads what a task waits with, nil when it does not.
func decodeQuestion(r map[string]string, number func(string) int64) (*task.Question, error) {
	if r["ask"] == "" {
		return nil, nil
	}
	var q task.Question
	if err := json.Unmarshal([]byte(r["ask"]), &q); err != nil {
		return nil, fmt.Errorf("field ask: %w", err)
	}
	q.Asked, q.Reminded, q.Expired = time.UnixMilli(number("asked")), int(number("reminded")), r["expired"] == "1"
	return &q, nil
}

// Asking returns the task of a thread that waits for an answer; task.ErrNotFound when none does. The task under way is the
// first of its thread, so no other can wait.
func (s *Store) Asking(ctx context.Context, thread task.ThreadID, in task.ID) (task.Task, error) {
	first, err := s.rdb.ZRange(ctx, s.partitions.task(in).thread(thread), 0, 0).Result()
	if err != nil {
		return task.Task{}, fmt.Errorf("look for the task under way in thread %s: %w", thread, err)
	}
	for _, member := range first {
		_, name, _ := strings.Cut(member, ":")
		t, err := s.Task(ctx, task.ID(name))
		if err != nil && !errors.Is(err, task.ErrNotFound) {
			return t, err
		}
		if err == nil && t.State == task.Waiting && t.Ask != nil && t.Cancel == "" {
			return t, nil
		}
	}
	return task.Task{}, fmt.Errorf("a task that waits in thread %s: %w", thread, task.ErrNotFound)
}

// Answer gives a task, as Asking returned it, the answer to its question. Instead is the ID of the task that would be made
// of the words if they were none; at is when they were written, by GitHub's clock. What has answered makes no task and
// answers nothing else, for ever: repeating it changes nothing. It returns false, and writes nothing, for what made a task
// before, and for what was written before the question was asked. task.ErrStale when the task does not wait for that any
// more.
func (s *Store) Answer(ctx context.Context, t task.Task, answer task.Answer, instead task.ID, at time.Time, c task.Change) (bool, error) {
	command, err := encodeCommand(task.Command{Kind: task.CommandAnswer, Task: t.ID, Epoch: t.Epoch, Ask: t.Ask.ID, Text: answer.Text})
	if err != nil {
		return false, err
	}
	_, entry, effects, err := encodeChange(c)
	if err != nil {
		return false, fmt.Errorf("encode an answer to task %s: %w", t.ID, err)
	}
	all, err := json.Marshal(append(append([]task.Answer{}, t.Answers...), answer))
	if err != nil {
		return false, fmt.Errorf("encode an answer to task %s: %w", t.ID, err)
	}
	p := s.partitions.task(t.ID)
	what, err := s.runKept(ctx, p, "answer",
		[]string{p.task(t.ID), p.due(), p.work(), p.conversation(t.Project), p.owed(t.Installation), p.owedBody(t.Installation),
			p.owing(), p.changed(t.ID), p.commands(t.Node), p.answered(instead), p.task(instead), p.spent()},
		string(t.ID), t.Epoch, t.Node, t.Ask.Seq, command, all, entry, t.Installation, effects, at.UnixMilli(), string(instead)).Text()
	if err != nil {
		return false, err
	}
	switch what {
	case "queued":
		if t.Node != "" {
			s.freeSlot(ctx, t.Node, t.ID, t.Epoch)
		}
		return true, nil
	case "running", "again":
		return true, nil
	case "task", "no":
		return false, nil
	default:
		return false, fmt.Errorf("answer task %s, epoch %d: %w", t.ID, t.Epoch, task.ErrStale)
	}
}

// HasAnswered reports whether what would make the task with that ID has answered a question instead, or done either so long
// ago that it is kept no longer.
func (s *Store) HasAnswered(ctx context.Context, instead task.ID) (bool, error) {
	n, err := s.rdb.Exists(ctx, s.partitions.task(instead).answered(instead)).Result()
	if err != nil {
		return false, fmt.Errorf("look for the answer %s: %w", instead, err)
	}
	if n == 1 {
		return true, nil
	}
	return s.isSpent(ctx, instead)
}

// Wait looks after a task that waits for an answer, as it was read: it lets go of a node that is lost, owes the next
// reminder when that is due, and says when the time is over. Alone are effects for the loss of its node.
func (s *Store) Wait(ctx context.Context, t task.Task, alone []task.Effect) (task.Waited, error) {
	if t.Ask == nil {
		return task.WaitedOn, nil
	}
	var reminder []task.Effect
	if n := t.Ask.Reminded; n < len(task.Reminders()) {
		reminder = append(reminder, task.ReminderEffect(t, n))
	}
	_, _, reminders, err := encodeChange(task.Change{Effects: reminder})
	if err != nil {
		return "", fmt.Errorf("encode a reminder of task %s: %w", t.ID, err)
	}
	_, _, effects, err := encodeChange(task.Change{Effects: alone})
	if err != nil {
		return "", fmt.Errorf("encode the loss of task %s's node: %w", t.ID, err)
	}
	p := s.partitions.task(t.ID)
	what, err := s.runKept(ctx, p, "wait",
		[]string{p.task(t.ID), p.due(), p.work(), p.owed(t.Installation), p.owedBody(t.Installation), p.owing(), p.changed(t.ID)},
		string(t.ID), t.Ask.Seq, t.Ask.Reminded, reminders, t.Installation, effects,
		nag(t.Ask.Reminded).Milliseconds(), nag(t.Ask.Reminded+1).Milliseconds(), task.Deadline(task.Waiting).Milliseconds()).Text()
	if err == nil && what == string(task.WaitedAlone) {
		s.freeSlot(ctx, t.Node, t.ID, t.Epoch)
	}
	return task.Waited(what), err
}
