package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// Tests that kill servers or look at idle ones wait much more than they work: more of them run at once than there are
// processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// open gives a test a redis-server of its own, or what stands in for it, and a store on it.
func open(t *testing.T) (*store.Store, *redis.Server) {
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
	return connect(t, server), server
}

// connect opens one more store on a server: another replica.
func connect(t *testing.T, server *redis.Server) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Addresses: []string{server.Address}, AllowLossy: !server.Durable})
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

var created = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func spec(comment int64) task.Spec {
	return task.Spec{
		ID: task.NewID(7, task.CommentSource(comment), 0), Project: 7, Installation: 3, Account: 5,
		Repository: "harbour/quayside", Thread: task.IssueThread(7, 1), Number: 1, Request: "add rate limiting",
		Requester: "ada", Source: task.CommentSource(comment), Comment: comment, Agent: "demo",
		Created: created.Add(time.Duration(comment) * time.Second),
	}
}

func create(t *testing.T, s *store.Store, sp task.Spec) {
	t.Helper()
	ok, err := s.CreateTask(t.Context(), sp, task.Change{
		Entry:   &task.Entry{Kind: task.EntryRequest, Thread: sp.Thread, Task: sp.ID, Text: sp.Request},
		Effects: []task.Effect{task.StatusEffect(sp)},
	})
	if err != nil || !ok {
		t.Fatalf("create %s: %v, %v", sp.ID, ok, err)
	}
}

func claim(t *testing.T, s *store.Store, id task.ID) task.Claimed {
	t.Helper()
	c, err := s.Claim(t.Context(), id)
	if err != nil {
		t.Fatalf("claim %s: %v", id, err)
	}
	return c
}

func linkNode(t *testing.T, s *store.Store, slots int) {
	t.Helper()
	n := task.Node{Name: "local", Provider: "local", Slots: slots}
	if err := s.EnsureNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NodeLinked(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// placed brings a new task to preparing on the node.
func placed(t *testing.T, s *store.Store, sp task.Spec) task.Task {
	t.Helper()
	create(t, s, sp)
	c := claim(t, s, sp.ID)
	if err := s.Place(t.Context(), c.Task, "local", task.Command{Kind: task.CommandStart, Task: sp.ID, Epoch: c.Epoch},
		task.Change{Fields: map[task.Field]string{task.FieldBranch: "sam/issue-1"}}); err != nil {
		t.Fatal(err)
	}
	return read(t, s, sp.ID)
}

func read(t *testing.T, s *store.Store, id task.ID) task.Task {
	t.Helper()
	got, err := s.Task(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func event(t *testing.T, seq int64) task.Numbered {
	t.Helper()
	b, err := json.Marshal(task.Event{Seq: seq, Kind: task.Said, Text: fmt.Sprintf("event %d", seq)})
	if err != nil {
		t.Fatal(err)
	}
	return task.Numbered{Seq: seq, JSON: b}
}

func why(t *testing.T, err error) string {
	t.Helper()
	var not task.NotYoursError
	if !errors.As(err, &not) {
		t.Fatalf("want a NotYoursError, got %v", err)
	}
	return not.Why
}

// commands reads the first n commands to the node.
func commands(t *testing.T, s *store.Store, n int) []task.Command {
	t.Helper()
	var got []task.Command
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.FollowCommands(ctx, "local", func(c task.Command) error {
		if got = append(got, c); len(got) == n {
			cancel()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}
