package dashboard

import (
	"context"
	"testing"

	"sam/task"
)

// drain takes what there is for v, waiting until it has come to the event numbered last, and returns the numbers.
func drain(ctx context.Context, t *testing.T, v *viewer, last int64) []int64 {
	t.Helper()
	var seen []int64
	for {
		all, err := v.take(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.name == messageReset {
				t.Fatalf("reset at %s", m.vector)
			}
			if m.name == messageEntry {
				at, err := parseVector(m.vector)
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, at[m.topic].seq())
			}
		}
		if len(seen) > 0 && seen[len(seen)-1] >= last {
			return seen
		}
		if v.behind {
			continue
		}
		select {
		case <-v.signal:
		case <-ctx.Done():
			t.Fatalf("waited for event %d, saw %d", last, len(seen))
		}
	}
}

func TestASlowViewerHoldsNobodyUpAndMissesNothing(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	followed := []topic{{task: job.ID}}
	slow, ok := w.hub.join(ctx, followed, vector{})
	if !ok {
		t.Fatal("not joined")
	}
	defer slow.leave()
	fast, ok := w.hub.join(ctx, followed, vector{})
	if !ok {
		t.Fatal("not joined")
	}
	defer fast.leave()
	const n = 3*ringItems + 17
	for range n / 17 {
		w.put(t, t, job, said(17, "x")...)
	}
	w.put(t, t, job, said(n%17, "x")...)
	seen := drain(ctx, t, fast, n)
	f := slow.feeds[0]
	f.mu.Lock()
	held, bytes := len(f.ring), f.bytes
	f.mu.Unlock()
	if held > ringItems || bytes > ringBytes {
		t.Errorf("the ring holds %d items, %d bytes", held, bytes)
	}
	for name, got := range map[string][]int64{"fast": seen, "slow": drain(ctx, t, slow, n)} {
		if len(got) != n {
			t.Errorf("the %s viewer saw %d events, want %d", name, len(got), n)
		}
		for i, seq := range got {
			if seq != int64(i+1) {
				t.Fatalf("the %s viewer saw %d as the %dth", name, seq, i+1)
			}
		}
	}
}

func TestOneReaderServesEveryViewerAndEndsWithTheLast(t *testing.T) {
	w := start(t)
	job := w.placed(t, t, spec(1))
	followed := []topic{{task: job.ID}}
	var all []*viewer
	for range 20 {
		v, ok := w.hub.join(t.Context(), followed, vector{})
		if !ok {
			t.Fatal("not joined")
		}
		all = append(all, v)
	}
	if n := len(w.hub.feeds); n != 1 {
		t.Errorf("%d feeds for one topic", n)
	}
	w.put(t, t, job, task.Event{Kind: task.Said, Text: "once"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, v := range all {
		if got := drain(ctx, t, v, 1); len(got) != 1 {
			t.Errorf("saw %v", got)
		}
		v.leave()
	}
	if n := len(w.hub.feeds); n != 0 {
		t.Errorf("%d feeds with nobody there", n)
	}
}
