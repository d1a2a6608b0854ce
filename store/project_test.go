package store_test

import (
	"errors"
	"testing"

	"sam/task"
)

func TestAProjectBelongsToOneInstallation(t *testing.T) {
	s, _ := open(t)
	p := task.Project{ID: 7, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside", DefaultBranch: "main"}
	save := func(p task.Project) {
		t.Helper()
		if err := s.SaveProject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	of := func(installation int64) int {
		t.Helper()
		list, err := s.InstallationProjects(t.Context(), installation)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	save(p)
	save(p)
	if got, err := s.Project(t.Context(), 7); err != nil || got != p || of(3) != 1 {
		t.Errorf("read back %+v, %v, %d in its installation", got, err, of(3))
	}
	p.Installation, p.Owner = 4, "quay"
	save(p)
	if of(3) != 0 || of(4) != 1 {
		t.Errorf("after a transfer: %d in the old installation, %d in the new", of(3), of(4))
	}
	if all, err := s.Projects(t.Context()); err != nil || len(all) != 1 || all[0].FullName() != "quay/quayside" {
		t.Errorf("all projects %+v, %v", all, err)
	}
	if err := s.RemoveProject(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Project(t.Context(), 7); !errors.Is(err, task.ErrNotFound) || of(4) != 0 {
		t.Errorf("after its removal: %v, %d in its installation", err, of(4))
	}
}
