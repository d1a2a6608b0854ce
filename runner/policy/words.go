package policy

import (
	"fmt"

	"sam/task"
)

// why says why a task waits though no machine will come for it.
func (p *planner) why(d *desk, r Request) string {
	l := d.ledger.limits
	if !l.Create {
		nodes := make([]task.Node, len(p.machines))
		for i, m := range p.machines {
			nodes[i] = m.Node
			nodes[i].Slots -= m.Free() - m.free // given out in this pass
		}
		if w := Place(Wanted{Spec: r.Spec, Now: p.now}, nodes).Wait; w != "" {
			return w
		}
		return "The free nodes have too little memory for it; this starts as soon as one has enough."
	}
	sum := int64(max(1, hours(p.now, p.now.Add(l.Longest+bootAllowance(l))))) * l.Hourly
	b, short := d.broke[r.ID]
	if !short {
		if x, ok := d.ledger.allows(sum); !ok && d.count < l.Machines {
			b, short = x, true
		}
	}
	switch {
	case short && b.Cap == 0:
		return fmt.Sprintf("The %s budget for machines is 0, so SAM may not create one. An owner of the account can raise it with `sam account set`; this then starts by itself.", b.Name)
	case short:
		return fmt.Sprintf("The %s budget for machines, %s, is used up or reserved (%s). This starts when the budget begins anew, or an owner of the account raises it with `sam account set`.",
			b.Name, money(b.Cap), money(b.Spent+d.ledger.spent))
	case l.Machines == 0:
		return "The account may have no machines (its maximum is 0). An owner of the account can raise it with `sam account set`; this then starts by itself."
	}
	var ill []task.Node
	for i := range p.machines {
		m := &p.machines[i]
		if m.Account == d.account && m.State == task.NodeReady && m.free > 0 && !m.Draining && !isWell(m.Vitals) {
			ill = append(ill, m.Node)
		}
	}
	if len(ill) > 0 {
		return unwell(ill)
	}
	return p.full(d.account, l.Machines)
}

// full says why no machine is free where the account may have no more: what is silent is not at work, and counts all the same.
func (p *planner) full(account int64, most int) string {
	silent, others := 0, 0
	for i := range p.machines {
		switch m := &p.machines[i]; {
		case m.Account != account:
		case m.State == task.NodeReady && m.silent(p.now):
			silent++
		default:
			others++
		}
	}
	const then = "This starts as soon as one is heard of again; one that stays silent is given up, and another is made."
	switch {
	case silent == 0:
		return fmt.Sprintf("All of the account's machines are at work, and it may have no more than %d. This starts as soon as one is free.", most)
	case others == 0:
		return fmt.Sprintf("All of the account's machines are silent, and it may have no more than %d. %s", most, then)
	}
	return fmt.Sprintf("Some of the account's machines are silent (%d), the others at work (%d), and it may have no more than %d. This starts as soon as one is free or is heard of again; "+
		"one that stays silent is given up, and another is made.", silent, others, most)
}
