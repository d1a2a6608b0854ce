package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/store"
	"sam/task"
)

// wanting is a task of an account that wants a place; a higher number is a younger task.
func wanting(account, number int64) task.Spec {
	return task.Spec{
		ID: task.NewID(account, task.CommentSource(number), 0), Account: account, Project: account,
		Created: created.Add(time.Duration(number) * time.Second),
	}
}

func admit(t testing.TB, s *store.Store, sp task.Spec, l task.Limits) task.Admission {
	t.Helper()
	a, err := s.Admit(t.Context(), sp, l)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAPlaceIsKeptUntilItIsLeft(t *testing.T) {
	s, _ := open(t)
	l := task.Limits{Account: 1, All: 10}
	first, second := wanting(1, 1), wanting(1, 2)
	for range 2 {
		if a := admit(t, s, first, l); !a.In {
			t.Fatalf("the first task of all: %+v", a)
		}
		if a := admit(t, s, second, l); a.In || a.Ahead != 0 || !a.Own {
			t.Fatalf("one above its account's limit: %+v", a)
		}
	}
	for range 2 {
		if err := s.Leave(t.Context(), first, l); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.InFlight(t.Context()); err != nil || !slices.Equal(got, []task.ID{second.ID}) {
		t.Errorf("in flight after the first has left: %v, %v", got, err)
	}
	if a := admit(t, s, first, l); a.In || !a.Own {
		t.Errorf("who left asks anew: %+v", a)
	}
}

func TestATaskThatNoLongerWantsAPlaceHoldsNobodyUp(t *testing.T) {
	s, _ := open(t)
	l := task.Limits{Account: 1, All: 10}
	first, cancelled, third := wanting(1, 1), wanting(1, 2), wanting(1, 3)
	admit(t, s, first, l)
	admit(t, s, cancelled, l)
	if a := admit(t, s, third, l); a.Ahead != 1 {
		t.Fatalf("behind another: %+v", a)
	}
	for _, sp := range []task.Spec{cancelled, first} {
		if err := s.Leave(t.Context(), sp, l); err != nil {
			t.Fatal(err)
		}
	}
	if a := admit(t, s, third, l); !a.In {
		t.Errorf("after both have gone: %+v", a)
	}
}

func TestAnAccountWithManyTasksDoesNotKeepOthersWaiting(t *testing.T) {
	s, _ := open(t)
	l := task.Limits{Account: 5, All: 1}
	admit(t, s, wanting(1, 0), l)
	for n := range int64(20) {
		admit(t, s, wanting(1, n+1), l)
	}
	if a := admit(t, s, wanting(2, 100), l); a.In || a.Ahead != 0 || a.Own {
		t.Errorf("the one task of another account, behind twenty: %+v", a)
	}
	if a := admit(t, s, wanting(1, 2), l); a.Ahead != 2 {
		t.Errorf("the second of the twenty waits for the first and for the other account's: %+v", a)
	}
	if err := s.Leave(t.Context(), wanting(1, 0), l); err != nil {
		t.Fatal(err)
	}
	if a := admit(t, s, wanting(2, 100), l); !a.In {
		t.Errorf("when a place is free: %+v", a)
	}
}

func TestThePlaceInTheQueueIsTheTruthAndNoLimitIsEverPassed(t *testing.T) {
	s, _ := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := task.Limits{Account: rapid.SampledFrom([]int{1, 2, 3, 100}).Draw(rt, "of an account"), All: rapid.IntRange(1, 5).Draw(rt, "of all")}
		var waiting, flying []task.Spec
		ask := func(sp task.Spec) bool {
			a, err := s.Admit(t.Context(), sp, l)
			if err != nil {
				rt.Fatal(err)
			}
			return a.In
		}
		for n := range int64(rapid.IntRange(1, 12).Draw(rt, "tasks")) {
			sp := wanting(rapid.Int64Range(1, 3).Draw(rt, "account"), n)
			if ask(sp) {
				flying = append(flying, sp)
			} else {
				waiting = append(waiting, sp)
			}
		}
		// One after the other leaves. Nobody new comes, so who was told "n before you" gets in as the n+1st, as long as
		// only the limit of all holds tasks up.
		promised := map[task.ID]int{}
		for _, sp := range waiting {
			a, err := s.Admit(t.Context(), sp, l)
			if err != nil {
				rt.Fatal(err)
			}
			promised[sp.ID] = a.Ahead
		}
		accounts := map[int64]bool{}
		for _, sp := range slices.Concat(waiting, flying) {
			accounts[sp.Account] = true
		}
		exact := l.Account == 100 || len(accounts) == 1
		for came := 0; len(flying) > 0; {
			leaving := flying[0]
			flying = flying[1:]
			if err := s.Leave(t.Context(), leaving, l); err != nil {
				rt.Fatal(err)
			}
			var still []task.Spec
			for _, sp := range waiting {
				if !ask(sp) {
					still = append(still, sp)
					continue
				}
				if exact && promised[sp.ID] != came {
					rt.Fatalf("task %s was promised %d before it and came as number %d", sp.ID, promised[sp.ID], came)
				}
				came++
				flying = append(flying, sp)
			}
			waiting = still
			of := map[int64]int{}
			for _, sp := range flying {
				of[sp.Account]++
				if of[sp.Account] > l.Account {
					rt.Fatalf("account %d has %d tasks in flight, at most %d", sp.Account, of[sp.Account], l.Account)
				}
			}
			got, err := s.InFlight(t.Context())
			if err != nil || len(got) != len(flying) || len(got) > l.All {
				rt.Fatalf("in flight: %v, %v; expected %d of at most %d", got, err, len(flying), l.All)
			}
		}
		if len(waiting) > 0 {
			rt.Fatalf("%d tasks never got a place", len(waiting))
		}
	})
}

func TestWhoWaitsIsToldWhyAndHowLong(t *testing.T) {
	l := task.Limits{Account: 2, All: 8}
	for want, a := range map[string]task.Admission{
		"":                            {In: true},
		"number 4 in the queue":       {Ahead: 3},
		"SAM is at work on 8 tasks":   {},
		"It is the next in the queue": {},
		"2 of this account's tasks":   {Own: true},
	} {
		if got := a.Words(l); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%+v: %q does not say %q", a, got, want)
		}
	}
}
