package pool

import (
	"context"
	"errors"
	"time"

	"sam/runner/cloud"
	"sam/runner/policy"
	"sam/task"
)

// Choose finds the node for a task among those that there are, and pays the hours that it may begin there. Where none is free it
// says why, and has a machine made where that helps.
func (p *Pool) Choose(ctx context.Context, r policy.Request, nodes []task.Node, now time.Time) (policy.Placement, error) {
	a, err := p.accounts.Account(ctx, r.Account)
	var token task.TokenError
	if err != nil && !errors.As(err, &token) {
		return policy.Placement{}, err
	}
	if a == nil {
		plan := policy.Decide(policy.Snapshot{Now: now, Machines: machines(nodes), Queue: []policy.Request{r}})
		if err != nil && len(plan.Starts) == 0 {
			return policy.Placement{Wait: "SAM cannot make a machine: " + token.Error() + "."}, nil
		}
		return one(plan), nil
	}
	d := &desk{Account: a, id: r.Account, now: now}
	if d.fleet, err = p.store.Fleet(ctx, r.Account, now); err != nil {
		return policy.Placement{}, err
	}
	d.sort(nodes)
	s := policy.Snapshot{Now: now, Queue: []policy.Request{r}, Accounts: map[int64]policy.Limits{r.Account: d.limits(cloud.Offer{}, 0)}}
	for _, n := range append(d.stand, d.nodes...) {
		s.Machines = append(s.Machines, d.machine(n, nil))
	}
	plan := policy.Decide(s)
	if len(plan.Starts) == 1 {
		err := p.paid(ctx, d, plan.Starts[0])
		var capped task.CapError
		if errors.As(err, &capped) { // since the fleet was read
			return policy.Placement{Wait: "Its machine's next hour costs more than the account may spend: " + capped.Error() + ". This starts when the budget begins anew, or an owner of the account raises it with `sam account set`."}, nil
		}
		return one(plan), err
	}
	if d.hindered() {
		return policy.Placement{Wait: d.fleet.Obstacle.Why}, nil
	}
	offer, price, err := p.offer(ctx, d)
	if err != nil {
		return policy.Placement{Wait: why(err)}, nil
	}
	s.Accounts[r.Account] = d.limits(offer, price)
	plan = policy.Decide(s)
	if len(plan.Holds) == 1 && plan.Holds[0].Boots {
		return policy.Placement{Wait: d.making(offer, price)}, nil
	}
	return one(plan), nil
}

// paid reserves the hours that a start may begin.
func (p *Pool) paid(ctx context.Context, d *desk, start policy.Start) error {
	i := d.index(start.Node)
	if start.Spend == 0 || i < 0 || d.nodes[i].Machine == nil {
		return nil
	}
	m := d.nodes[i].Machine
	return p.store.Reserve(ctx, task.Reservation{
		Account: d.id, Node: start.Node, Hours: int(start.Until.Sub(m.Created) / policy.BillingPeriod), Hour: m.Hour, Caps: d.Caps,
	}, d.now)
}

// one is the plan for a single task.
func one(plan policy.Plan) policy.Placement {
	if len(plan.Starts) == 1 {
		return policy.Placement{Node: plan.Starts[0].Node}
	}
	if len(plan.Holds) == 1 {
		return policy.Placement{Wait: plan.Holds[0].Why}
	}
	return policy.Placement{Wait: "Every node is at work; this starts as soon as one is free."}
}

func machines(nodes []task.Node) []policy.Machine {
	all := make([]policy.Machine, len(nodes))
	for i, n := range nodes {
		all[i] = policy.MachineOf(n)
	}
	return all
}
