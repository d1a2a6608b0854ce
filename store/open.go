package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// AllOpenTasks lists the tasks that are not final, the newest request of a partition first.
func (s *Store) AllOpenTasks(ctx context.Context) ([]task.Task, error) {
	var all []task.Task
	for _, p := range s.partitions.all() {
		open, err := s.openTasks(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, open...)
	}
	return all, nil
}

// OpenTasks lists the tasks of a project that are not final, the newest request first.
func (s *Store) OpenTasks(ctx context.Context, project int64) ([]task.Task, error) {
	all, err := s.openTasks(ctx, s.partitions.project(project))
	if err != nil {
		return nil, fmt.Errorf("project %d: %w", project, err)
	}
	open := all[:0]
	for _, t := range all {
		if t.Project == project {
			open = append(open, t)
		}
	}
	return open, nil
}

// openTasks reads the tasks of a partition that have a deadline: every open one has, so the deadlines are the index.
func (s *Store) openTasks(ctx context.Context, p partition) ([]task.Task, error) {
	members, err := s.rdb.ZRange(ctx, p.due(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list open tasks: %w", err)
	}
	ids := make([]task.ID, len(members))
	for i, m := range members {
		ids[i] = task.ID(m)
	}
	all, err := s.tasks(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("list open tasks: %w", err)
	}
	open := all[:0]
	for _, t := range all {
		if !t.State.Final() {
			open = append(open, t)
		}
	}
	return open, nil
}

// Starved lists the tasks that look for a node, the longest looking of a partition first. Some of them may have been placed
// since.
func (s *Store) Starved(ctx context.Context) ([]task.Task, error) {
	ids := []task.ID{}
	reads := make([]*redis.StringSliceCmd, 0, s.partitions)
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range s.partitions.all() {
			reads = append(reads, pipe.ZRange(ctx, p.starved(), 0, -1))
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list the tasks that look for a node: %w", err)
	}
	for _, read := range reads {
		for _, member := range read.Val() {
			ids = append(ids, task.ID(member))
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	all, err := s.tasks(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("list the tasks that look for a node: %w", err)
	}
	return slices.DeleteFunc(all, func(t task.Task) bool { return t.State != task.Placing || t.Cancel != "" || !t.Nodeless }), nil
}

// AtRest returns, of those of these tasks that wait for an answer, when each gave its last sign.
func (s *Store) AtRest(ctx context.Context, ids []task.ID) (map[task.ID]time.Time, error) {
	rest := map[task.ID]time.Time{}
	if len(ids) == 0 {
		return rest, nil
	}
	reads := make([]*redis.SliceCmd, len(ids))
	if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, one := range ids {
			reads[i] = pipe.HMGet(ctx, s.partitions.task(one).task(one), "state", "progressed")
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read which tasks wait for an answer: %w", err)
	}
	for i, one := range ids {
		state, _ := reads[i].Val()[0].(string)
		at, _ := reads[i].Val()[1].(string)
		if task.State(state) != task.Waiting || at == "" {
			continue
		}
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("decode since when task %s waits: %w", one, err)
		}
		rest[one] = time.UnixMilli(ms)
	}
	return rest, nil
}
