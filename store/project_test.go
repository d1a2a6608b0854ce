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

// GitHub tells of a transfer by two installations, in no order, and each may be handled by another replica.
func TestAProjectThatWentToAnotherInstallationIsNotRemovedWithTheOldOne(t *testing.T) {
	s, _ := open(t)
	old := task.Project{ID: 7, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside"}
	moved := old
	moved.Installation, moved.Account, moved.Owner = 4, 6, "quay"
	for _, p := range []task.Project{old, moved} {
		if err := s.SaveProject(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveProject(t.Context(), old); err != nil { // by a replica that read it before
		t.Fatal(err)
	}
	if got, err := s.Project(t.Context(), 7); err != nil || got != moved {
		t.Errorf("the new installation's project is %+v, %v", got, err)
	}
	if all, err := s.Projects(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("all projects are %v, %v", all, err)
	}
}
