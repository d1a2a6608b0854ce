package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"sam/store"
	"sam/task"
)

func TestAWipedRedisIsNotReadyUntilWhatOthersRememberIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s, server := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	handled := make(chan string, 10)
	consumed := make(chan error, 1)
	go func() {
		consumed <- s.Consume(ctx, store.Handlers{
			Delivery: func(_ context.Context, d task.Delivery) error { handled <- d.ID; return nil },
			Task:     func(context.Context, task.ID) {},
			Owed:     func(context.Context, task.OwedTo) {},
		})
	}()
	await := func(guid string) {
		t.Helper()
		if _, err := s.Accept(t.Context(), task.Delivery{ID: guid, Event: "issues", Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-handled:
			if got != guid {
				t.Fatalf("%s was handled, want %s", got, guid)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not handled", guid)
		}
	}
	await("before")
	if err := raw(t, server).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	var times atomic.Int64
	watched, healthy := make(chan error, 1), make(chan error, 1)
	go func() {
		watched <- s.Watch(ctx, func(ctx context.Context, _ string) error {
			healthy <- s.Healthy(ctx)
			if times.Add(1) == 1 {
				return errors.New("GitHub is away")
			}
			return nil
		})
	}()
	for range 2 { // the second time after ten seconds, because the first time failed
		if err := <-healthy; err == nil {
			t.Error("the replica was ready while Redis had lost its data")
		}
	}
	await("after")
	for s.Healthy(t.Context()) != nil {
		rest(t.Context(), 10*time.Millisecond) // until the second recovery has returned
	}
	cancel()
	if err := errors.Join(<-consumed, <-watched); err != nil || times.Load() != 2 {
		t.Errorf("%v; recovered %d times", err, times.Load())
	}
}
