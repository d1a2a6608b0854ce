package policy

import (
	"cmp"
	"slices"
	"time"

	"sam/task"
)

// Kept is what becomes of the machines that nobody uses.
type Kept struct {
	LetGo    []string  // by name; drain and delete them now
	Renewals []Renewal // machines that are kept into another hour
	// Next is when to ask again if nothing happens before; zero when every machine that is kept is at work.
	Next time.Time
}

// Renewal is another hour of an idle machine.
type Renewal struct {
	Node  string
	Until time.Time // its new Paid
	Spend int64     // what is to be added to the account's budgets first
}

// Release decides which machines are kept. Arrivals are those of each account: see Warm. What the queue needs is
// to be placed before, by Decide, and what is not ours to delete left out.
//
// Whatever the policy, a machine at work is kept; a draining one is let go as soon as it is idle; the account's Minimum of
// machines that are ready or booting is kept where its budgets pay for it; and an idle machine for whose next hour there is
// no money is let go before that begins. A lost or silent one is not for this to judge: a task may still run there.
func Release(k Keeper, s Snapshot, arrivals map[int64][]time.Time) Kept {
	var kept Kept
	idle, free, warm := census(s)
	ledgers := map[int64]*ledger{}
	for _, m := range idle {
		if m.Draining {
			kept.LetGo = append(kept.LetGo, m.Name)
			continue
		}
		l := ledgers[m.Account]
		if l == nil {
			l = &ledger{limits: s.Accounts[m.Account]}
			ledgers[m.Account] = l
		}
		paid := PaidUntil(m.Created, s.Now)
		v := Ask(k, Warm{
			Now: s.Now, Created: m.Created, Paid: paid, Used: m.Used, Slots: m.Slots, Free: m.Free(),
			Spare: free[m.Account] - m.Free(), Arrivals: arrivals[m.Account],
		})
		ends := !s.Now.Before(paid.Add(-Margin))
		if v.LetGo && warm[m.Account] <= l.limits.Minimum {
			v = Verdict{Next: paid.Add(-Margin)}
			if ends {
				v.Next = v.Next.Add(BillingPeriod)
			}
		}
		if !v.LetGo && ends {
			until := paid.Add(BillingPeriod)
			begun := hours(m.Paid, until)
			spend := int64(begun) * m.Hourly
			if _, ok := l.take(spend); !ok {
				v = Verdict{LetGo: true}
			} else if begun > 0 {
				kept.Renewals = append(kept.Renewals, Renewal{Node: m.Name, Until: until, Spend: spend})
			}
		}
		if v.LetGo {
			kept.LetGo = append(kept.LetGo, m.Name)
			free[m.Account] -= m.Free()
			warm[m.Account]--
			continue
		}
		if kept.Next.IsZero() || v.Next.Before(kept.Next) {
			kept.Next = v.Next
		}
	}
	return kept
}

// census lists the idle machines, the one whose hour ends first before the others: of two that are not both needed it is
// the one to lose. With it come each account's free slots, and its machines that are ready or will be.
func census(s Snapshot) (idle []*Machine, free, warm map[int64]int) {
	free, warm = map[int64]int{}, map[int64]int{}
	for i := range s.Machines {
		m := &s.Machines[i]
		ready := m.State == task.NodeReady && !m.silent(s.Now)
		if !m.Draining && (ready || m.State == task.NodeBooting) {
			warm[m.Account]++
		}
		if !ready {
			continue
		}
		if !m.Draining {
			free[m.Account] += m.Free()
		}
		if len(m.Tasks) == 0 {
			idle = append(idle, m)
		}
	}
	slices.SortFunc(idle, func(a, b *Machine) int {
		return cmp.Or(PaidUntil(a.Created, s.Now).Compare(PaidUntil(b.Created, s.Now)), cmp.Compare(a.Name, b.Name))
	})
	return idle, free, warm
}
