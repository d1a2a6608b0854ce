package store_test

import (
	"testing"

	"sam/task"
)

func TestTheListOfMissedDeliveriesIsKeptForTheNextLook(t *testing.T) {
	s, server := open(t)
	if l, err := s.MissedLog(t.Context()); err != nil || len(l.Waiting) != 0 || l.Cursor != (task.LogCursor{}) {
		t.Errorf("before the first: %+v, %v", l, err)
	}
	want := task.MissedLog{Cursor: task.LogCursor{Page: "p"}, Waiting: map[string]task.Awaited{"g": {ID: 7, Asked: 2}}}
	if err := s.SaveMissedLog(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if l, err := connect(t, server).MissedLog(t.Context()); err != nil || l.Cursor != want.Cursor || l.Waiting["g"] != want.Waiting["g"] {
		t.Errorf("read back %+v, %v", l, err)
	}
	if _, err := s.Accept(t.Context(), task.Delivery{ID: "g", Event: "issues", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	for guid, want := range map[string]bool{"g": true, "h": false} {
		if seen, err := s.Seen(t.Context(), guid); err != nil || seen != want {
			t.Errorf("seen %s: %v, %v", guid, seen, err)
		}
	}
}
