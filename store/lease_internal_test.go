package store

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// A node that was told of its attempt late, since it or its line stood still, is heard of by what the agent does before its
// next beat.
func TestAnAttemptThatWritesEventsIsNotTakenFromItsNode(t *testing.T) {
	s, _ := openInside(t)
	ctx := t.Context()
	held := heldBy(t, s, "local")
	p := s.partitions.task(held.ID)
	left := func() (lease, due time.Duration) {
		t.Helper()
		until, err := s.rdb.HGet(ctx, p.task(held.ID), "lease_until").Int64()
		if err != nil {
			t.Fatal(err)
		}
		score, err := s.rdb.ZScore(ctx, p.due(), string(held.ID)).Result()
		if err != nil {
			t.Fatal(err)
		}
		return time.Until(time.UnixMilli(until)), time.Until(time.UnixMilli(int64(score)))
	}
	const almost = task.NodeSilence / 3 // each write may stall for a second
	nearlyOver := func() {
		t.Helper()
		soon := time.Now().Add(almost).UnixMilli()
		if err := s.rdb.HSet(ctx, p.task(held.ID), "lease_until", soon).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.rdb.ZAdd(ctx, p.due(), redis.Z{Score: float64(soon), Member: string(held.ID)}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	one := []task.Numbered{{Seq: 1, JSON: []byte(`{}`)}}
	for _, c := range []struct {
		what string
		want time.Duration // at least
	}{
		{"a new event", 2 * almost},
		{"an event that was there", 0},
	} {
		nearlyOver()
		if last, err := s.AppendEvents(ctx, held.ID, held.Epoch, "local", one); err != nil || last != 1 {
			t.Fatalf("%s: %d, %v", c.what, last, err)
		}
		if lease, due := left(); lease < c.want || due < c.want || c.want == 0 && lease > almost {
			t.Errorf("after %s the lease is over in %s, and the task is due in %s; want at least %s", c.what, lease, due, c.want)
		}
	}
	// What pushes it on keeps to the bounds of a beat: the agent's silence, and the time that it has to stop.
	if err := s.rdb.HSet(ctx, p.task(held.ID), "cancelled", time.Now().Add(-task.StopWithin/2).UnixMilli()).Err(); err != nil {
		t.Fatal(err)
	}
	nearlyOver()
	if _, err := s.AppendEvents(ctx, held.ID, held.Epoch, "local", []task.Numbered{{Seq: 2, JSON: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
	if lease, _ := left(); lease > task.StopWithin/2 {
		t.Errorf("one that is to stop may go on for %s more", lease)
	}
}

// heldBy is a task that a node has taken.
func heldBy(t *testing.T, s *Store, node string) task.Task {
	t.Helper()
	ctx := t.Context()
	if err := s.EnsureNode(ctx, task.Node{Name: node, Provider: "local", Slots: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NodeLinked(ctx, task.Node{Name: node, Slots: 1}); err != nil {
		t.Fatal(err)
	}
	sp := task.Spec{ID: task.NewID(7, task.CommentSource(1), 0), Project: 7, Installation: 3, Account: 5, Thread: task.IssueThread(7, 1)}
	if made, err := s.CreateTask(ctx, sp, task.Change{}); err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}
	c, err := s.Claim(ctx, sp.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Place(ctx, c.Task, node, task.Command{Kind: task.CommandStart, Task: c.ID, Epoch: c.Epoch}, task.Change{}); err != nil {
		t.Fatal(err)
	}
	return c.Task
}
