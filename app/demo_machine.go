package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sam/task"
)

// machineSummary is the machine of `sam demo --provider hetzner --once`; docs/demo.md says what each field is.
type machineSummary struct {
	Name        string      `json:"name"`
	Type        string      `json:"type"`
	Location    string      `json:"location"`
	Boot        []bootPhase `json:"boot"`
	BootSeconds float64     `json:"boot_seconds"` // SAM's own work, which the phases add up to
	EUR         string      `json:"eur"`
	Left        int         `json:"left"` // servers that the stand-in still has
}

// bootPhase is a step of how the machine became a node, as the task's page has it.
type bootPhase struct {
	MS   int64  `json:"ms"`
	Note string `json:"note"`
}

// made tells why the newest task waits, and waits until a machine is there for it or none is needed any more.
func (w *world) made(ctx context.Context, out io.Writer) error {
	told := ""
	err := until(ctx, func() (bool, error) {
		nodes, err := w.server.store.Nodes(ctx)
		if err != nil {
			return false, err
		}
		tasks, err := w.server.store.TasksOf(ctx, w.project, 1)
		if err != nil || len(tasks) == 0 {
			return false, err
		}
		if waits := tasks[0].Waits; waits != told {
			told = waits
			if waits != "" {
				fmt.Fprintf(out, "%s: %s\n", tasks[0].ID, waits)
			}
		}
		for _, n := range nodes {
			if n.Machine != nil {
				fmt.Fprintf(out, "%s is made: %s at %s, with the address %v. It boots.\n", n.Name, n.Machine.Type, n.Machine.Location, n.Machine.Addresses)
				return true, nil
			}
		}
		return tasks[0].State.Final(), nil
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // whoever waits for the task's end says so
	}
	return err
}

// letGo has the machines go that there are, and returns when the stand-in has none: what it was, how it booted, and what it cost by
// the stand-in's bill.
func (w *world) letGo(ctx context.Context, t task.Task, out io.Writer) (*machineSummary, error) {
	nodes, err := w.server.store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	s := &machineSummary{Boot: []bootPhase{}}
	for _, n := range nodes {
		if n.Machine == nil {
			continue
		}
		s.Name, s.Type, s.Location = n.Name, n.Machine.Type, n.Machine.Location
		if err := until(ctx, func() (bool, error) { // its last slot is given back a moment after the task's end
			return w.server.store.Drain(ctx, n.Name, "the demo is over", nil)
		}); err != nil && !errors.Is(err, task.ErrNotFound) {
			return nil, err
		}
	}
	w.server.pool.Kick()
	if s.Boot, err = w.bootOf(ctx, t.ID); err != nil {
		return nil, err
	}
	var own int64 // milliseconds
	for i, phase := range s.Boot {
		fmt.Fprintf(out, "%7.2f s  %s\n", float64(phase.MS)/1000, phase.Note)
		if i > 0 { // the first is all of it, with what was waited for
			own += phase.MS
		}
	}
	s.BootSeconds = float64(own) / 1000
	gone, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = until(gone, func() (bool, error) {
		s.Left = w.servers()
		return s.Left == 0, nil
	})
	s.EUR = w.rack.Billing().Net.String()
	if err != nil {
		return s, fmt.Errorf("the stand-in still has %d servers: %w", s.Left, err)
	}
	fmt.Fprintf(out, "%s is let go, and the stand-in has no server left. By its bill that was %s EUR net, for the hours that have begun.\n", s.Name, s.EUR)
	return s, nil
}

// servers is how many the stand-in for Hetzner has.
func (w *world) servers() int {
	left := 0
	for _, s := range w.rack.History().Servers {
		if s.DeletedAt == nil {
			left++
		}
	}
	return left
}

// bootOf is how a task's page tells the boot of its machine.
func (w *world) bootOf(ctx context.Context, id task.ID) ([]bootPhase, error) {
	all := []bootPhase{}
	events, err := w.server.store.Events(ctx, id, 0, 1000)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		parsed, err := task.ParseEvent(e.JSON)
		if err != nil {
			return nil, err
		}
		if parsed.Kind == task.Stepped && parsed.Step.Name == task.StepBoot {
			all = append(all, bootPhase{parsed.Step.MS, parsed.Step.Note})
		}
	}
	return all, nil
}
