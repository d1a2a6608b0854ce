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
	return s.writeProject(ctx, p, string(encoded))
}

// writeProject writes a project's record, or with "" removes it.
func (s *Store) writeProject(ctx context.Context, p task.Project, encoded string) error {
	in := s.partitions.project(p.ID)
	return s.run(ctx, "project", []string{in.project(p.ID), in.projects()}, p.ID, p.Installation, encoded, in.installationPrefix()).Err()
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

// RemoveProject forgets that the App is installed on a repository, unless another installation than p's has it by now. Its
// tasks and its conversation stay.
func (s *Store) RemoveProject(ctx context.Context, p task.Project) error {
	return s.writeProject(ctx, p, "")
}
