package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

func raw(t *testing.T, server *redis.Server) *goredis.Client {
	t.Helper()
	network := "unix"
	if !server.Durable {
		network = "tcp"
	}
	c := goredis.NewClient(&goredis.Options{Network: network, Addr: server.Address})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestADeliveryIsAcceptedOnce(t *testing.T) {
	s, _ := open(t)
	for i, want := range []bool{true, false, false} {
		fresh, err := s.Accept(t.Context(), task.Delivery{ID: "guid-1", Event: "issues", Body: []byte("{}")})
		if err != nil || fresh != want {
			t.Errorf("accept %d: %v, %v; want %v", i, fresh, err, want)
		}
	}
}

func TestTheNewestEffectForATargetIsDelivered(t *testing.T) {
	s, _ := open(t)
	owe := func(text string) {
		t.Helper()
		if err := s.Owe(t.Context(), 3, task.ReplyEffect(7, 1, "k", text)); err != nil {
			t.Fatal(err)
		}
	}
	take := func() []task.Owed {
		t.Helper()
		owed, err := s.TakeOwed(t.Context(), 3, 10)
		if err != nil {
			t.Fatal(err)
		}
		return owed
	}
	owe("old")
	owe("new")
	owed := take()
	if len(owed) != 1 || !strings.Contains(owed[0].Body, "new") || owed[0].Attempts != 1 {
		t.Fatalf("took %+v", owed)
	}
	if len(take()) != 0 {
		t.Error("what one deliverer holds was given to another")
	}
	owe("newer") // while it is being delivered
	if len(take()) != 0 {
		t.Error("what one deliverer holds was given to another because a newer one came")
	}
	if err := s.Settle(t.Context(), owed[0]); err != nil {
		t.Fatal(err)
	}
	owed = take()
	if len(owed) != 1 || !strings.Contains(owed[0].Body, "newer") {
		t.Fatalf("after a newer one came: %+v", owed)
	}
	if err := s.PutOff(t.Context(), owed[0], time.Hour); err != nil {
		t.Fatal(err)
	}
	owe("newest")
	if len(take()) != 0 {
		t.Error("what was put off came at once")
	}
	if owing, err := s.Owing(t.Context()); err != nil || !slices.Equal(owing, []int64{3}) {
		t.Errorf("owing %v, %v", owing, err)
	}
	if err := s.Settle(t.Context(), owed[0]); err != nil {
		t.Fatal(err)
	}
	owed = take()
	if len(owed) != 1 || !strings.Contains(owed[0].Body, "newest") {
		t.Fatalf("after a newer one than the settled: %+v", owed)
	}
	if err := s.Settle(t.Context(), owed[0]); err != nil {
		t.Fatal(err)
	}
	if len(take()) != 0 {
		t.Error("what was settled came back")
	}
	if owing, err := s.Owing(t.Context()); err != nil || len(owing) != 0 {
		t.Errorf("still owing %v, %v", owing, err)
	}
}

func TestConsumeHandsOverWhatIsThereAndWhatComes(t *testing.T) {
	s, _ := open(t)
	if _, err := s.Accept(t.Context(), task.Delivery{ID: "before", Event: "issues", Body: []byte(`{"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	seen := map[string]bool{}
	see := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		if seen[what] = true; len(seen) == 4 {
			cancel()
		}
	}
	done := make(chan error)
	go func() {
		done <- s.Consume(ctx, store.Handlers{
			Delivery: func(_ context.Context, d task.Delivery) error {
				if d.At.IsZero() || d.Event != "issues" {
					t.Errorf("delivery %+v", d)
				}
				see(d.ID)
				return nil
			},
			Task: func(_ context.Context, id task.ID) { see(string(id)) },
			Owed: func(_ context.Context, installation int64) { see(fmt.Sprint(installation)) },
		})
	}()
	if _, err := s.Accept(t.Context(), task.Delivery{ID: "after", Event: "issues", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	create(t, s, spec(1)) // wakes for the task and for what is owed
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before", "after", string(spec(1).ID), "3"} {
		if !seen[want] {
			t.Errorf("%s was not handed over", want)
		}
	}
}

func TestADeliveryWhoseHandlingFailsIsNotLost(t *testing.T) {
	s, server := open(t)
	if _, err := s.Accept(t.Context(), task.Delivery{ID: "d", Event: "issues", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := s.Consume(ctx, store.Handlers{
		Delivery: func(context.Context, task.Delivery) error { cancel(); return errors.New("GitHub is away") },
		Task:     func(context.Context, task.ID) {},
		Owed:     func(context.Context, int64) {},
	}); err != nil {
		t.Fatal(err)
	}
	pending, err := raw(t, server).XPending(t.Context(), "{0}:intake", "sam").Result()
	if err != nil || pending.Count != 1 {
		t.Errorf("waiting to be tried again: %+v, %v; want 1", pending, err)
	}
}

func TestARedisThatWouldLoseAcknowledgedWorkIsRefused(t *testing.T) {
	_, server := open(t)
	if !server.Durable {
		t.Skip("NO redis-server IS INSTALLED: the check of its settings is left out")
	}
	if err := raw(t, server).ConfigSet(t.Context(), "appendfsync", "everysec").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), store.Options{Addresses: []string{server.Address}})
	if err == nil || !strings.Contains(err.Error(), `appendfsync is "everysec"`) {
		t.Errorf("opened with everysec: %v", err)
	}
}
