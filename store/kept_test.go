package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

func TestWhatNoReplicaHasIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	replicated, err := redis.StartSentinel(t.Context(), t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := replicated.Stop(); err != nil {
			t.Error(err)
		}
	})
	master, replica := replicated.Servers[0], replicated.Servers[1]
	// A single Redis to SAM, of which nobody has told it that it has a replica.
	s := openWith(t, store.Options{Addresses: []string{master.Address}, Replicas: -1})
	careless := openWith(t, store.Options{Addresses: []string{master.Address}})
	accept := func(s *store.Store, guid string) (bool, error) {
		return s.Accept(t.Context(), task.Delivery{ID: guid, Event: "issues", Body: []byte("{}")})
	}
	if fresh, err := accept(s, "well"); err != nil || !fresh {
		t.Fatalf("with a replica in step: %v, %v", fresh, err)
	}
	linkNode(t, s, 1)
	p := placed(t, s, spec(1))

	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := accept(s, "alone"); !errors.Is(err, store.ErrUnconfirmed) {
		t.Errorf("with a replica that is silent: %v", err)
	}
	if took := time.Since(began); took > 9*time.Second { // GitHub waits for ten
		t.Errorf("it took %s to say so", took)
	}
	if _, err := accept(s, "alone"); !errors.Is(err, store.ErrUnconfirmed) {
		t.Errorf("sent again, and the replica is silent still: %v", err)
	}
	if _, err := s.AppendEvents(t.Context(), p.ID, p.Epoch, "local", []task.Numbered{event(t, 1)}); !errors.Is(err, store.ErrUnconfirmed) {
		t.Errorf("events: %v", err)
	}
	if err := s.NoteProgress(t.Context(), p, p.Epoch, task.Progress{Started: true}, nil); !errors.Is(err, store.ErrUnconfirmed) {
		t.Errorf("progress: %v", err)
	}
	if got := s.Unconfirmed(); got != 4 {
		t.Errorf("counted %d that were not confirmed", got)
	}
	if _, err := accept(careless, "careless"); err != nil || careless.Unconfirmed() != 0 {
		t.Errorf("one that asks for no replica: %v", err)
	}

	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var fresh bool
	if err := patiently(ctx, func() (err error) { fresh, err = accept(s, "alone"); return err }); err != nil || fresh {
		t.Errorf("sent again when the replica is back: %v, %v; want that it was there", fresh, err)
	}
	if last, err := s.AppendEvents(t.Context(), p.ID, p.Epoch, "local", []task.Numbered{event(t, 1)}); err != nil || last != 1 {
		t.Errorf("events sent again: %d, %v", last, err)
	}
}

// A script that Redis does not know by its hash is sent whole, with WAIT as well.
func TestAScriptThatRedisForgotIsConfirmedToo(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	cluster, options := startCluster(t)
	s := openWith(t, options)
	for i, guid := range []string{"a", "b", "c", "d", "e", "f"} {
		if i == 3 {
			for _, server := range cluster.Servers[:3] {
				if err := raw(t, server).ScriptFlush(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if fresh, err := s.Accept(t.Context(), task.Delivery{ID: guid, Event: "issues", Body: []byte("{}")}); err != nil || !fresh {
			t.Errorf("delivery %s: %v, %v", guid, fresh, err)
		}
	}
}
