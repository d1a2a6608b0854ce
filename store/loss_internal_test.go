package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"sam/sandbox/redis"
	"sam/task"
)

// openInside gives a test inside the package a Redis and a store on it.
func openInside(t *testing.T) (*Store, *redis.Server) {
	t.Helper()
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return connectInside(t, server), server
}

func connectInside(t *testing.T, server *redis.Server) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Addresses: []string{server.Address}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestWhoeverHasSeenTheDataNoticesThatTheyAreGoneOrOlder(t *testing.T) {
	s, server := openInside(t)
	other := connectInside(t, server)
	look := func(s *Store, want string) {
		t.Helper()
		reason, err := s.look(t.Context())
		if err != nil || !strings.Contains(reason, want) || (reason == "") != (want == "") {
			t.Errorf("noticed %q, %v; want %q", reason, err, want)
		}
	}
	recovered := func(s *Store) {
		t.Helper()
		if err := s.recover(t.Context(), "a test", func(context.Context, string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		look(s, "")
	}
	look(s, "")
	look(other, "")
	installation := s.installation

	if err := s.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	look(s, "wiped")
	recovered(s)
	if got := s.rdb.HGet(t.Context(), keyMeta, "installation").Val(); got != installation || s.installation != installation {
		t.Errorf("the installation is %q, and was %q", got, installation)
	}
	look(other, "another meta") // though it was written again before this one looked
	recovered(other)
	look(s, "")

	if err := s.rdb.HSet(t.Context(), keyMeta, "counter", "1").Err(); err != nil { // a copy from before is restored
		t.Fatal(err)
	}
	look(s, "went back")
	recovered(s)
}

func TestTheCounterGrowsByItselfNowAndThen(t *testing.T) {
	s, _ := openInside(t)
	counter := func() int64 {
		t.Helper()
		if reason, err := s.look(t.Context()); err != nil || reason != "" {
			t.Fatal(reason, err)
		}
		return s.seen[keyMeta].counter
	}
	first := counter()
	if again := counter(); again != first {
		t.Errorf("it grew from %d to %d at once", first, again)
	}
	if err := s.rdb.HSet(t.Context(), keyMeta, "counted", "0").Err(); err != nil { // long ago
		t.Fatal(err)
	}
	if later := counter(); later != first+1 {
		t.Errorf("after a long time it is %d, and was %d", later, first)
	}
}

func TestNewTasksAreRefusedWhileRedisIsNearlyFull(t *testing.T) {
	s, server := openInside(t)
	if !server.Durable {
		t.Skip("NO redis-server IS INSTALLED: the embedded one does not say how full it is")
	}
	asked := func(comment int64) error {
		id := task.NewID(7, task.CommentSource(comment), 0)
		_, err := s.CreateTask(t.Context(), task.Spec{ID: id, Project: 7, Thread: task.IssueThread(7, 1)}, task.Change{})
		return err
	}
	limit := func(bytes string) {
		t.Helper()
		if err := s.rdb.ConfigSet(t.Context(), "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
		s.memory.known = nil // as if some seconds had passed
	}
	if err := asked(1); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	limit("1gb")
	if err := asked(2); err != nil {
		t.Errorf("far below the limit: %v", err)
	}
	info, err := s.rdb.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	limit(id(infoNumber(info, "used_memory") * 100 / 85)) // 85 % are used
	if err := asked(3); !errors.Is(err, task.ErrNoRoom) {
		t.Errorf("at 85 %%: %v", err)
	}
	if err := asked(1); err != nil {
		t.Errorf("at 85 %%, for a task that is there: %v", err)
	}
	if fresh, err := s.Accept(t.Context(), task.Delivery{ID: "d", Event: "issues", Body: []byte("{}")}); err != nil || !fresh {
		t.Errorf("at 85 %%, a delivery: %v, %v", fresh, err)
	}
	limit("0")
	if err := asked(3); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
