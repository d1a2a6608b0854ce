package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// SaveProject writes a project as GitHub describes it now, new or not.
func (s *Store) SaveProject(ctx context.Context, p task.Project) error {
	encoded, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode project %d: %w", p.ID, err)
	}
	before, err := s.Project(ctx, p.ID)
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	moved := err == nil && before.Installation != p.Installation
	in := s.partitions.project(p.ID)
	_, err = s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		if moved {
			pipe.SRem(ctx, in.installation(before.Installation), p.ID)
		}
		pipe.Set(ctx, in.project(p.ID), encoded, 0)
		pipe.SAdd(ctx, in.projects(), p.ID)
		pipe.SAdd(ctx, in.installation(p.Installation), p.ID)
		return nil
	})
	if err != nil {
		return fmt.Errorf("save project %d: %w", p.ID, err)
	}
	return nil
}

// Project reads a project by GitHub's id of its repository; task.ErrNotFound when SAM is not installed there.
func (s *Store) Project(ctx context.Context, project int64) (task.Project, error) {
	encoded, err := s.rdb.Get(ctx, s.partitions.project(project).project(project)).Bytes()
	if errors.Is(err, redis.Nil) {
		return task.Project{}, fmt.Errorf("project %d: %w", project, task.ErrNotFound)
	}
	if err != nil {
		return task.Project{}, fmt.Errorf("read project %d: %w", project, err)
	}
	var p task.Project
	if err := json.Unmarshal(encoded, &p); err != nil {
		return task.Project{}, fmt.Errorf("decode project %d: %w", project, err)
	}
	return p, nil
}

// Projects lists every project.
func (s *Store) Projects(ctx context.Context) ([]task.Project, error) {
	return s.projectsIn(ctx, partition.projects)
}

// InstallationProjects lists the projects of one installation of the App.
func (s *Store) InstallationProjects(ctx context.Context, installation int64) ([]task.Project, error) {
	return s.projectsIn(ctx, func(p partition) string { return p.installation(installation) })
}

func (s *Store) projectsIn(ctx context.Context, set func(partition) string) ([]task.Project, error) {
	members, err := s.members(ctx, set)
	if err != nil {
		return nil, fmt.Errorf("list projects: %w", err)
	}
	projects := make([]task.Project, 0, len(members))
	for _, m := range members {
		n, err := strconv.ParseInt(m, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list projects: %q is no id: %w", m, err)
		}
		p, err := s.Project(ctx, n)
		if errors.Is(err, task.ErrNotFound) {
			continue // removed since
		}
		if err != nil {
			return nil, err
		}
		projects = append(projects, p)
	}
	return projects, nil
}

// RemoveProject forgets that the App is installed on a repository. Its tasks and its conversation stay.
func (s *Store) RemoveProject(ctx context.Context, p task.Project) error {
	in := s.partitions.project(p.ID)
	_, err := s.rdb.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.SRem(ctx, in.installation(p.Installation), p.ID)
		pipe.SRem(ctx, in.projects(), p.ID)
		pipe.Del(ctx, in.project(p.ID))
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove project %d: %w", p.ID, err)
	}
	return nil
}
