package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"sam/task"
)

// The desk at which places in flight are given is one for all partitions, and lives in the first: its limits are of all
// tasks together.
const deskPartition partition = "0"

// Admit asks for a place among the tasks in flight. A task that has one keeps it until Leave, so asking again is no harm.
// Where there are more tasks than places, accounts are served in turn, and an account's tasks by their age. Who gets a
// place by this, or by another's leaving, is woken.
func (s *Store) Admit(ctx context.Context, spec task.Spec, l task.Limits) (task.Admission, error) {
	return s.admit(ctx, spec, strconv.FormatInt(spec.Created.UnixMilli(), 10), l)
}

// Leave gives a task's place up, or its wish for one. It may be repeated.
func (s *Store) Leave(ctx context.Context, spec task.Spec, l task.Limits) error {
	_, err := s.admit(ctx, spec, "", l)
	return err
}

func (s *Store) admit(ctx context.Context, spec task.Spec, created string, l task.Limits) (task.Admission, error) {
	answer, err := s.run(ctx, "admit", deskPartition.desk(), string(spec.ID), spec.Account, created, l.Account, l.All).StringSlice()
	if err != nil {
		return task.Admission{}, err
	}
	ahead, err := strconv.Atoi(answer[1])
	if err != nil {
		return task.Admission{}, fmt.Errorf("admit task %s: %w", spec.ID, err)
	}
	for _, id := range answer[3:] {
		// When this is lost the task looks for itself before long: it waits in placing, which has a deadline.
		if err := s.Wake(ctx, task.ID(id)); err != nil {
			return task.Admission{}, err
		}
	}
	return task.Admission{In: answer[0] == "in", Ahead: ahead, Own: answer[2] == "account"}, nil
}

// InFlight lists the tasks that have a place, in no order.
func (s *Store) InFlight(ctx context.Context) ([]task.ID, error) {
	members, err := s.rdb.HKeys(ctx, deskPartition.flight()).Result()
	if err != nil {
		return nil, fmt.Errorf("list the tasks in flight: %w", err)
	}
	slices.Sort(members)
	ids := make([]task.ID, len(members))
	for i, m := range members {
		ids[i] = task.ID(m)
	}
	return ids, nil
}

// flight is a hash of the tasks in flight with their accounts; flights a hash of how many each account has.
func (p partition) flight() string { return p.key("flight") }

// desk is what admit.lua works on: see there.
func (p partition) desk() []string {
	return []string{p.flight(), p.key("flights"), p.key("wanting"), p.key("served"), p.key("want:")}
}
