package store_test

import (
	"context"
	"errors"
	"fmt"

	"sam/task"
)

func (f *fleet) each(do func(task.Spec) error) error {
	for r := range int64(repositories) {
		for n := range int64(asksEach) {
			if err := do(asked(r+1, n+1)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fleet) unfinished(ctx context.Context) (left []string, err error) {
	return left, f.each(func(sp task.Spec) error {
		t, err := f.stores[0].Task(ctx, sp.ID)
		if errors.Is(err, task.ErrNotFound) || err == nil && !t.State.Final() {
			left = append(left, fmt.Sprintf("%s %s/%d", sp.ID, t.State, t.Epoch))
			return nil
		}
		return err
	})
}

func (f *fleet) untold(ctx context.Context) (left []string, err error) {
	owing, err := f.stores[0].Owing(ctx)
	for _, o := range owing {
		left = append(left, fmt.Sprint(o))
	}
	return left, err
}

func (f *fleet) unreleased(ctx context.Context) (left []string, err error) {
	nodes, err := f.stores[0].Nodes(ctx)
	for _, n := range nodes {
		for _, id := range n.Tasks {
			left = append(left, string(id))
		}
	}
	return left, err
}

// check looks for every promise in what is left.
func (f *fleet) check() {
	t, s, ctx := f.t, f.stores[1], f.t.Context()
	for ref, times := range f.placed {
		if times > 1 {
			t.Errorf("%s was placed %d times", ref, times)
		}
	}
	entries := map[string]int{}
	for r := range int64(repositories) {
		all, _, err := s.Conversation(ctx, r+1, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			entries[string(e.Kind)+" "+string(e.Task)]++
		}
	}
	if err := f.each(func(sp task.Spec) error {
		got, err := s.Task(ctx, sp.ID)
		if err != nil {
			return err
		}
		if got.State != task.Succeeded || got.Head != "commit of "+string(sp.ID) || f.closed[sp.ID] == 0 {
			t.Errorf("task %s is %s with %q on its branch, its end told %d times", sp.ID, got.State, got.Head, f.closed[sp.ID])
		}
		if entries["request "+string(sp.ID)] != 1 || entries["result "+string(sp.ID)] != 1 {
			t.Errorf("the conversation has %d requests and %d results of task %s", entries["request "+string(sp.ID)], entries["result "+string(sp.ID)], sp.ID)
		}
		events, err := s.Events(ctx, sp.ID, 0, 1000)
		if err != nil {
			return err
		}
		for i, e := range events {
			if e.Seq != int64(i+1) {
				t.Errorf("event %d of task %s has number %d", i+1, sp.ID, e.Seq)
			}
		}
		if int64(len(events)) != got.Last || len(events) < batches*batchEvents {
			t.Errorf("task %s has %d events, and says %d", sp.ID, len(events), got.Last)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if projects, err := s.Projects(ctx); err != nil || len(projects) != repositories {
		t.Errorf("%d projects, %v", len(projects), err)
	}
}
