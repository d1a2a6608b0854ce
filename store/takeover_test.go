package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"sam/store"
	"sam/task"
)

// takenOver is within which time another replica is at everything that a killed one held.
const takenOver = 15 * time.Second

func TestAReplicaThatIsKilledIsTakenOverInFifteenSeconds(t *testing.T) {
	t.Parallel()
	const tries = 3 // others share the disk and the processors: the best counts
	for range tries {
		if p99 := takeOver(t); p99 <= takenOver || t.Failed() {
			return
		}
	}
	t.Errorf("p99 is more than %s", takenOver)
}

// takeOver has a replica be killed, and returns within which time 99 of 100 things that it held were taken over.
func takeOver(t *testing.T) time.Duration {
	t.Helper()
	doomed, server := open(t)
	const each = 40

	// What the doomed one holds when it dies: tasks under a lease that it has just renewed, deliveries that it has read and
	// not finished, effects that it has taken and not delivered.
	held := map[string]bool{}
	for n := range int64(each) {
		sp := spec(n)
		sp.Thread = task.IssueThread(7, int(n)+1)
		create(t, doomed, sp)
		claim(t, doomed, sp.ID)
		held["task "+string(sp.ID)] = true
	}
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	var reading sync.WaitGroup
	begun := make(chan string, each)
	for n := range each {
		if fresh, err := doomed.Accept(t.Context(), task.Delivery{ID: fmt.Sprintf("delivery-%d", n), Event: "issues", Body: []byte("{}")}); err != nil || !fresh {
			t.Fatalf("accept: %v, %v", fresh, err)
		}
	}
	reading.Go(func() {
		_ = doomed.Consume(ctx, store.Handlers{
			Delivery: func(_ context.Context, d task.Delivery) error {
				begun <- d.ID
				<-ctx.Done() // it dies in the middle of this
				return errors.New("killed")
			},
			Task: func(context.Context, task.ID) {},
			Owed: func(context.Context, task.OwedTo) {},
		})
	})
	for range 32 { // as many as it handles at once
		held["delivery "+<-begun] = true
	}
	for {
		o, err := doomed.TakeOwed(t.Context(), task.OwedTo{Partition: "0", Installation: 3})
		if errors.Is(err, task.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		held["effect "+o.Target] = true
	}
	kill()
	reading.Wait()
	died := time.Now()

	var mu sync.Mutex
	took := map[string]time.Duration{}
	all := make(chan struct{})
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		if _, before := took[what]; before || !held[what] {
			return
		}
		if took[what] = time.Since(died); len(took) == len(held) {
			close(all)
		}
	}
	heir := connect(t, server)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var consuming sync.WaitGroup
	defer consuming.Wait()
	defer stop()
	consuming.Go(func() {
		err := heir.Consume(ctx, store.Handlers{
			Delivery: func(_ context.Context, d task.Delivery) error { note("delivery " + d.ID); return nil },
			Task: func(ctx context.Context, id task.ID) {
				if _, err := heir.Claim(ctx, id); err == nil {
					note("task " + string(id))
				}
			},
			Owed: func(ctx context.Context, to task.OwedTo) {
				for {
					o, err := heir.TakeOwed(ctx, to)
					if err != nil {
						return
					}
					note("effect " + o.Target)
				}
			},
		})
		if err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	select {
	case <-all:
	case <-time.After(time.Minute):
	}
	mu.Lock()
	defer mu.Unlock()
	var times []time.Duration
	for what := range held {
		in, ok := took[what]
		if !ok {
			t.Errorf("nobody took over %s", what)
			continue
		}
		times = append(times, in)
	}
	slices.Sort(times)
	if len(times) == 0 {
		return 0
	}
	p99 := times[len(times)*99/100]
	t.Logf("%d things held by a killed replica were taken over, half of them in %s, p99 %s", len(times), times[len(times)/2], p99)
	return p99
}
