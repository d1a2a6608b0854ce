package store

import (
	"testing"

	"sam/sandbox/redis"
	"sam/task"
)

// A client may send a write again whose reply it lost.
func TestOneOperationThatIsSentTwiceIsCountedOnce(t *testing.T) {
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	s, err := Open(t.Context(), Options{Addresses: []string{server.Address}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	spec := task.Spec{ID: "t1", Thread: "7/1"}
	if _, err := s.CreateTask(t.Context(), spec, task.Change{}); err != nil {
		t.Fatal(err)
	}
	first := operation()
	for _, op := range []string{first, operation(), first, operation(), first} {
		if err := s.recordUsage(t.Context(), spec.ID, 0, task.Usage{Input: 10}, op); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // what is remembered has a bound
		if err := s.recordUsage(t.Context(), spec.ID, 0, task.Usage{}, operation()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Task(t.Context(), spec.ID)
	if err != nil || got.Spent.Input != 30 || got.Spent.Requests != 103 {
		t.Errorf("spent %+v, %v", got.Spent, err)
	}
	ops, err := s.rdb.HGet(t.Context(), s.partitions.task(spec.ID).task(spec.ID), "spent:ops").Result()
	if err != nil || len(ops) > 32*27 {
		t.Errorf("%d bytes of operations, %v", len(ops), err)
	}
}
