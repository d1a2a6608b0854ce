package pool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"sam/runner/cloud"
	"sam/runner/policy"
	"sam/task"
)

// house is all that a pass knows.
type house struct {
	now   time.Time
	nodes []task.Node // of all accounts, in no order
	queue []task.Task // what looks for a node, the longest looking first
	rest  map[task.ID]time.Time
	ids   []int64 // the accounts that have machines, want one, or may
}

// look reads the house.
func (p *Pool) look(ctx context.Context, now time.Time) (house, error) {
	h := house{now: now}
	var err error
	if h.queue, err = p.store.Starved(ctx); err != nil {
		return h, err
	}
	if h.ids, err = p.store.Fleets(ctx); err != nil {
		return h, err
	}
	known, err := p.accounts.Known(ctx)
	if err != nil {
		return h, err
	}
	h.ids = append(h.ids, known...)
	for _, t := range h.queue {
		h.ids = append(h.ids, t.Account)
	}
	slices.Sort(h.ids)
	if h.ids = slices.Compact(h.ids); len(h.ids) == 0 {
		return h, nil
	}
	slices.SortStableFunc(h.queue, func(a, b task.Task) int {
		return cmp.Or(a.Sought.Compare(b.Sought), cmp.Compare(a.ID, b.ID))
	})
	if h.nodes, err = p.store.Nodes(ctx); err != nil {
		return h, err
	}
	var at []task.ID
	placed := map[task.ID]bool{}
	for _, n := range h.nodes {
		for _, one := range n.Tasks {
			placed[one] = true
		}
		if n.Machine != nil {
			at = append(at, n.Tasks...)
		}
	}
	// Who has got a slot since the queue was read needs no other: a machine would be made for nobody.
	h.queue = slices.DeleteFunc(h.queue, func(t task.Task) bool { return placed[t.ID] })
	h.rest, err = p.store.AtRest(ctx, at)
	return h, err
}

// desk is what a pass knows of one account.
type desk struct {
	*Account
	id    int64
	now   time.Time
	fleet task.Fleet
	nodes []task.Node // that were made for it
	stand []task.Node // that it may use beside
}

// desk reads one account of the house; nil for one that has no machines and no way to them.
func (p *Pool) desk(ctx context.Context, h house, id int64) (*desk, error) {
	d := &desk{id: id, now: h.now}
	var err error
	d.Account, err = p.accounts.Account(ctx, id)
	if errors.As(err, new(task.TokenError)) {
		return nil, nil //nolint:nilnil // whoever opens tokens has told it
	}
	if err != nil || d.Account == nil {
		return nil, err
	}
	if d.fleet, err = p.store.Fleet(ctx, id, h.now); err != nil {
		return nil, err
	}
	d.sort(h.nodes)
	return d, nil
}

func (d *desk) sort(nodes []task.Node) {
	for _, n := range nodes {
		switch {
		case n.Provider == d.Provider.Name() && n.Account == d.id:
			d.nodes = append(d.nodes, n)
		case n.Provider != d.Provider.Name() && (n.Account == 0 || n.Account == d.id):
			d.stand = append(d.stand, n)
		}
	}
}

// machine is a node as policies see it. One whose tasks all wait for an answer is idle since the last of them asked: they are
// placed anew when the answer comes.
func (d *desk) machine(n task.Node, rest map[task.ID]time.Time) policy.Machine {
	m := policy.MachineOf(n)
	m.Created = d.now
	if n.Machine != nil {
		m.Created, m.Hourly = n.Machine.Created, n.Machine.Hour
		m.Paid = m.Created.Add(time.Duration(d.fleet.Hours[n.Name]) * policy.BillingPeriod)
	}
	if m.Used.IsZero() {
		m.Used = m.Created
	}
	if asleep(n, rest) {
		for _, one := range n.Tasks {
			m.Used = later(m.Used, rest[one])
		}
		m.Tasks = nil
	}
	return m
}

// asleep reports whether all tasks of a node wait for an answer.
func asleep(n task.Node, rest map[task.ID]time.Time) bool {
	for _, one := range n.Tasks {
		if _, waits := rest[one]; !waits {
			return false
		}
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ahead is for how long a machine's hours are paid when a task starts on it: longer than most take. Of one that takes longer each
// further hour is paid when it begins.
const ahead = 30 * time.Minute

// limits are the account's for a pass. Without an offer no machine can be made.
func (d *desk) limits(offer cloud.Offer, price cloud.Money) policy.Limits {
	l := policy.Limits{
		Create: offer.Type != "" && !d.Withdrawn && !d.hindered(), Machines: d.Caps.Machines, Hourly: int64(price),
		Slots: policy.SlotsByMemory(offer.Memory, HostMemory, d.Memory), Longest: ahead, Minimum: d.Schedule.Minimum(d.now),
		Budgets: d.budgets(),
	}
	if d.Withdrawn {
		l.Minimum = 0
	}
	for _, n := range d.stand {
		if n.Account == d.id {
			l.Machines++ // the cap is of those that are made
		}
	}
	return l
}

func (d *desk) budgets() (all []policy.Budget) {
	if d.Caps.Daily >= 0 {
		all = append(all, policy.Budget{Name: "daily", Cap: d.Caps.Daily, Spent: d.fleet.Day})
	}
	if d.Caps.Monthly >= 0 {
		all = append(all, policy.Budget{Name: "monthly", Cap: d.Caps.Monthly, Spent: d.fleet.Month})
	}
	return all
}

// hindered reports whether the last try to make a machine failed, and it is too early for another.
func (d *desk) hindered() bool {
	return d.fleet.Obstacle.Why != "" && d.now.Before(d.fleet.Obstacle.Until)
}

// wants reports whether an account may need a machine that can be made now: only then it matters what there is and costs.
func (d *desk) wants(h house) bool {
	return !d.Withdrawn && !d.hindered() &&
		(d.Schedule.Minimum(d.now) > 0 || slices.ContainsFunc(h.queue, func(t task.Task) bool { return t.Account == d.id }))
}

// HostMemory is what a machine keeps for itself, in bytes: the system, Docker and `sam node`.
const HostMemory = 512 << 20

func (d *desk) index(name string) int {
	for i := range d.nodes {
		if d.nodes[i].Name == name {
			return i
		}
	}
	return -1
}
