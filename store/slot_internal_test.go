package store

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

func TestASlotIsGivenBackWhenItsTaskIsNotThere(t *testing.T) {
	s, _ := openInside(t)
	ctx := t.Context()
	if err := s.EnsureNode(ctx, task.Node{Name: "local", Provider: "local", Slots: 9}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NodeLinked(ctx, task.Node{Name: "local", Slots: 9}); err != nil {
		t.Fatal(err)
	}
	p := s.partitions.node("local")
	record := func(id task.ID, fields ...string) task.Task {
		t.Helper()
		if len(fields) > 0 {
			if err := s.rdb.HSet(ctx, p.task(id), fields).Err(); err != nil {
				t.Fatal(err)
			}
		}
		return task.Task{Spec: task.Spec{ID: id, Account: 5}, Epoch: 3}
	}
	for _, one := range []task.Task{
		record("tplacing", "state", "placing", "epoch", "3"),
		record("trunning", "state", "running", "epoch", "3", "node", "local"),
		record("twaiting", "state", "waiting", "epoch", "3", "node", "local"),
		record("tgone"),
		record("tagain", "state", "placing", "epoch", "4"),
		record("tmoved", "state", "running", "epoch", "3", "node", "elsewhere"),
		record("tfinal", "state", "failed", "epoch", "3", "node", "local"),
		record("tqueued", "state", "queued", "epoch", "3", "node", "local"),
	} {
		for range 2 { // once more is no second
			if err := s.takeSlot(ctx, one, "local"); err != nil {
				t.Fatalf("%s: %v", one.ID, err)
			}
		}
	}
	if err := s.rdb.ZAdd(ctx, p.starved(), redis.Z{Score: 1, Member: "tstarved"}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.sweepSlots(ctx, p); err != nil {
		t.Fatal(err)
	}
	nodes, err := s.Nodes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(nodes[0].Tasks); got != 3 {
		t.Errorf("slots are taken for %v", nodes[0].Tasks)
	}
	if woken := s.rdb.XRevRangeN(ctx, p.work(), "+", "-", 1).Val(); len(woken) != 1 || woken[0].Values["id"] != "tstarved" {
		t.Errorf("woken was %v", woken)
	}
	old := record("trunning")
	old.Epoch = 2
	if err := s.takeSlot(ctx, old, "local"); !errors.Is(err, task.ErrStale) {
		t.Errorf("an older epoch took a slot: %v", err)
	}
}

func TestWhoFollowsATaskIsWokenByEveryStep(t *testing.T) {
	s, _ := openInside(t)
	ctx := t.Context()
	if err := s.EnsureNode(ctx, task.Node{Name: "local", Provider: "local", Slots: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.NodeLinked(ctx, task.Node{Name: "local", Slots: 1}); err != nil {
		t.Fatal(err)
	}
	sp := task.Spec{ID: task.NewID(7, task.CommentSource(1), 0), Project: 7, Thread: task.IssueThread(7, 1), Account: 5}
	if _, err := s.CreateTask(ctx, sp, task.Change{}); err != nil {
		t.Fatal(err)
	}
	p := s.partitions.task(sp.ID)
	woken, stop, err := s.tails[p].subscribe(ctx, p.changed(sp.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var now task.Task
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"claim", func() error { _, err := s.Claim(ctx, sp.ID); return err }},
		{"starve", func() error { return s.Starve(ctx, now, 0, task.Change{}) }},
		{"claim again", func() error { _, err := s.Claim(ctx, sp.ID); return err }},
		{"place", func() error {
			return s.Place(ctx, now, "local", task.Command{}, task.Change{Fields: map[task.Field]string{task.FieldBranch: "b"}})
		}},
		{"start", func() error { return s.NoteProgress(ctx, now, now.Epoch, task.Progress{Started: true}, nil) }},
		{"push", func() error { return s.RecordPush(ctx, sp.ID, now.Epoch, "b", "c") }},
		{"end", func() error {
			return s.NoteProgress(ctx, now, now.Epoch, task.Progress{End: &task.End{Outcome: task.Done}}, nil)
		}},
		{"claim for publishing", func() error { _, err := s.Claim(ctx, sp.ID); return err }},
		{"move", func() error { return s.Move(ctx, now, task.Succeeded, task.Change{}) }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		<-woken
		if now, err = s.Task(ctx, sp.ID); err != nil {
			t.Fatal(err)
		}
	}
}
