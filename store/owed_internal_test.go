package store

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sam/task"
)

// A client repeats a script whose reply it lost.
func TestAScriptOfTheOutboxThatIsRepeatedCountsOnce(t *testing.T) {
	s, err := Open(t.Context(), Options{Addresses: []string{miniredis.RunT(t).Addr()}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Owe(t.Context(), 3, task.ReplyEffect(7, 1, "a", "one"), task.ReplyEffect(7, 1, "b", "two")); err != nil {
		t.Fatal(err)
	}
	p := s.partitions.project(7)
	take := func(op string) string {
		t.Helper()
		parts, err := s.run(t.Context(), "take", []string{p.owed(3), p.owedBody(3), p.owing()},
			time.Minute.Milliseconds(), 3, urgencies(), op).StringSlice()
		if err != nil || len(parts) != 4 || parts[3] != "1" {
			t.Fatalf("took %v, %v", parts, err)
		}
		return parts[0]
	}
	if first, again, other := take("op1"), take("op1"), take("op2"); first != again || other == first {
		t.Errorf("took %s, the same again %s, and then %s", first, again, other)
	}
	for range 2 * paceHour {
		wait, err := s.run(t.Context(), "pace", []string{p.pace(3), p.hold(3)}, "op", paceMinute, paceHour).Int64()
		if err != nil || wait != 0 {
			t.Fatalf("the same call again must wait for %d ms, %v", wait, err)
		}
	}
}

func TestAnInstallationThatIsOwedNothingMoreIsForgotten(t *testing.T) {
	s, _ := openInside(t)
	for _, body := range []string{"one", "two"} {
		if err := s.Owe(t.Context(), 3, task.ReplyEffect(7, 1, "key "+body, body)); err != nil {
			t.Fatal(err)
		}
	}
	for left := 1; left >= 0; left-- {
		to := task.OwedTo{Partition: "0", Installation: 3}
		o, err := s.TakeOwed(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), o, 0); err != nil { // and then the process dies
			t.Fatal(err)
		}
		if owing, err := s.Owing(t.Context()); err != nil || len(owing) != min(left, 1) {
			t.Errorf("with %d effects left it is owed to %v, %v", left, owing, err)
		}
	}
}
