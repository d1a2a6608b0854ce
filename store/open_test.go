package store_test

import (
	"testing"

	"sam/task"
)

func TestOpenTasksAreThoseThatAreNotOver(t *testing.T) {
	s, _ := open(t)
	over, open := spec(1), spec(2)
	open.Thread = task.IssueThread(7, 2)
	create(t, s, over)
	create(t, s, open)
	c := claim(t, s, over.ID)
	if err := s.Move(t.Context(), c.Task, task.Failed, task.Change{}); err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string]func() ([]task.Task, error){
		"of the project":    func() ([]task.Task, error) { return s.OpenTasks(t.Context(), 7) },
		"of every project":  func() ([]task.Task, error) { return s.AllOpenTasks(t.Context()) },
		"of another (none)": func() ([]task.Task, error) { return s.OpenTasks(t.Context(), 8) },
	} {
		got, err := list()
		if err != nil || name != "of another (none)" && (len(got) != 1 || got[0].ID != open.ID) || name == "of another (none)" && len(got) != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
