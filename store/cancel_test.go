package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"sam/task"
)

func TestWhatIsNotWantedIsClaimedAtOnceButNotFromALiveNode(t *testing.T) {
	s, server := open(t)
	linkNode(t, s, 5)
	running := placed(t, s, spec(1))
	behind := spec(2) // of the same thread
	behind.Thread = running.Thread
	create(t, s, behind)
	looking := spec(3)
	looking.Thread = task.IssueThread(7, 3)
	create(t, s, looking)
	was := claim(t, s, looking.ID)
	for _, id := range []task.ID{running.ID, behind.ID, looking.ID} {
		if done, err := s.Cancel(t.Context(), id, "why"); err != nil || !done {
			t.Fatalf("cancel %s: %v, %v", id, done, err)
		}
		if done, err := s.Cancel(t.Context(), id, "another why"); err != nil || done {
			t.Errorf("cancelled twice: %v, %v", done, err)
		}
	}
	if _, err := s.Claim(t.Context(), running.ID); why(t, err) != "busy" {
		t.Errorf("taken from its node before that could stop it: %v", err)
	}
	if got := claim(t, connect(t, server), behind.ID); got.State != task.Queued || got.Cancel != "why" {
		t.Errorf("the one behind it: %+v", got)
	}
	if got := claim(t, connect(t, server), looking.ID); got.State != task.Placing || got.Epoch != was.Epoch+1 {
		t.Errorf("the one that a runner looks for a node for: %+v", got)
	}
	if err := s.Place(t.Context(), was.Task, "local", task.Command{}, task.Change{}); !errors.Is(err, task.ErrStale) {
		t.Errorf("placed all the same: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told []task.CommandKind
	if err := s.FollowCommands(ctx, "local", func(c task.Command) error {
		if told = append(told, c.Kind); len(told) == 2 {
			cancel()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []task.CommandKind{task.CommandStart, task.CommandStop}) {
		t.Errorf("the node was told %v", told)
	}
}

func TestATaskThatIsCancelledWhileARunnerHoldsItIsNotPlaced(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	create(t, s, spec(1))
	c := claim(t, s, spec(1).ID)
	if _, err := s.Cancel(t.Context(), c.ID, "why"); err != nil {
		t.Fatal(err)
	}
	err := s.Place(t.Context(), c.Task, "local", task.Command{Kind: task.CommandStart, Task: c.ID, Epoch: c.Epoch}, task.Change{})
	if !errors.Is(err, task.ErrStale) {
		t.Errorf("placed: %v", err)
	}
	if nodes, err := s.Nodes(t.Context()); err != nil || len(nodes[0].Tasks) != 0 {
		t.Errorf("it keeps a slot: %+v, %v", nodes, err)
	}
}
