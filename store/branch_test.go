package store_test

import (
	"testing"

	"sam/task"
)

func TestABranchIsOneTasksUntilThatIsOver(t *testing.T) {
	s, _ := open(t)
	first, second := spec(1), spec(2)
	create(t, s, first)
	create(t, s, second)
	hold := func(sp task.Spec, branch string, want task.ID) {
		t.Helper()
		if got, err := s.HoldBranch(t.Context(), sp, branch); err != nil || got != want {
			t.Errorf("%s asks for %s: %s has it, %v; want %s", sp.ID, branch, got, err, want)
		}
	}
	hold(first, "b", first.ID)
	hold(first, "b", first.ID)
	hold(second, "b", first.ID)
	hold(second, "c", second.ID)
	c := claim(t, s, first.ID)
	if err := s.Move(t.Context(), c.Task, task.Failed, task.Change{}); err != nil {
		t.Fatal(err)
	}
	hold(second, "b", second.ID)
	hold(first, "b", second.ID)
}
