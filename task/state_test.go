package task_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sam/task"
)

// drawn is the picture in the package's documentation, arrow by arrow, without those to failed and cancelled.
var drawn = map[task.State][]task.State{
	task.Queued:     {task.Placing},
	task.Placing:    {task.Preparing},
	task.Preparing:  {task.Running, task.Placing},
	task.Running:    {task.Publishing, task.Waiting, task.Placing},
	task.Waiting:    {task.Running, task.Queued},
	task.Publishing: {task.Succeeded},
}

func TestOnlyTheMovesOfTheDrawingAreLegal(t *testing.T) {
	strange := []task.State{"", "Queued", "done"}
	for _, from := range slices.Concat(task.States(), strange) {
		for _, to := range slices.Concat(task.States(), strange) {
			want := slices.Contains(drawn[from], to)
			if drawn[from] != nil && (to == task.Failed || to == task.Cancelled) {
				want = true
			}
			if got := task.CanMove(from, to); got != want {
				t.Errorf("from %q to %q: legal is %v, want %v", from, to, got, want)
			}
			err := task.CheckMove(from, to)
			if want != (err == nil) {
				t.Errorf("CheckMove(%q, %q): %v", from, to, err)
			}
			if moved := (task.MoveError{}); err != nil && (!errors.As(err, &moved) || moved.From != from || moved.To != to) {
				t.Errorf("CheckMove(%q, %q) does not say which move: %v", from, to, err)
			}
		}
	}
}

func TestAnyWalkOfLegalMovesEndsInAFinalStateOrCanGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := task.Queued
		for range rapid.IntRange(0, 50).Draw(t, "steps") {
			var next []task.State
			for _, to := range task.States() {
				if task.CanMove(at, to) {
					next = append(next, to)
				}
			}
			if at.Final() != (len(next) == 0) {
				t.Fatalf("%s: final is %v, and %v can follow", at, at.Final(), next)
			}
			if (task.Deadline(at) == 0) != at.Final() {
				t.Fatalf("%s: final is %v, its deadline is %s", at, at.Final(), task.Deadline(at))
			}
			if at.Final() {
				return
			}
			if !slices.Contains(next, task.Failed) || !slices.Contains(next, task.Cancelled) {
				t.Fatalf("%s can neither fail nor be cancelled: only %v", at, next)
			}
			at = rapid.SampledFrom(next).Draw(t, "next")
			if !at.Known() {
				t.Fatalf("a legal move leads to %q, which is no state", at)
			}
		}
	})
}

func TestEveryStateCanBeReached(t *testing.T) {
	reached := map[task.State]bool{task.Queued: true}
	for range task.States() {
		for from := range reached {
			for _, to := range task.States() {
				if task.CanMove(from, to) {
					reached[to] = true
				}
			}
		}
	}
	for _, s := range task.States() {
		if !reached[s] {
			t.Errorf("no walk leads to %s", s)
		}
	}
}
