package runner_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sam/task"
)

func TestARunnersClaimIsRenewedToItsOwnLengthWhateverBecameOfTheAttempt(t *testing.T) {
	for name, over := range map[string]func(*testing.T, *clocked, task.Task){
		"done": func(t *testing.T, c *clocked, now task.Task) {
			if err := c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{Started: true, End: &task.End{Outcome: task.Done}}, nil); err != nil {
				t.Fatal(err)
			}
		},
		"lost by its node": func(t *testing.T, c *clocked, now task.Task) {
			if err := c.NoteProgress(t.Context(), now, now.Epoch, task.Progress{Started: true, End: &task.End{Outcome: task.Lost}}, nil); err != nil {
				t.Fatal(err)
			}
		},
		"lost with its node": func(_ *testing.T, c *clocked, _ task.Task) { c.pass(task.NodeSilence + time.Second) },
		"without a sign":     func(_ *testing.T, c *clocked, _ task.Task) { c.pass(task.AgentSilence + time.Second) },
		"not wanted, and not stopped by its node": func(t *testing.T, c *clocked, now task.Task) {
			c.cancel(t, now.ID)
			c.pass(task.StopWithin + time.Second)
		},
		"waiting, and not wanted": func(t *testing.T, c *clocked, now task.Task) {
			if err := c.Ask(t.Context(), now, now.Epoch, task.Question{ID: "q", Seq: 1, Text: "which?"}, task.Change{}); err != nil {
				t.Fatal(err)
			}
			c.cancel(t, now.ID)
			c.pass(task.StopWithin + time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClocked(t)
			c.link(t)
			id := c.ask(t, 1)
			over(t, c, c.read(t, id))
			other := c.again(t)
			mine, err := c.Claim(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				c.pass(task.Deadline(task.Placing) - time.Second)
				if err := c.Renew(t.Context(), mine.Task); err != nil {
					t.Fatal(err)
				}
				var not task.NotYoursError
				if _, err := other.Claim(t.Context(), id); !errors.As(err, &not) {
					t.Fatalf("claimed by another beside the one that renews: %v", err)
				}
			}
			c.pass(task.Deadline(task.Placing) + time.Second)
			if _, err := other.Claim(t.Context(), id); err != nil {
				t.Errorf("not to be had when the one that renewed is dead: %v", err)
			}
		})
	}
}

func TestAStepThatHangsDoesNotHoldUpAProcessThatIsStoppingAndIsTakenByAnother(t *testing.T) {
	c, id := unpublished(t)
	c.Bounds.Last = 10 * time.Millisecond
	c.pass(task.Deadline(task.Publishing) + time.Second)
	ctx, stop := context.WithCancel(t.Context())
	c.hub.down, c.hub.hangs = nil, stop
	c.Advance(ctx, id)
	if got := c.read(t, id); got.State != task.Publishing {
		t.Fatalf("a step that was cut short left %+v", got)
	}
	c.hub.hangs = nil
	c.pass(task.Deadline(task.Publishing) + time.Second)
	c.Advance(t.Context(), id)
	if got := c.read(t, id); got.State != task.Succeeded {
		t.Errorf("afterwards it is %s", got.State)
	}
}
