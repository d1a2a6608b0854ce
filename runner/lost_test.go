package runner_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"sam/task"
)

// says stores events of the present attempt, as its node does.
func (c *clocked) says(t *testing.T, id task.ID, events ...task.Event) {
	t.Helper()
	now := c.read(t, id)
	run := make([]task.Numbered, len(events))
	for i, e := range events {
		e.Seq = now.Last + int64(i) + 1
		encoded, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		run[i] = task.Numbered{Seq: e.Seq, JSON: encoded}
	}
	if _, err := c.AppendEvents(t.Context(), id, now.Epoch, now.Node, run); err != nil {
		t.Fatal(err)
	}
	if err := c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{Started: true, Spoke: true}, nil); err != nil {
		t.Fatal(err)
	}
}

// beats keeps a node and its attempt alive for a time, as its link does.
func (c *clocked) beats(t *testing.T, id task.ID, d time.Duration) {
	t.Helper()
	for ; d > 0; d -= task.NodeBeat {
		c.pass(task.NodeBeat)
		now := c.read(t, id)
		if err := c.NodeBeat(t.Context(), now.Node, c.links[now.Node], task.Vitals{}, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.RenewFor(t.Context(), now.Node, id, now.Epoch); err != nil {
			t.Fatal(err)
		}
		c.Advance(t.Context(), id)
		if c.read(t, id).Epoch != now.Epoch {
			return
		}
	}
}

func TestALostNodeIsTriedOnceMoreThenTheTaskFailsAndSaysSo(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	first := c.read(t, id)
	c.pass(task.NodeSilence - time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.Epoch != first.Epoch {
		t.Fatalf("taken from a node that was silent for less than %s: %+v", task.NodeSilence, got)
	}
	c.pass(2 * time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Placing || got.Attempts != 1 {
		t.Fatalf("placed on a node that is silent: %+v", got)
	}
	c.link(t) // it is back, and the only one
	c.Advance(t.Context(), id)
	again := c.read(t, id)
	if again.State != task.Preparing || again.Epoch <= first.Epoch || again.Attempts != 2 {
		t.Fatalf("after the silence: %+v", again)
	}
	if _, err := c.AppendEvents(t.Context(), id, first.Epoch, "local", nil); !errors.Is(err, task.ErrStale) {
		t.Errorf("the lost attempt still writes: %v", err)
	}
	c.pass(task.NodeSilence + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Failed || !strings.Contains(got.Failure, "attempt 2 of 2") || strings.Contains(got.Failure, "last that was heard") {
		t.Errorf("after the second silence: %+v", got)
	}
}

func TestAnAttemptThatItsNodeLostIsPlacedAgainAtOnce(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	id := c.ask(t, 1)
	c.ends(t, id, task.End{Outcome: task.Lost, Reason: "The node's agent process restarted."})
	if got := c.read(t, id); got.State != task.Preparing || got.Attempts != 2 {
		t.Errorf("after a restart of the node: %+v", got)
	}
}

func TestALostTaskGoesToAnotherNodeWhereThereIsOne(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 3)
	id := c.ask(t, 1)
	if got := c.read(t, id); got.Node != "local" {
		t.Fatalf("placed on %s", got.Node)
	}
	c.pass(task.NodeSilence + time.Second)
	c.linkAs(t, "local", 3) // it is back before anybody looks, and has more room than the other
	c.linkAs(t, "other", 1)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.Node != "other" || got.State != task.Preparing || got.Attempts != 2 || got.Avoid != "" {
		t.Errorf("the second attempt: %+v", got)
	}
	talk, _, err := c.Conversation(t.Context(), 7, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	if last := talk[len(talk)-1]; last.Kind != task.EntryStarted || last.Text != "Placed on other once more: the attempt on local was lost" {
		t.Errorf("the conversation says %+v", last)
	}
}

func TestATaskThatIsLostTwiceTellsTheLastThatWasHeardOfIt(t *testing.T) {
	c := newClocked(t)
	c.linkAs(t, "local", 1)
	c.linkAs(t, "other", 1)
	id := c.ask(t, 1)
	c.pass(task.NodeSilence + time.Second)
	c.linkAs(t, "other", 1)
	c.Advance(t.Context(), id)
	c.says(t, id,
		task.Event{Kind: task.Thought, Text: "I had better not say this."},
		task.Event{Kind: task.Said, Text: "I run the tests.\n\n" + strings.Repeat("x", 300)},
		task.Event{Kind: task.ToolStarted, Tool: &task.Tool{ID: "1", Name: "Bash", Title: "go test ./..."}})
	c.pass(task.NodeSilence + time.Second)
	c.Advance(t.Context(), id)
	got := c.read(t, id)
	want := "The last that was heard of it:\n\n> I run the tests.\n> " + strings.Repeat("x", 200) + "…\n> Bash go test ./..."
	if got.State != task.Failed || !strings.HasSuffix(got.Failure, want) || strings.Contains(got.Failure, "not say this") {
		t.Errorf("failed with %q", got.Failure)
	}
}

func TestAnAgentThatLivesAndSaysNothingIsStopped(t *testing.T) {
	c := newClocked(t)
	c.link(t)
	c.Bounds.Silence = 5 * time.Minute
	id := c.ask(t, 1)
	first := c.read(t, id)
	c.beats(t, id, 4*time.Minute)
	c.says(t, id, task.Event{Kind: task.Retried, Text: "the model is overloaded"}) // asking again is a sign of life
	c.beats(t, id, 4*time.Minute+50*time.Second)
	if got := c.read(t, id); got.State != task.Running || got.Epoch != first.Epoch {
		t.Fatalf("before the silence is over: %+v", got)
	}
	c.beats(t, id, 30*time.Second)
	got := c.read(t, id)
	if got.State != task.Failed || got.Attempts != 1 || !strings.Contains(got.Failure, "gave no sign for 5m0s") || !strings.Contains(got.Failure, "overloaded") {
		t.Errorf("after the silence: %s %q", got.State, got.Failure)
	}
	if err := c.RenewFor(t.Context(), "local", id, first.Epoch); !errors.Is(err, task.ErrStale) {
		t.Errorf("its node may go on: %v", err)
	}
}
