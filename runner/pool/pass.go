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

	"sam/runner/cloud"
	"sam/runner/policy"
	"sam/task"
)

// chore is a record that somebody has to see to, or a withdrawn account that has none any more: see tend.
type chore struct {
	account *Account
	id      int64     // the account's
	node    task.Node // its zero for the account itself
	now     time.Time // of the pass, by Redis's clock
	since   time.Time // likewise, by this process's
}

// at is what Redis's clock says by now: seeing to a chore may take minutes.
func (c chore) at() time.Time { return c.now.Add(time.Since(c.since)) }

// pass decides about every account. It returns what is to be seen to now, and when something is due next; zero for nothing.
func (p *Pool) pass(ctx context.Context, now time.Time) (chores []chore, next time.Time, err error) {
	h, err := p.look(ctx, now)
	if err != nil {
		return nil, next, err
	}
	p.forget(h)
	var errs []error
	soon := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	var desks []*desk
	for _, id := range h.ids {
		d, err := p.desk(ctx, h, id)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("account %d: %w", id, err))
		case d != nil:
			desks = append(desks, d)
			if d.wants(h) {
				p.inquire(ctx, d.id, d.Account) // of all at once: no account waits for another's provider
			}
		}
	}
	for _, d := range desks {
		at, err := p.settle(ctx, h, d)
		if soon(at); err != nil {
			errs = append(errs, fmt.Errorf("account %d: %w", d.id, err))
		}
		chores = append(chores, p.chores(d)...)
	}
	p.at = true
	return chores, next, errors.Join(errs...)
}

// chores are what is to be seen to of an account.
func (p *Pool) chores(d *desk) (all []chore) {
	c := chore{account: d.Account, id: d.id, now: d.now, since: time.Now()}
	for _, n := range d.nodes {
		if n.State == task.NodeGoing || n.State == task.NodeBooting && n.Machine == nil && !p.overdue(n, d.now) {
			c.node = n
			all = append(all, c)
		}
	}
	if d.Withdrawn && d.Gone != nil && len(d.nodes) == 0 && len(d.fleet.Hours) == 0 {
		c.node = task.Node{}
		all = append(all, c)
	}
	return all
}

// settle does for one account what is to be done. What fails holds up nothing that comes after it.
func (p *Pool) settle(ctx context.Context, h house, d *desk) (next time.Time, err error) {
	errs := []error{p.complete(ctx, d), p.listen(ctx, d), p.dismiss(ctx, d), p.replace(ctx, h, d)}
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
// the fleet since Redis has lost that. And it counts hours that began though nobody paid them ahead, since no pass was made then or
// the machine could not be deleted: they are on the bill, and no budget is to be passed by what is not counted.
func (p *Pool) complete(ctx context.Context, d *desk) error {
	var errs []error
	known := map[string]bool{}
	for i := range d.nodes {
		n := &d.nodes[i]
		known[n.Name] = true
		if n.Machine != nil {
			errs = append(errs, p.count(ctx, d, n))
		}
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

// count has a machine's begun hours be paid for.
func (p *Pool) count(ctx context.Context, d *desk, n *task.Node) error {
	hours := begun(n.Machine.Created, d.now)
	paid, entered := d.fleet.Hours[n.Name]
	switch {
	case entered && hours <= paid:
		return nil
	case !entered && n.State == task.NodeGoing:
		return nil // its money is settled, and its record about to go
	case !entered:
		// The fleet was read after the records: it may have gone between.
		now, err := p.store.Node(ctx, n.Name)
		if errors.Is(err, task.ErrNotFound) || err == nil && now.State == task.NodeGoing {
			n.State = task.NodeGoing
			return nil
		}
		if err != nil {
			return err
		}
	}
	r := adoption(d.id, n.Name, hours, n.Machine.Hour)
	r.New = !entered
	err := p.store.Reserve(ctx, r, d.now)
	if err == nil {
		d.fleet.Hours[n.Name] = hours
	} else if errors.Is(err, task.ErrNotFound) {
		err = nil // it is gone since
	}
	return err
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

// hinder notes why no machine can be made.
func (p *Pool) hinder(ctx context.Context, d *desk, why string) error {
	d.fleet.Obstacle = p.obstacle(d.fleet.Obstacle, why, d.now)
	return p.store.NoteObstacle(ctx, d.id, d.fleet.Obstacle)
}

// obstacle is the next after another.
func (p *Pool) obstacle(was task.Obstacle, why string, now time.Time) task.Obstacle {
	was.Why, was.Until = why, now.Add(p.Timing.Again)
	return was
}

// order decides who starts where, and has machines made for the rest. It returns the house as it is then, for release: what is to
// start on a machine keeps it.
func (p *Pool) order(ctx context.Context, h house, d *desk) (policy.Snapshot, error) {
	var offer cloud.Offer
	var price cloud.Money
	var err error
	if d.wants(h) {
		offer, price, err = p.offer(ctx, d)
	}
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
		if len(s.Queue) > len(plan.Starts) || d.Schedule.Minimum(d.now) > 0 {
			err = errors.Join(err, p.hinder(ctx, d, why(err)))
		}
		return s, err
	}
	for _, c := range d.dared(plan.Creations) {
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
		n.Made = d.now // of this pass, however long that took
		zerolog.Ctx(ctx).Info().Str("node", name).Int64("account", d.id).Int("tasks", len(c.For)).Stringer("first", offer.Candidate).
			Stringer("hour", price).Msg("a machine is to be made")
		d.nodes = append(d.nodes, n)
	}
	return s, nil
}

// dared are the creations that are tried now. When the last try failed it is one, and the others when that is made: each that fails
// walks all candidates, and the provider's calls are one budget for all, deletions included. When the last machine never called home,
// the others wait until one has.
func (d *desk) dared(all []policy.Creation) []policy.Creation {
	o := d.fleet.Obstacle
	if o.Why == "" && o.Mute == 0 || len(all) == 0 {
		return all
	}
	if slices.ContainsFunc(d.nodes, func(n task.Node) bool { return n.State == task.NodeBooting && (n.Machine == nil || o.Mute > 0) }) {
		return nil
	}
	return all[:1]
}

// newName is a node's: of letters and digits that no person takes for each other, in the forms that host names and labels have.
func newName() string { return "sam-" + strings.ToLower(rand.Text()[:10]) }
