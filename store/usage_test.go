package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"sam/task"
)

func TestWhatATaskUsesAddsUpOverItsAttempts(t *testing.T) {
	s, _ := open(t)
	sp := spec(1)
	create(t, s, sp)
	if got := read(t, s, sp.ID).Spent; got != (task.Spent{}) {
		t.Errorf("before any request: %+v", got)
	}
	first := claim(t, s, sp.ID)
	use := task.Usage{Model: "claude-opus-5-5", Input: 8, Output: 300, CacheRead: 14_000, CacheWrite: 500, MicroUSD: 9_300_000_000}
	if err := s.RecordUsage(t.Context(), sp.ID, first.Epoch, use); err != nil {
		t.Fatal(err)
	}
	if err := s.Starve(t.Context(), first.Task, 0, task.Change{}); err != nil {
		t.Fatal(err)
	}
	second := claim(t, s, sp.ID)
	for _, epoch := range []int64{second.Epoch, first.Epoch} { // the first attempt's last request is told of late: it cost money all the same
		if err := s.RecordUsage(t.Context(), sp.ID, epoch, use); err != nil {
			t.Fatal(err)
		}
	}
	want := task.Spent{Requests: 3, Input: 24, Output: 900, CacheRead: 42_000, CacheWrite: 1500, MicroUSD: 27_900_000_000}
	if got := read(t, s, sp.ID).Spent; got != want {
		t.Errorf("spent %+v, want %+v", got, want)
	}
}

func TestWhatNoAttemptCanHaveUsedIsRefused(t *testing.T) {
	s, _ := open(t)
	sp := spec(1)
	create(t, s, sp)
	c := claim(t, s, sp.ID)
	for name, err := range map[string]error{
		"an epoch to come": s.RecordUsage(t.Context(), sp.ID, c.Epoch+1, task.Usage{Input: 1}),
		"no such task":     s.RecordUsage(t.Context(), "tnone", 0, task.Usage{Input: 1}),
	} {
		if !errors.Is(err, task.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := read(t, s, sp.ID).Spent; got != (task.Spent{}) {
		t.Errorf("spent %+v", got)
	}
}

func TestRequestsAtTheSameTimeAreAllCounted(t *testing.T) {
	s, _ := open(t)
	sp := spec(1)
	create(t, s, sp)
	c := claim(t, s, sp.ID)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if err := s.RecordUsage(t.Context(), sp.ID, c.Epoch, task.Usage{Output: 2}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := read(t, s, sp.ID).Spent; got.Requests != 100 || got.Output != 200 {
		t.Errorf("spent %+v", got)
	}
}

func TestWhoeverFollowsATaskHearsWhatItSpends(t *testing.T) {
	s, _ := open(t)
	sp := spec(1)
	create(t, s, sp)
	c := claim(t, s, sp.ID)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var heard []int64
	err := s.FollowTask(ctx, sp.ID, func(now task.Task) error {
		heard = append(heard, now.Spent.Requests)
		if len(heard) == 3 {
			cancel()
			return nil
		}
		return s.RecordUsage(ctx, sp.ID, c.Epoch, task.Usage{Output: 2}) // neither a state nor a stream changes by it
	})
	if err != nil || !slices.Equal(heard, []int64{0, 1, 2}) {
		t.Errorf("heard of %v requests, %v", heard, err)
	}
}
