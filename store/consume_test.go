package store_test

import (
	"context"
	"errors"
	"fmt"
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
	network := "tcp"
	if strings.HasPrefix(server.Address, "/") {
		network = "unix"
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

func TestADeliveryThatHangsDoesNotHoldUpAProcessThatIsStoppingAndIsHandledByAnother(t *testing.T) {
	t.Parallel()
	s, server := open(t)
	if _, err := s.Accept(t.Context(), task.Delivery{ID: "hangs", Event: "issues", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	stop := serve(t, s, store.Handlers{Delivery: func(ctx context.Context, _ task.Delivery) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}})
	<-begun
	told := time.Now()
	stop()
	if took := time.Since(told); took > 15*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	handled := make(chan struct{})
	stop = serve(t, connect(t, server), store.Handlers{Delivery: func(context.Context, task.Delivery) error {
		close(handled)
		return nil
	}})
	defer stop()
	select {
	case <-handled:
	case <-time.After(30 * time.Second):
		t.Error("nobody handles it any more")
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
			Owed: func(_ context.Context, to task.OwedTo) { see(fmt.Sprint(to.Installation)) },
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
		Owed:     func(context.Context, task.OwedTo) {},
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
