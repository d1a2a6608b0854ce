package policy_test

import (
	"reflect"
	"testing"
	"time"

	"sam/runner/policy"
	"sam/task"
)

// aged is an idle machine of a name, so old, and so long unused.
func aged(name string, age, idle time.Duration) policy.Machine {
	m := machine(name, 0)
	m.Created, m.Used = now.Add(-age), now.Add(-idle)
	m.Paid = policy.PaidUntil(m.Created, now)
	return m
}

func TestReleaseLetsGoOfWhatDoesNotPay(t *testing.T) {
	const ends, early = 58 * time.Minute, 20 * time.Minute
	in := now.Add
	renewed := func(name string) []policy.Renewal {
		return []policy.Renewal{{Node: name, Until: in(62 * time.Minute), Spend: 15}}
	}
	minimum := limits()
	minimum.Minimum = 1
	poor := limits()
	poor.Budgets = []policy.Budget{{Name: "daily", Cap: 14}}
	poorMinimum := poor
	poorMinimum.Minimum = 1
	busy := aged("b", ends, ends)
	busy.Tasks = []task.ID{"t"}
	paid := aged("a", ends, 5*time.Minute)
	paid.Paid = paid.Paid.Add(time.Hour)
	for name, c := range map[string]struct {
		limits   policy.Limits
		machines []policy.Machine
		want     policy.Kept
	}{
		"nothing before the hour ends":              {limits(), []policy.Machine{aged("a", early, early)}, policy.Kept{Next: in(38 * time.Minute)}},
		"one that was not used":                     {limits(), []policy.Machine{aged("a", ends, 40*time.Minute)}, policy.Kept{LetGo: []string{"a"}}},
		"one that was used is renewed":              {limits(), []policy.Machine{aged("a", ends, 5*time.Minute)}, policy.Kept{Renewals: renewed("a"), Next: in(time.Hour)}},
		"but not reserved twice":                    {limits(), []policy.Machine{paid}, policy.Kept{Next: in(time.Hour)}},
		"one at work is not asked about":            {limits(), []policy.Machine{busy}, policy.Kept{}},
		"one that drains, though it is paid for":    {limits(), []policy.Machine{draining(aged("a", early, early))}, policy.Kept{LetGo: []string{"a"}}},
		"one that boots is none of its business":    {limits(), []policy.Machine{booting(aged("a", ends, ends))}, policy.Kept{}},
		"the minimum is kept":                       {minimum, []policy.Machine{aged("a", ends, 40*time.Minute)}, policy.Kept{Renewals: renewed("a"), Next: in(time.Hour)}},
		"of two the one whose hour ends first goes": {minimum, []policy.Machine{aged("b", 59*time.Minute, 50*time.Minute), aged("a", ends, 50*time.Minute)}, policy.Kept{LetGo: []string{"b"}, Renewals: renewed("a"), Next: in(time.Hour)}},
		"one that boots counts for the minimum":     {minimum, []policy.Machine{aged("a", ends, 40*time.Minute), booting(aged("b", 0, 0))}, policy.Kept{LetGo: []string{"a"}}},
		"no money for another hour":                 {poor, []policy.Machine{aged("a", ends, 5*time.Minute)}, policy.Kept{LetGo: []string{"a"}}},
		"nor for the minimum":                       {poorMinimum, []policy.Machine{aged("a", ends, 5*time.Minute)}, policy.Kept{LetGo: []string{"a"}}},
	} {
		got := policy.Release(named(t, policy.Default), snapshot(c.limits, nil, c.machines...), nil)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}

func TestASpareMachineIsLetGoSoonerThanTheLastOne(t *testing.T) {
	const ends = 58 * time.Minute
	used := 30 * time.Minute // renewed when it is the last, not when another has free slots
	got := policy.Release(named(t, policy.Default), snapshot(limits(), nil, aged("a", ends, used), aged("b", ends, used)), nil)
	if !reflect.DeepEqual(got.LetGo, []string{"a"}) || len(got.Renewals) != 1 || got.Renewals[0].Node != "b" {
		t.Errorf("%+v", got)
	}
}
