package policy_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/runner/policy"
	"sam/task"
)

// drawn is any snapshot: three accounts and nobody's, machines in every state, a queue in any order of threads.
func drawn(t *rapid.T) policy.Snapshot {
	number := func(what string, least, most int) int { return rapid.IntRange(least, most).Draw(t, what) }
	s := policy.Snapshot{Now: now, Accounts: map[int64]policy.Limits{}, Busy: map[task.ThreadID]bool{}}
	for account := int64(1); account <= 3; account++ {
		l := policy.Limits{
			Create: rapid.Bool().Draw(t, "create"), Machines: number("most", 0, 6), Minimum: number("minimum", 0, 3),
			Hourly: int64(number("hourly", 0, 3)), Slots: number("slots of new ones", 1, 3), Memory: int64(number("memory of a task", 0, 3)),
			Longest: time.Duration(number("longest", 0, 150)) * time.Minute,
		}
		for _, name := range []string{"daily", "monthly"}[:number("budgets", 0, 2)] {
			l.Budgets = append(l.Budgets, policy.Budget{Name: name, Cap: int64(number("budget", 0, 30)), Spent: int64(number("spent", 0, 30))})
		}
		s.Accounts[account] = l
	}
	for i := range number("machines", 0, 8) {
		m := machine(fmt.Sprintf("m%d", i), number("tasks", 0, 3), int64(number("mirror", 1, 3)))
		m.Account = int64(number("account", 0, 3))
		m.State = rapid.SampledFrom([]task.NodeState{task.NodeReady, task.NodeReady, task.NodeReady, task.NodeBooting, task.NodeLost}).Draw(t, "state")
		m.Slots, m.Memory = number("slots", 0, 3), int64(number("memory", 0, 6))
		m.MemoryFree = int64(number("free memory", 0, int(m.Memory)))
		m.Draining = number("drains", 0, 4) == 0
		m.Created = now.Add(-time.Duration(number("age", 0, 200)) * time.Minute)
		m.Used = m.Created.Add(time.Duration(number("used", 0, int(now.Sub(m.Created)/time.Minute))) * time.Minute)
		m.Paid = policy.PaidUntil(m.Created, now).Add(time.Duration(number("reserved", 0, 2)) * time.Hour)
		m.Hourly = int64(number("price", 0, 3))
		m.Seen = now.Add(-time.Duration(number("silent", 0, 60)) * time.Second)
		s.Machines = append(s.Machines, m)
	}
	for i := range number("queue", 0, 12) {
		thread := task.ThreadID(fmt.Sprintf("thread %d", number("thread", 0, 8)))
		s.Queue = append(s.Queue, policy.Request{
			Spec: task.Spec{
				ID: task.ID(fmt.Sprintf("t%d", i)), Account: int64(len(thread)+int(thread[len(thread)-1]))%3 + 1,
				Project: int64(number("project", 1, 3)), Thread: thread,
			},
			Memory: int64(number("wants memory", 0, 4)), Avoid: fmt.Sprintf("m%d", number("avoid", 0, 8)),
		})
		s.Busy[thread] = s.Busy[thread] || number("busy", 0, 5) == 0
	}
	return s
}

func TestAPassNeverExceedsACapABudgetOrAMachineWhateverItIsGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		before := fmt.Sprintf("%+v", s)
		p := policy.Decide(s)
		if after := fmt.Sprintf("%+v", s); after != before {
			t.Fatalf("the snapshot was changed:\n%s\n%s", before, after)
		}
		checkTasks(t, s, p)
		checkMachines(t, s, p)
		checkMoney(t, s, p)
		if again := policy.Decide(s); !reflect.DeepEqual(again, p) {
			t.Fatalf("%+v, and then %+v", p, again)
		}
		shuffled := s
		shuffled.Machines = slices.Clone(s.Machines)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, seed)).Shuffle(len(shuffled.Machines), func(i, j int) {
			shuffled.Machines[i], shuffled.Machines[j] = shuffled.Machines[j], shuffled.Machines[i]
		})
		if again := policy.Decide(shuffled); !reflect.DeepEqual(again.Starts, p.Starts) || !reflect.DeepEqual(again.Creations, p.Creations) {
			t.Fatalf("%+v, and with the same machines in another order %+v", p, again)
		}
	})
}

// checkTasks: each of the queue is decided once; of a thread only the first is started, and none of a busy one.
func checkTasks(t *rapid.T, s policy.Snapshot, p policy.Plan) {
	count, started := map[task.ID]int{}, map[task.ID]bool{}
	for _, x := range p.Starts {
		count[x.Task]++
		started[x.Task] = true
	}
	for _, h := range p.Holds {
		count[h.Task]++
		if h.Boots == (h.Why != "") {
			t.Fatalf("not exactly one of a machine that comes and a reason: %+v", h)
		}
	}
	first := map[task.ThreadID]bool{}
	for _, r := range s.Queue {
		if count[r.ID] != 1 {
			t.Fatalf("%s is decided %d times", r.ID, count[r.ID])
		}
		if started[r.ID] && (first[r.Thread] || s.Busy[r.Thread]) {
			t.Fatalf("%s is started out of its thread's turn", r.ID)
		}
		first[r.Thread] = true
	}
}

// checkMachines: each serves one account, those that may take tasks take no more than fit, and caps hold.
func checkMachines(t *rapid.T, s policy.Snapshot, p policy.Plan) {
	requests, machines := map[task.ID]policy.Request{}, map[string]policy.Machine{}
	for _, r := range s.Queue {
		requests[r.ID] = r
	}
	have := map[int64]int{}
	for _, m := range s.Machines {
		machines[m.Name] = m
		have[m.Account]++
	}
	for _, x := range p.Starts {
		r, m := requests[x.Task], machines[x.Node]
		if m.Account != 0 && m.Account != r.Account {
			t.Fatalf("%s of account %d on %s, which serves %d", r.ID, r.Account, m.Name, m.Account)
		}
		if m.Free() == 0 || m.Draining || now.Sub(m.Seen) >= task.NodeSilence {
			t.Fatalf("%s on %+v, which takes no tasks", r.ID, m)
		}
		need := r.Memory
		if need == 0 {
			need = s.Accounts[r.Account].Memory
		}
		if m.Memory > 0 && m.MemoryFree < need {
			t.Fatalf("%s wants %d of the %d bytes of %s", r.ID, need, m.MemoryFree, m.Name)
		}
		m.Account, m.MemoryFree = r.Account, m.MemoryFree-need
		m.Tasks = append(slices.Clone(m.Tasks), r.ID)
		machines[x.Node] = m
	}
	for _, c := range p.Creations {
		l := s.Accounts[c.Account]
		have[c.Account]++
		if !l.Create || have[c.Account] > l.Machines {
			t.Fatalf("creation of machine %d of account %d, which may have %d", have[c.Account], c.Account, l.Machines)
		}
		if len(c.For) > l.Slots {
			t.Fatalf("one machine of %d slots for %v", l.Slots, c.For)
		}
		for _, id := range c.For {
			if requests[id].Account != c.Account {
				t.Fatalf("a machine of account %d for %s of account %d", c.Account, id, requests[id].Account)
			}
		}
	}
}

// checkMoney: what a pass spends fits into every budget, and pays for the hours that it says.
func checkMoney(t *rapid.T, s policy.Snapshot, p policy.Plan) {
	account, machines, sum := map[task.ID]int64{}, map[string]policy.Machine{}, map[int64]int64{}
	for _, r := range s.Queue {
		account[r.ID] = r.Account
	}
	for _, m := range s.Machines {
		machines[m.Name] = m
	}
	for _, x := range p.Starts {
		m, l := machines[x.Node], s.Accounts[account[x.Task]]
		sum[account[x.Task]] += x.Spend
		if want := int64(x.Until.Sub(m.Paid)/time.Hour) * m.Hourly; x.Spend != want || x.Until.Before(now.Add(l.Longest)) {
			t.Fatalf("%+v of %+v: to spend %d", x, m, want)
		}
		m.Paid = x.Until
		machines[x.Node] = m
	}
	for _, c := range p.Creations {
		l := s.Accounts[c.Account]
		sum[c.Account] += c.Spend
		if c.Hours < 1 || c.Spend != int64(c.Hours)*l.Hourly || time.Duration(c.Hours)*time.Hour < l.Longest {
			t.Fatalf("%+v at %d an hour, for tasks of %s", c, l.Hourly, l.Longest)
		}
	}
	for a, spent := range sum {
		for _, b := range s.Accounts[a].Budgets {
			if spent > 0 && b.Spent+spent > b.Cap {
				t.Fatalf("%d spent of the budget %+v", spent, b)
			}
		}
	}
}

func TestReleaseKeepsWhatIsAtWorkTheMinimumAndTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawn(t)
		k := anyPolicy(t)
		arrivals := map[int64][]time.Time{1: every(time.Duration(rapid.IntRange(1, 100).Draw(t, "pause"))*time.Minute, 40, now)}
		kept := policy.Release(k, s, arrivals)
		sum, ready, fit, gone := map[int64]int64{}, map[int64]int{}, map[int64]int{}, map[int64]int{}
		machines := map[string]policy.Machine{}
		for _, m := range s.Machines {
			machines[m.Name] = m
			seen := m.State == task.NodeReady && now.Sub(m.Seen) < task.NodeSilence
			if (seen || m.State == task.NodeBooting) && !m.Draining {
				ready[m.Account]++
			}
		}
		for _, name := range kept.LetGo {
			m := machines[name]
			if len(m.Tasks) > 0 || m.State != task.NodeReady || now.Sub(m.Seen) >= task.NodeSilence {
				t.Fatalf("let go of %+v", m)
			}
			if !m.Draining {
				fit[m.Account]++
			}
			gone[m.Account]++
		}
		for _, r := range kept.Renewals {
			m := machines[r.Node]
			sum[m.Account] += r.Spend
			if r.Spend != int64(r.Until.Sub(m.Paid)/time.Hour)*m.Hourly || slices.Contains(kept.LetGo, r.Node) {
				t.Fatalf("%+v of %+v", r, m)
			}
		}
		for a, spent := range sum {
			for _, b := range s.Accounts[a].Budgets {
				if spent > 0 && b.Spent+spent > b.Cap {
					t.Fatalf("%d spent of the budget %+v", spent, b)
				}
			}
		}
		for a, n := range fit {
			if l := s.Accounts[a]; len(l.Budgets) == 0 && ready[a]-n < min(l.Minimum, ready[a]) {
				t.Fatalf("%d of account %d's %d let go, though %d are to be warm", n, a, ready[a], l.Minimum)
			}
		}
		if !kept.Next.IsZero() && !kept.Next.After(now) {
			t.Fatalf("to be asked again at %s, and it is %s", kept.Next, now)
		}
		if again := policy.Release(k, s, arrivals); !reflect.DeepEqual(again, kept) {
			t.Fatalf("%+v, and then %+v", kept, again)
		}
	})
}
