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

func TestAMasterThatDoesNotAnswerIsNotTakenForOneWithoutReplicas(t *testing.T) {
	s, server := openInside(t)
	s.options.Replicas = -1
	s.replication.wanted.Store(1)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if s.countReplicas(t.Context()); s.replication.wanted.Load() != 1 {
		t.Error("what is acknowledged waits for no replica any more")
	}
}

func TestWhatRedisHasLostIsMadeUpForOnceThoughEveryReplicaNotices(t *testing.T) {
	first, server := openInside(t)
	second, third := connectInside(t, server), connectInside(t, server)
	all := []*Store{first, second, third}
	ctx := t.Context()
	times := 0
	recovered := func(context.Context, string) error { times++; return nil }
	recoverOn := func(s *Store, recovered func(context.Context, string) error) (done bool) {
		t.Helper()
		why := "a test"
		s.lost.Store(&why)
		if err := s.recover(ctx, why, recovered); err != nil {
			t.Fatal(err)
		}
		return s.lost.Load() == nil
	}
	noticed := func(s *Store) {
		t.Helper()
		if reason, err := s.look(ctx); err != nil || reason == "" {
			t.Fatalf("noticed %q, %v", reason, err)
		}
	}
	starts := func() { noticed(connectInside(t, server)) } // one that starts now
	for loss, lose := range []func() error{
		func() error { return first.rdb.FlushAll(ctx).Err() },
		func() error { return first.rdb.HSet(ctx, keyMeta, "counter", "1").Err() }, // a copy from before is restored
		func() error { return first.rdb.FlushAll(ctx).Err() },
		func() error { // one from before the loss before the last was made up for
			return first.rdb.HSet(ctx, keyMeta, "counter", "0", "loss", "1", "recovered", "1").Err()
		},
	} {
		for _, s := range all { // who looked and found all in order
			if reason, err := s.look(ctx); err != nil || reason != "" {
				t.Fatalf("before loss %d: %q, %v", loss, reason, err)
			}
		}
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		times = 0
		noticed(first)
		noticed(second)
		if !recoverOn(first, func(ctx context.Context, why string) error {
			if recoverOn(second, recovered) {
				t.Error("one is ready while another still makes up for it")
			}
			starts()
			return recovered(ctx, why)
		}) {
			t.Error("who made up for it is not ready")
		}
		noticed(third) // late
		for _, s := range all[1:] {
			if !recoverOn(s, recovered) {
				t.Errorf("loss %d: not ready though it is made up for", loss)
			}
		}
		if times != 1 {
			t.Errorf("loss %d was made up for %d times", loss, times)
		}
	}
}

func TestALossIsNotForgottenWithTheProcessThatNoticedIt(t *testing.T) {
	first, server := openInside(t)
	if err := first.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("killed")
	if err := first.recover(t.Context(), "a test", func(context.Context, string) error { return failed }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	next := connectInside(t, server)
	if reason, err := next.look(t.Context()); err != nil || !strings.Contains(reason, "nobody has made up for it yet") {
		t.Errorf("noticed %q, %v", reason, err)
	}
	times := 0
	if err := next.recover(t.Context(), "a test", func(context.Context, string) error { times++; return nil }); err != nil || times != 1 {
		t.Errorf("made up for %d times, %v", times, err)
	}
	if reason, err := next.look(t.Context()); err != nil || reason != "" {
		t.Errorf("afterwards: %q, %v", reason, err)
	}
}
