package pool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/policy"
	"sam/task"
)

// chore is a record that somebody has to see to: see tend.
type chore struct {
	account *Account
	node    task.Node
	now     time.Time // of the pass
}

// pass decides about every account. It returns what is to be seen to now, and when something is due next; zero for nothing.
func (p *Pool) pass(ctx context.Context, now time.Time) (chores []chore, next time.Time, err error) {
	h, err := p.look(ctx, now)
	if err != nil {
		return nil, next, err
	}
	var errs []error
	soon := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, id := range h.ids {
		d, err := p.desk(ctx, h, id)
		if err == nil && d != nil {
			var at time.Time
			at, err = p.settle(ctx, h, d)
			soon(at)
			for _, n := range d.nodes {
				if n.State == task.NodeGoing || n.State == task.NodeBooting && n.Machine == nil {
					chores = append(chores, chore{d.Account, n, now})
				}
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("account %d: %w", id, err))
		}
	}
	return chores, next, errors.Join(errs...)
}

// settle does for one account what is to be done. What fails holds up nothing that comes after it.
func (p *Pool) settle(ctx context.Context, h house, d *desk) (next time.Time, err error) {
	errs := []error{p.complete(ctx, d), p.dismiss(ctx, d), p.replace(ctx, h, d)}
	if d.Withdrawn {
		errs = append(errs, p.withdraw(ctx, d))
	} else {
		s, err := p.order(ctx, h, d)
		errs = append(errs, err, p.pay(ctx, h, d))
		next, err = p.release(ctx, d, s)
		errs = append(errs, err)
	}
	return next, errors.Join(errs...)
}

// complete finishes what a process that died had begun: a machine in the fleet without a record, a record whose machine is not in
// the fleet since Redis has lost that.
func (p *Pool) complete(ctx context.Context, d *desk) error {
	var errs []error
	known := map[string]bool{}
	for _, n := range d.nodes {
		known[n.Name] = true
		if _, paid := d.fleet.Hours[n.Name]; paid || n.State == task.NodeGoing || n.Machine == nil {
			continue
		}
		hours := begun(n.Machine.Created, d.now)
		if err := p.store.Reserve(ctx, adoption(d.id, n.Name, hours, n.Machine.Hour), d.now); err != nil {
			errs = append(errs, err)
			continue
		}
		d.fleet.Hours[n.Name] = hours
	}
	for name := range d.fleet.Hours {
		if known[name] {
			continue
		}
		n, err := p.record(ctx, d, name, 1)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.nodes = append(d.nodes, n)
	}
	return errors.Join(errs...)
}

// record writes a node's record, and returns it.
func (p *Pool) record(ctx context.Context, d *desk, name string, slots int) (task.Node, error) {
	if err := p.store.EnsureNode(ctx, task.Node{Name: name, Account: d.id, Provider: d.Provider.Name(), Slots: slots}); err != nil {
		return task.Node{}, err
	}
	return p.store.Node(ctx, name)
}

// adoption enters a machine that is there into the fleet, whatever the caps say: it costs what it costs.
func adoption(account int64, node string, hours int, hour int64) task.Reservation {
	return task.Reservation{
		Account: account, Node: node, New: true, Hours: hours, Hour: hour, Caps: task.Caps{Machines: 1 << 30, Daily: -1, Monthly: -1},
	}
}

// begun is how many of a machine's hours have begun.
func begun(created, now time.Time) int {
	return int(policy.PaidUntil(created, now).Sub(created) / policy.BillingPeriod)
}

// dismiss has machines go that are of no use: those that never called home, and those that are silent.
func (p *Pool) dismiss(ctx context.Context, d *desk) error {
	var errs []error
	for i := range d.nodes {
		n := &d.nodes[i]
		var why string
		switch {
		case n.State == task.NodeBooting && d.now.Sub(n.Made) >= p.patience(*n):
			why = mute(*n, p.Timing.CallHome)
		case (n.State == task.NodeLost || n.State == task.NodeReady) && d.now.Sub(later(n.Seen, p.listened)) >= p.Timing.Lost:
			why = fmt.Sprintf("it has been silent for %s", p.Timing.Lost)
		default:
			continue
		}
		if err := p.store.Abandon(ctx, n.Name, why); err != nil {
			errs = append(errs, err)
			continue
		}
		zerolog.Ctx(ctx).Warn().Str("node", n.Name).Int64("account", d.id).Str("why", why).Msg("a machine is given up")
		if n.State == task.NodeBooting {
			errs = append(errs, p.hinder(ctx, d, why))
		}
		n.State = task.NodeGoing
	}
	return errors.Join(errs...)
}

// patience is how long a machine may take until its first link: less when it has called home in a way that cannot be right.
func (p *Pool) patience(n task.Node) time.Duration {
	if n.Trouble != "" {
		return p.Timing.CallHome / 5
	}
	return p.Timing.CallHome
}

// replace has idle machines go that take no task though somebody waits for one: another costs the same, and works.
func (p *Pool) replace(ctx context.Context, h house, d *desk) error {
	if !slices.ContainsFunc(h.queue, func(t task.Task) bool { return t.Account == d.id }) {
		return nil
	}
	var errs []error
	for i := range d.nodes {
		n := &d.nodes[i]
		ill := policy.Healthy(n.Vitals)
		if n.State != task.NodeReady || len(n.Tasks) > 0 || ill == "" {
			continue
		}
		going, err := p.store.Drain(ctx, n.Name, "it "+ill, nil)
		if errs = append(errs, err); going {
			zerolog.Ctx(ctx).Warn().Str("node", n.Name).Int64("account", d.id).Msg("a machine is let go, and replaced if need be: it " + ill)
			n.State = task.NodeGoing
		}
	}
	return errors.Join(errs...)
}

// hinder notes why no machine can be made.
func (p *Pool) hinder(ctx context.Context, d *desk, why string) error {
	d.fleet.Obstacle = p.obstacle(why, d.now)
	return p.store.NoteObstacle(ctx, d.id, d.fleet.Obstacle)
}

func (p *Pool) obstacle(why string, now time.Time) task.Obstacle {
	return task.Obstacle{Why: why, Until: now.Add(p.Timing.Again)}
}

// withdraw has all of an account's machines go, and calls Gone when there are none.
func (p *Pool) withdraw(ctx context.Context, d *desk) error {
	if len(d.nodes) == 0 && len(d.fleet.Hours) == 0 {
		if d.Gone == nil {
			return nil
		}
		return d.Gone(ctx)
	}
	const why = "The account's token for machines was withdrawn, so SAM lets its machines go. What was pushed is on the branch. Ask again when there is another."
	var errs []error
	for i := range d.nodes {
		n := &d.nodes[i]
		for _, one := range n.Tasks {
			_, err := p.store.Cancel(ctx, one, why)
			errs = append(errs, err)
		}
		going, err := p.store.Drain(ctx, n.Name, "the account's token was withdrawn", nil)
		if errs = append(errs, err); going {
			n.State = task.NodeGoing
		}
	}
	return errors.Join(errs...)
}

// order decides who starts where, and has machines made for the rest. It returns the house as it is then, for release: what is to
// start on a machine keeps it.
func (p *Pool) order(ctx context.Context, h house, d *desk) (policy.Snapshot, error) {
	offer, price, err := d.offer(ctx)
	s := policy.Snapshot{Now: d.now, Accounts: map[int64]policy.Limits{d.id: d.limits(offer, price)}, Busy: map[task.ThreadID]bool{}}
	for _, n := range append(d.stand, d.nodes...) {
		if n.State != task.NodeGoing {
			s.Machines = append(s.Machines, d.machine(n, h.rest))
		} else {
			s.Machines = append(s.Machines, policy.Machine{Node: task.Node{Name: n.Name, Account: n.Account, State: n.State}}) // it counts
		}
	}
	for _, t := range h.queue {
		if t.Account == d.id {
			s.Queue = append(s.Queue, policy.RequestOf(t))
		}
	}
	plan := policy.Decide(s)
	for _, start := range plan.Starts {
		for i := range s.Machines {
			if s.Machines[i].Name == start.Node {
				s.Machines[i].Tasks = append(s.Machines[i].Tasks[:len(s.Machines[i].Tasks):len(s.Machines[i].Tasks)], start.Task)
			}
		}
	}
	if err != nil {
		// Only who needs a machine need know.
		if len(s.Queue) > len(plan.Starts) && !d.hindered() {
			err = errors.Join(err, p.hinder(ctx, d, why(err)))
		}
		return s, err
	}
	for _, c := range plan.Creations {
		name := newName()
		err := p.store.Reserve(ctx, task.Reservation{
			Account: d.id, Node: name, New: true, Hours: c.Hours, Hour: int64(price), Caps: d.Caps,
		}, d.now)
		var capped task.CapError
		if errors.As(err, &capped) {
			break // it was reached since the fleet was read; who waits is told by choose
		}
		if err != nil {
			return s, err
		}
		d.fleet.Hours[name] = c.Hours
		n, err := p.record(ctx, d, name, s.Accounts[d.id].Slots)
		if err != nil {
			return s, err
		}
		zerolog.Ctx(ctx).Info().Str("node", name).Int64("account", d.id).Int("tasks", len(c.For)).Stringer("first", offer.Candidate).
			Stringer("hour", price).Msg("a machine is to be made")
		d.nodes = append(d.nodes, n)
	}
	return s, nil
}

// newName is a node's: of letters and digits that no person takes for each other, in the forms that host names and labels have.
func newName() string { return "sam-" + strings.ToLower(rand.Text()[:10]) }

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
				"What was pushed is on the branch. Ask again when the budget begins anew, or an owner of the account has raised it.", capped))
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
	going, err := p.store.Drain(ctx, name, "it is idle, and another hour of it does not pay", n.Tasks)
	if going {
		zerolog.Ctx(ctx).Info().Str("node", name).Int64("account", d.id).Msg("a machine is let go")
		n.State = task.NodeGoing
	}
	return err
}

func (d *desk) index(name string) int {
	for i := range d.nodes {
		if d.nodes[i].Name == name {
			return i
		}
	}
	return -1
}
