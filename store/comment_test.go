package store_test

import (
	"testing"
	"time"

	"sam/store"
	"sam/task"
)

func hear(t *testing.T, s *store.Store, h task.Heard) task.Heard {
	t.Helper()
	known, err := s.Hear(t.Context(), 7, 5, h)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func TestWhatIsKnownOfACommentDoesNotDependOnTheOrderInWhichItsEventsCome(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	creation := task.Heard{Created: true, Words: "/sam a", At: at, Commands: 1}
	first := task.Heard{Edited: true, Words: "/sam b", At: at, Commands: 1} // in the second of the creation
	second := task.Heard{Edited: true, Words: "/sam c\n/sam d", At: at.Add(time.Second), Commands: 2}
	deletion := task.Heard{Deleted: true, Commands: 2}
	want := task.Heard{Created: true, Edited: true, Words: second.Words, At: second.At, Commands: 2}
	for _, order := range [][]task.Heard{
		{creation, first, second}, {first, second, creation}, {second, first, creation}, {second, creation, first}, {creation, second, first},
	} {
		s, _ := open(t)
		for _, h := range order {
			hear(t, s, h)
		}
		if got := hear(t, s, creation); !got.At.Equal(want.At) || got.Words != want.Words || !got.Created || !got.Edited || got.Deleted || got.Commands != 2 {
			t.Errorf("after %+v: %+v, want %+v", order, got, want)
		}
		hear(t, s, deletion)
		if got := hear(t, s, creation); !got.Deleted || got.Commands != 2 {
			t.Errorf("after the deletion: %+v", got)
		}
	}
}

func TestOnlyWhoIsQueuedIsAmendedAndOnlyByNewerWords(t *testing.T) {
	s, _ := open(t)
	sp, at := spec(1), time.Now()
	create(t, s, sp)
	amend := func(words string, at time.Time) bool {
		t.Helper()
		done, err := s.Amend(t.Context(), sp.ID, words, at, task.Change{Effects: []task.Effect{task.StatusEffect(sp)}})
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	if !amend("newer", at) || amend("newer", at) || amend("older", at.Add(-time.Second)) {
		t.Error("not amended by the newer words once and by the older never")
	}
	if got := read(t, s, sp.ID); got.Request != "newer" {
		t.Errorf("asks for %q", got.Request)
	}
	claim(t, s, sp.ID)
	if amend("too late", at.Add(time.Hour)) {
		t.Error("amended though it has begun")
	}
	if done, err := s.Amend(t.Context(), "tnone", "words", at, task.Change{}); err != nil || done {
		t.Errorf("amended what is not there: %v, %v", done, err)
	}
}
