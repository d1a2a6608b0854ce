package policy

import (
	"cmp"
	"slices"
	"time"

	"sam/task"
)

// Decide places what can be placed, and says which machines are to be created for the rest. A task goes to, in this order:
// another node than the one that lost it, one that has the repository's mirror and the environment it wants, one that has
// the mirror, one that is idle, one with a free slot; among equals to the one that is paid for longest, then the one whose
// name sorts first. What finds no slot waits for a machine that boots, or has one created for it, several tasks
// sharing a machine by its slots.
//
// Whatever the snapshot: no account gets more than Limits.Machines machines, no budget more spending than its Cap, no
// machine a second account or more tasks than it has room for, and a thread one task at a time, in the queue's order. It takes
// 200 nodes and 2,000 tasks in a few milliseconds.
func Decide(s Snapshot) Plan {
	p := planner{now: s.Now, accounts: map[int64]*desk{}, started: map[task.ThreadID]bool{}}
	p.machines = make([]candidate, len(s.Machines))
	for i, m := range s.Machines {
		p.machines[i] = candidate{Machine: m, free: m.Free(), mirrors: make(map[int64]bool, len(m.Mirrors))}
		for _, project := range m.Mirrors {
			p.machines[i].mirrors[project] = true
		}
	}
	for _, r := range s.Queue {
		d := p.desk(s, r.Account)
		if s.Busy[r.Thread] || p.started[r.Thread] {
			p.hold(r, "Another task of this thread is before it.")
			continue
		}
		p.started[r.Thread] = true // or held: what comes later in its thread does not pass it
		if !p.start(d, r) {
			d.left = append(d.left, r)
		}
	}
	// In a fixed order, so that the same snapshot gives the same plan.
	for _, account := range accountsOf(s) {
		p.create(p.desk(s, account))
	}
	return p.plan
}

// candidate is a machine while a pass hands out its slots.
type candidate struct {
	Machine
	mirrors map[int64]bool
	free    int // slots that are left
}

// begun is how many hours must be reserved anew for work until a time.
func (c *candidate) begun(until time.Time) int {
	if !c.Paid.Before(until) {
		return 0
	}
	return hours(c.Paid, until)
}

// desk is what a pass knows of one account.
type desk struct {
	account int64
	ledger  ledger
	free    []*candidate // with room for a task, as far as slots go
	booting []*candidate
	count   int // machines, of every state
	left    []Request
	broke   map[task.ID]Budget // tasks that a free slot would take if there were money for its hours
}

type planner struct {
	now      time.Time
	machines []candidate
	accounts map[int64]*desk
	started  map[task.ThreadID]bool
	plan     Plan
}

func (p *planner) desk(s Snapshot, account int64) *desk {
	if d := p.accounts[account]; d != nil {
		return d
	}
	d := &desk{account: account, ledger: ledger{limits: s.Accounts[account]}, broke: map[task.ID]Budget{}}
	for i := range p.machines {
		m := &p.machines[i]
		if m.Account == account {
			d.count++
		}
		if m.usable(account, p.now) && m.free > 0 {
			d.free = append(d.free, m)
		}
		if m.coming(account) {
			d.booting = append(d.booting, m)
		}
	}
	p.accounts[account] = d
	return d
}

// start gives a task to the best machine that has room and whose hours can be paid.
func (p *planner) start(d *desk, r Request) bool {
	bytes := d.bytes(r)
	until := p.now.Add(d.ledger.limits.Longest)
	var best *candidate
	var rank score
	full := false
	for _, m := range d.free {
		if m.Account != 0 && m.Account != d.account {
			continue // another account took it in this pass
		}
		if m.free == 0 {
			full = true
			continue
		}
		if m.Memory > 0 && m.MemoryFree < bytes {
			continue
		}
		if begun := m.begun(until); begun > 0 {
			if b, ok := d.ledger.allows(int64(begun) * m.Hourly); !ok {
				d.broke[r.ID] = b
				continue
			}
		}
		if s := scoreOf(m, &r); best == nil || s.before(&rank) {
			best, rank = m, s
		}
	}
	if full {
		d.free = slices.DeleteFunc(d.free, func(m *candidate) bool { return m.free == 0 })
	}
	if best == nil {
		return false
	}
	begun := best.begun(until)
	sum := int64(begun) * best.Hourly
	d.ledger.take(sum)
	if begun > 0 {
		best.Paid = best.Paid.Add(time.Duration(begun) * BillingPeriod)
	}
	if best.Account == 0 {
		best.Account = d.account
		d.count++
	}
	best.free--
	best.MemoryFree -= bytes
	best.mirrors[r.Project] = true // the next task of this repository finds it there
	p.plan.Starts = append(p.plan.Starts, Start{Task: r.ID, Node: best.Name, Until: best.Paid, Spend: sum})
	return true
}

// create has those who found no slot wait for machines that boot, and makes more for the rest and for the minimum.
func (p *planner) create(d *desk) {
	l := d.ledger.limits
	rest := d.left
	for _, m := range d.booting {
		slots := max(0, m.Slots-len(m.Tasks))
		for ; slots > 0 && len(rest) > 0; slots-- {
			p.plan.Holds = append(p.plan.Holds, Hold{Task: rest[0].ID, Boots: true})
			rest = rest[1:]
		}
	}
	for len(rest) > 0 {
		made := rest[:min(max(1, l.Slots), len(rest))]
		c, why := p.creation(d, made)
		if why != "" {
			break
		}
		p.plan.Creations = append(p.plan.Creations, c)
		for _, r := range made {
			p.plan.Holds = append(p.plan.Holds, Hold{Task: r.ID, Boots: true})
		}
		rest = rest[len(made):]
	}
	for _, r := range rest {
		p.hold(r, p.why(d, r))
	}
	for p.warm(d) < l.Minimum {
		c, why := p.creation(d, nil)
		if why != "" {
			return
		}
		p.plan.Creations = append(p.plan.Creations, c)
	}
}

// creation counts a new machine against the cap and the budgets, or says why there is none.
func (p *planner) creation(d *desk, made []Request) (Creation, string) {
	l := d.ledger.limits
	switch {
	case !l.Create:
		return Creation{}, "none"
	case d.count >= l.Machines:
		return Creation{}, "cap"
	}
	c := Creation{Account: d.account, Hours: max(1, hours(p.now, p.now.Add(l.Longest+bootAllowance(l))))}
	c.Spend = int64(c.Hours) * l.Hourly
	if _, ok := d.ledger.take(c.Spend); !ok {
		return Creation{}, "budget"
	}
	for _, r := range made {
		c.For = append(c.For, r.ID)
	}
	d.count++
	return c, ""
}

// bootAllowance is the time that a new machine may need before its task begins, as far as hours are reserved for the task.
func bootAllowance(l Limits) time.Duration {
	if l.Longest == 0 {
		return 0
	}
	return 10 * time.Minute
}

// warm counts the machines that are ready or will be: what Limits.Minimum speaks of.
func (p *planner) warm(d *desk) int {
	n := 0
	for i := range p.machines {
		m := &p.machines[i]
		if m.Account == d.account && (m.usable(d.account, p.now) || m.coming(d.account)) {
			n++
		}
	}
	for _, c := range p.plan.Creations {
		if c.Account == d.account {
			n++
		}
	}
	return n
}

func (p *planner) hold(r Request, why string) {
	p.plan.Holds = append(p.plan.Holds, Hold{Task: r.ID, Why: why})
}

func (d *desk) bytes(r Request) int64 { return cmp.Or(r.Memory, d.ledger.limits.Memory) }

// accountsOf lists the accounts that something is decided for, in order.
func accountsOf(s Snapshot) []int64 {
	var all []int64
	for a := range s.Accounts {
		all = append(all, a)
	}
	for _, r := range s.Queue {
		if _, known := s.Accounts[r.Account]; !known {
			all = append(all, r.Account)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
