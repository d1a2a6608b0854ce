package store

import (
	"context"
	"fmt"

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
