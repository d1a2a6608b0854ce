package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/policy"
	"sam/task"
)

// pay pays the next hour of machines at work when it is about to begin. Where the budget does not allow it the work ends, with what
// was pushed: the cap is a promise.
func (p *Pool) pay(ctx context.Context, h house, d *desk) error {
	var errs []error
	for _, n := range d.nodes {
		if n.Machine == nil || n.State == task.NodeGoing || len(n.Tasks) == 0 || asleep(n, h.rest) {
			continue
		}
		hours := begun(n.Machine.Created, d.now.Add(policy.Margin))
		if hours <= d.fleet.Hours[n.Name] {
			continue
		}
		err := p.store.Reserve(ctx, task.Reservation{Account: d.id, Node: n.Name, Hours: hours, Hour: n.Machine.Hour, Caps: d.Caps}, d.now)
		var capped task.CapError
		if !errors.As(err, &capped) {
			errs = append(errs, err)
			continue
		}
		for _, one := range n.Tasks {
			_, err := p.store.Cancel(ctx, one, fmt.Sprintf("It was stopped: its machine's next hour costs more than the account may spend (%s). "+
				"What was pushed is on the branch. Ask again when the budget begins anew, or an owner of the account has raised it with `sam account set`.", capped))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// release lets idle machines go that do not pay any more, and pays another hour of those that do. It returns when to ask again.
func (p *Pool) release(ctx context.Context, d *desk, s policy.Snapshot) (next time.Time, err error) {
	own := s
	own.Machines = nil
	for _, m := range s.Machines {
		if m.Provider == d.Provider.Name() && m.State != task.NodeGoing {
			own.Machines = append(own.Machines, m)
		}
	}
	if len(own.Machines) == 0 {
		return d.Schedule.Next(d.now), nil
	}
	arrivals, err := p.store.Arrivals(ctx, d.id)
	if err != nil {
		return next, err
	}
	kept := policy.Release(d.Keeper, own, map[int64][]time.Time{d.id: arrivals})
	var errs []error
	for _, r := range kept.Renewals {
		i := d.index(r.Node)
		if i < 0 || d.nodes[i].Machine == nil {
			continue
		}
		m := d.nodes[i].Machine
		hours := int(r.Until.Sub(m.Created) / policy.BillingPeriod)
		err := p.store.Reserve(ctx, task.Reservation{Account: d.id, Node: r.Node, Hours: hours, Hour: m.Hour, Caps: d.Caps}, d.now)
		var capped task.CapError
		if errors.As(err, &capped) {
			kept.LetGo = append(kept.LetGo, r.Node)
			continue
		}
		errs = append(errs, err)
	}
	for _, name := range kept.LetGo {
		errs = append(errs, p.letGo(ctx, d, name))
	}
	next = kept.Next
	if edge := d.Schedule.Next(d.now); !edge.IsZero() && (next.IsZero() || edge.Before(next)) {
		next = edge
	}
	return next, errors.Join(errs...)
}

// letGo has an idle machine go, unless a task has come to it since.
func (p *Pool) letGo(ctx context.Context, d *desk, name string) error {
	i := d.index(name)
	if i < 0 {
		return nil
	}
	n := &d.nodes[i]
	if len(n.Tasks) > 0 {
		// They waited for an answer when the pass began. Whose came since works there again.
		rest, err := p.store.AtRest(ctx, n.Tasks)
		if err != nil || !asleep(*n, rest) {
			return err
		}
	}
	going, err := p.store.Drain(ctx, name, "it is idle, and another hour of it does not pay", n.Tasks)
	if going {
		zerolog.Ctx(ctx).Info().Str("node", name).Int64("account", d.id).Msg("a machine is let go")
		n.State = task.NodeGoing
	}
	return err
}
