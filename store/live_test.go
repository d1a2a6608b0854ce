package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sam/task"
)

func TestFollowEventsHandsOverWhatIsThereAndWhatComes(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	got := placed(t, s, spec(1))
	appendEvents := func(seqs ...int64) {
		var all []task.Numbered
		for _, seq := range seqs {
			all = append(all, event(t, seq))
		}
		if _, err := s.AppendEvents(t.Context(), got.ID, got.Epoch, "local", all); err != nil {
			t.Fatal(err)
		}
	}
	appendEvents(1, 2, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var seen []int64
	err := s.FollowEvents(ctx, got.ID, 1, func(n task.Numbered) error {
		seen = append(seen, n.Seq)
		switch n.Seq {
		case 3:
			appendEvents(4)
		case 4:
			cancel()
		}
		return nil
	})
	if err != nil || !slices.Equal(seen, []int64{2, 3, 4}) {
		t.Errorf("saw %v, %v", seen, err)
	}
	if first, last, err := s.EventsLeft(t.Context(), got.ID); err != nil || first != 1 || last != 4 {
		t.Errorf("left are %d to %d, %v", first, last, err)
	}
}

func TestFollowTaskHandsOverEveryStateThatLastsAndEndsWithTheFinalOne(t *testing.T) {
	s, _ := open(t)
	linkNode(t, s, 1)
	create(t, s, spec(1))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var states []task.State
	err := s.FollowTask(ctx, spec(1).ID, func(now task.Task) error {
		if len(states) > 0 && states[len(states)-1] == now.State {
			return nil
		}
		states = append(states, now.State)
		switch now.State {
		case task.Queued:
			_, err := s.Claim(ctx, now.ID)
			return err
		case task.Placing:
			return s.Move(ctx, now, task.Failed, task.Change{Fields: map[task.Field]string{task.FieldFailure: "no machine"}})
		}
		return nil
	})
	if err != nil || !slices.Equal(states, []task.State{task.Queued, task.Placing, task.Failed}) {
		t.Errorf("saw %v, %v", states, err)
	}
	if err := s.FollowTask(ctx, "tnone", func(task.Task) error { return nil }); !errors.Is(err, task.ErrNotFound) {
		t.Errorf("a task that is not there: %v", err)
	}
}

func TestTheConversationIsReadFromEitherEndWithPositions(t *testing.T) {
	s, _ := open(t)
	for i := range int64(5) {
		create(t, s, spec(i+1))
	}
	var forth, back []string
	if err := s.ReadConversation(t.Context(), 7, "0", 10, func(p string, _ task.Entry) error { forth = append(forth, p); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadConversationBack(t.Context(), 7, "", 10, func(p string, _ task.Entry) error { back = append(back, p); return nil }); err != nil {
		t.Fatal(err)
	}
	if slices.Reverse(back); len(forth) != 5 || !slices.Equal(forth, back) {
		t.Errorf("forth %v, back %v", forth, back)
	}
	first, last, err := s.ConversationLeft(t.Context(), 7)
	if err != nil || first != forth[0] || last != forth[4] {
		t.Errorf("left are %s to %s, %v", first, last, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var followed []string
	err = s.FollowConversationAfter(ctx, 7, forth[2], func(p string, _ task.Entry) error {
		if followed = append(followed, p); len(followed) == 2 {
			cancel()
		}
		return nil
	})
	if err != nil || !slices.Equal(followed, forth[3:]) {
		t.Errorf("followed %v, %v", followed, err)
	}
	tasks, err := s.TasksOf(t.Context(), 7, 3)
	if err != nil || len(tasks) != 3 || tasks[0].ID != spec(5).ID || tasks[2].ID != spec(3).ID {
		t.Errorf("the newest tasks: %v, %v", tasks, err)
	}
}

func TestWhoFollowsAQueuedTaskSeesItsNewWords(t *testing.T) {
	s, _ := open(t)
	create(t, s, spec(1))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	seen := errors.New("seen")
	err := s.FollowTask(ctx, spec(1).ID, func(got task.Task) error {
		switch got.Request {
		case "newer words":
			return seen
		default:
			_, err := s.Amend(ctx, got.ID, "newer words", time.Now(), task.Change{})
			return err
		}
	})
	if !errors.Is(err, seen) {
		t.Errorf("they were not handed over: %v", err)
	}
}
