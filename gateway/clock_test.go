package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

func TestNothingDependsOnANodesClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"two hours ahead": 2 * time.Hour, "two hours behind": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newNodeWorld(t)
			p, placed := w.started()
			ref := refOf(placed)
			begun := stepped(1, task.StepAgent)
			begun.At = time.Now().Add(off)
			late := said(2)
			late.At = time.Now().Add(-off) // and it is set while the agent works
			p.events(ref, begun, late)
			p.acked(ref, 2)
			before := w.read(placed.ID)
			p.say(wire.Frame{Type: wire.TypeBeat, Beat: &wire.Beat{Running: []wire.Ref{ref}, Clock: time.Now().Add(off)}})
			p.events(ref, said(3))
			p.acked(ref, 3) // so the beat was taken before it
			got := w.read(placed.ID)
			if got.State != task.Running || got.Epoch != before.Epoch || got.Last != 3 {
				t.Errorf("the task is %+v", got)
			}
			for state, at := range got.At {
				if time.Since(at).Abs() > time.Minute {
					t.Errorf("it came to %s at %s, which is the node's time", state, at)
				}
			}
			if time.Since(got.FirstEvent).Abs() > time.Minute || time.Since(got.Progressed).Abs() > time.Minute {
				t.Errorf("its events came at %s and %s, which is the node's time", got.FirstEvent, got.Progressed)
			}
			if seen := w.node("local").Seen; time.Since(seen).Abs() > time.Minute {
				t.Errorf("the node was seen at %s, which is its own time", seen)
			}
		})
	}
}

func TestAClockThatIsOffIsLoggedWhenItIsNews(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	ctx := zerolog.New(&log).WithContext(t.Context())
	metrics := prometheus.NewRegistry()
	c := newClocks(metrics)
	off := false
	for _, ahead := range []time.Duration{0, 2 * time.Hour, 2 * time.Hour, time.Second, -2 * time.Hour} {
		off = c.note(ctx, "local", time.Now().Add(ahead), off)
		if want := ahead.Abs() > clockOff; off != want {
			t.Errorf("%s ahead: off is %v", ahead, off)
		}
	}
	families, err := metrics.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "sam_node_clock_offset_seconds" {
		t.Fatalf("measured %v, %v", families, err)
	}
	if got := families[0].GetMetric()[0].GetGauge().GetValue(); got > -7199 || got < -7201 {
		t.Errorf("the last beat's clock counts as %.1f s ahead", got)
	}
	if again := c.note(ctx, "local", time.Time{}, true); !again {
		t.Error("a beat without a clock is taken for one that is right")
	}
	if n := strings.Count(log.String(), "clock is off"); n != 2 {
		t.Errorf("logged %d times, want 2: %s", n, log.String())
	}
}
