package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sam/agent/wire"
	"sam/store"
	"sam/task"
)

// started links the node, places a task on it and takes its start in.
func (w *nodeWorld) started() (*peer, task.Task) {
	w.t.Helper()
	p, _ := w.link("local")
	placed := w.place(1, "local")
	p.say(wire.Frame{Type: wire.TypeDone, Done: &wire.Done{Command: p.hear(wire.TypeStart).Start.Command}})
	return p, placed
}

func TestEventsAreStoredOnceWithoutGapsAndAcknowledgedAsFarAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	ref := refOf(placed)
	for _, c := range []struct {
		what   string
		events []task.Event
		last   int64
	}{
		{"a run", []task.Event{said(1), said(2), said(3)}, 3},
		{"the same again", []task.Event{said(1), said(2), said(3)}, 3},
		{"one that overlaps", []task.Event{said(3), said(4)}, 4},
		{"one that comes too early", []task.Event{said(6), said(7)}, 4},
		{"one with a gap in it", []task.Event{said(5), said(7)}, 5},
		{"an old one", []task.Event{said(2)}, 5},
		{"an empty one", nil, 5},
		{"what was missing", []task.Event{said(6), said(7)}, 7},
	} {
		p.events(ref, c.events...)
		p.acked(ref, c.last)
		stored := w.stored(placed.ID)
		if want := slices.Collect(func(yield func(int64) bool) {
			for n := range c.last {
				if !yield(n + 1) {
					return
				}
			}
		}); !slices.Equal(stored, want) {
			t.Errorf("%s: %v is stored, acknowledged is %d", c.what, stored, c.last)
		}
	}
}

func TestEventsOfAnAttemptThatIsNotTheNodesAreDroppedAndNotStored(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	other, _ := w.link("other")
	stale := refOf(placed)
	again := w.placeAgain(w.move(w.lose(placed), task.Placing), "local")
	p.hear(wire.TypeStart)
	for what, c := range map[string]struct {
		p   *peer
		ref wire.Ref
	}{
		"the attempt before":      {p, stale},
		"an attempt to come":      {p, wire.Ref{Task: string(again.ID), Epoch: again.Epoch + 1}},
		"a task that nobody made": {p, wire.Ref{Task: "tnone", Epoch: 1}},
		"another node's":          {other, refOf(again)},
	} {
		c.p.events(c.ref, said(1), finished(2))
		c.p.dropped(c.ref)
		if got := w.stored(placed.ID); len(got) != 0 {
			t.Errorf("%s: %v is stored", what, got)
		}
	}
	if got := w.read(placed.ID); got.State != task.Preparing || got.Last != 0 {
		t.Errorf("the task is %s, its last event %d", got.State, got.Last)
	}
	p.events(refOf(again), said(1))
	p.acked(refOf(again), 1) // the link goes on
}

func TestAnInvalidEventEndsTheLinkAndNothingOfItsRunIsStored(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	_, placed := w.started()
	for what, invalid := range map[string]string{
		"no known kind":       `{"seq":2,"kind":"danced"}`,
		"a kind without end":  `{"seq":2,"kind":"` + strings.Repeat("é", 2000) + `"}`,
		"no number":           `{"kind":"said","text":"hello"}`,
		"a number below zero": `{"seq":-2,"kind":"said","text":"hello"}`,
		"no body":             `{"seq":2,"kind":"said"}`,
		"no object":           `"said"`,
		"more than fits":      `{"seq":2,"kind":"said","text":"` + strings.Repeat("x", task.MaxEvent) + `"}`,
	} {
		t.Run(what, func(t *testing.T) {
			p, _ := w.link("local")
			good, err := json.Marshal(said(1))
			if err != nil {
				t.Fatal(err)
			}
			p.say(wire.Frame{Type: wire.TypeEvents, Events: &wire.Events{Ref: refOf(placed), Items: []json.RawMessage{good, json.RawMessage(invalid)}}})
			p.refused("task " + string(placed.ID) + ": not an event")
			if stored := w.stored(placed.ID); len(stored) != 0 {
				t.Errorf("%v is stored", stored)
			}
		})
	}
}

// owed lists the targets of what is owed to the installation.
func (w *nodeWorld) owed() []string {
	w.t.Helper()
	var targets []string
	for {
		e, err := w.store.TakeOwed(w.t.Context(), task.OwedTo{Partition: "0", Installation: testInstallation})
		if errors.Is(err, task.ErrNotFound) {
			return targets
		}
		if err != nil {
			w.t.Fatal(err)
		}
		targets = append(targets, e.Target)
	}
}

// isDue says whether somebody is to look at the task now.
func (w *nodeWorld) isDue(id task.ID) bool {
	w.t.Helper()
	due, err := w.store.Due(w.t.Context(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.Contains(due, id)
}

func TestEventsMoveTheTaskOn(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	ref := refOf(placed)

	p.events(ref, stepped(1, task.StepMirror), stepped(2, task.StepWorkspace))
	p.acked(ref, 2)
	if got, owed := w.read(placed.ID), w.owed(); got.State != task.Preparing || len(owed) != 0 {
		t.Errorf("before the agent starts the task is %s and %v is owed", got.State, owed)
	}

	p.events(ref, stepped(3, task.StepAgent))
	p.acked(ref, 3)
	got, owed := w.read(placed.ID), w.owed()
	if got.State != task.Running || got.At[task.Running].IsZero() || !got.FirstEvent.IsZero() {
		t.Errorf("once the agent has started the task is %s since %v, its first event came at %v", got.State, got.At[task.Running], got.FirstEvent)
	}
	if want := task.StatusEffect(got.Spec).Target; !slices.Equal(owed, []string{want}) {
		t.Errorf("%v is owed, want %s", owed, want)
	}

	p.events(ref, said(4))
	p.acked(ref, 4)
	first := w.read(placed.ID).FirstEvent
	if first.IsZero() {
		t.Error("the time of the agent's first event is not noted")
	}
	p.events(ref, said(5))
	p.acked(ref, 5)
	if got := w.read(placed.ID); !got.FirstEvent.Equal(first) || w.isDue(placed.ID) {
		t.Errorf("the first event's time becomes %v; due: %v", got.FirstEvent, w.isDue(placed.ID))
	}

	p.events(ref, finished(6))
	p.acked(ref, 6)
	if !w.isDue(placed.ID) {
		t.Error("nobody is to look at the task whose agent has finished")
	}
	c, err := w.store.Claim(t.Context(), placed.ID)
	if err != nil || c.State != task.Publishing || c.End == nil || c.End.Headline != "Limit requests" {
		t.Errorf("claimed as %s with end %+v, %v", c.State, c.End, err)
	}
}

func TestAnAgentThatFinishesWakesWhoeverWaitsForTasks(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	p.events(refOf(placed), stepped(1, task.StepAgent))
	p.acked(refOf(placed), 1)

	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ended := make(chan task.Claimed, 1)
	consumed := make(chan error, 1)
	go func() {
		consumed <- w.store.Consume(ctx, store.Handlers{
			Delivery: func(context.Context, task.Delivery) error { return nil },
			Owed:     func(context.Context, task.OwedTo) {},
			Task: func(ctx context.Context, id task.ID) {
				if c, err := w.store.Claim(ctx, id); err == nil {
					ended <- c
				}
			},
		})
	}()
	p.events(refOf(placed), finished(2))
	select {
	case c := <-ended:
		if c.ID != placed.ID || c.State != task.Publishing {
			t.Errorf("woken for %s, which is %s", c.ID, c.State)
		}
	case <-ctx.Done():
		t.Error("nobody was woken")
	}
	cancel()
	if err := <-consumed; err != nil {
		t.Error(err)
	}
}

func TestWhatIsNotStoredYetDoesNotMoveTheTask(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	ref := refOf(placed)
	p.events(ref, stepped(3, task.StepAgent), finished(4)) // too early
	p.acked(ref, 0)
	p.events(ref, stepped(1, task.StepMirror), stepped(3, task.StepAgent), said(4), finished(5)) // a gap
	p.acked(ref, 1)
	if got := w.read(placed.ID); got.State != task.Preparing || !got.FirstEvent.IsZero() || w.isDue(placed.ID) {
		t.Errorf("the task is %s, its first event at %v, due: %v", got.State, got.FirstEvent, w.isDue(placed.ID))
	}
	p.events(ref, stepped(2, task.StepAgent), said(3), finished(4))
	p.acked(ref, 4)
	if got := w.read(placed.ID); got.State != task.Running || got.FirstEvent.IsZero() || !w.isDue(placed.ID) {
		t.Errorf("the task is %s, its first event at %v, due: %v", got.State, got.FirstEvent, w.isDue(placed.ID))
	}
}

func TestBeatsKeepTheNodeAndItsAttemptsAlive(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t) // the clock of a real one cannot be moved
	began := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	m.SetTime(began)
	w := newNodeWorldOn(t, m.Addr(), func(s *store.Store) Store { return s })
	p, _ := w.link("local")
	kept, left := w.place(1, "local"), w.place(2, "local")
	p.hear(wire.TypeStart)
	p.hear(wire.TypeStart)
	nobody := wire.Ref{Task: "tnone", Epoch: 1}

	m.SetTime(began.Add(40 * time.Second))
	p.say(wire.Frame{Type: wire.TypeBeat, Beat: &wire.Beat{Running: []wire.Ref{refOf(kept), nobody}}})
	p.dropped(nobody) // the last of the beat
	if n := w.node("local"); !n.Seen.Equal(began.Add(40 * time.Second)) {
		t.Errorf("the node was seen at %v", n.Seen)
	}

	m.SetTime(began.Add(80 * time.Second))
	var busy task.NotYoursError
	if _, err := w.store.Claim(t.Context(), kept.ID); w.isDue(kept.ID) || !errors.As(err, &busy) || busy.Why != "busy" {
		t.Errorf("a task that its node works on is up for the taking: %v", err)
	}
	if !w.isDue(left.ID) {
		t.Error("a task that no beat names keeps its lease")
	}
	m.SetTime(began.Add(86 * time.Second))
	if !w.isDue(kept.ID) {
		t.Error("a lease does not run out")
	}
}

func TestABeatDropsTheAttemptsThatAreAnothers(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, placed := w.started()
	other, _ := w.link("other")
	stale := refOf(placed)
	again := refOf(w.placeAgain(w.move(w.lose(placed), task.Placing), "local"))
	p.hear(wire.TypeStart)

	p.say(wire.Frame{Type: wire.TypeBeat, Beat: &wire.Beat{Running: []wire.Ref{again, stale}}})
	p.dropped(stale)
	other.say(wire.Frame{Type: wire.TypeBeat, Beat: &wire.Beat{Running: []wire.Ref{again}}})
	other.dropped(again)
}
