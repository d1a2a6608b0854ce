package store

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sam/task"
)

func TestAValueThatWasReplacedLongAgoIsForgotten(t *testing.T) {
	m := miniredis.RunT(t)
	began := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	m.SetTime(began)
	s, err := Open(t.Context(), Options{Addresses: []string{m.Addr()}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, one := range []struct {
		after time.Duration
		want  int // with the present one
	}{{0, 1}, {0, 2}, {secretKept - time.Hour, 3}, {2 * time.Hour, 3}, {secretKept + time.Hour, 2}} {
		began = began.Add(one.after)
		m.SetTime(began)
		if err := s.PutSecret(t.Context(), task.SealedSecret{Project: 7, Name: "A", Sealed: []byte(began.String() + string(rune('a'+one.want)))}); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Secrets(t.Context(), 7); err != nil || len(list) != one.want {
			t.Errorf("at %s there are %d of A, %v", began, len(list), err)
		}
	}
	if err := s.RemoveSecret(t.Context(), 7, "A"); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Secrets(t.Context(), 7); err != nil || len(list) != 2 || list[0].Replaced.IsZero() {
		t.Errorf("after its removal: %+v, %v", list, err)
	}
}
