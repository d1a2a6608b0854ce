package policy_test

import (
	"strings"
	"testing"

	"sam/runner/policy"
	"sam/task"
)

const gib = 1 << 30

func TestANodeTakesNewTasksUnlessItsDiskOrItsMemoryIsUsedUp(t *testing.T) {
	for name, c := range map[string]struct {
		v    task.Vitals
		want string // "" for well
	}{
		"of which nothing is known":                                       {task.Vitals{}, ""},
		"with much of everything":                                         {task.Vitals{MemoryFree: 4 * gib, Memory: 8 * gib, DiskFree: 30 * gib, Disk: 40 * gib, DiskKept: 2 * gib}, ""},
		"that is at work as hard as it can":                               {task.Vitals{Load1: 64, DiskFree: 30 * gib, Disk: 40 * gib}, ""},
		"whose disk is full":                                              {task.Vitals{Disk: 40 * gib}, "2.0 GiB of its disk"},
		"with as much as is to be free":                                   {task.Vitals{DiskFree: 2 * gib, Disk: 40 * gib}, ""},
		"with a byte less":                                                {task.Vitals{DiskFree: 2*gib - 1, Disk: 40 * gib}, "2.0 GiB of its disk"},
		"with less than a twentieth of a larger disk":                     {task.Vitals{DiskFree: 3 * gib, Disk: 80 * gib}, "4.0 GiB of its disk"},
		"with a small share of a huge disk":                               {task.Vitals{DiskFree: 6 * gib, Disk: 2000 * gib}, ""},
		"with nearly nothing of a huge disk":                              {task.Vitals{DiskFree: 4 * gib, Disk: 2000 * gib}, "5.0 GiB of its disk"},
		"that keeps less free, on a small disk":                           {task.Vitals{DiskFree: gib, Disk: 10 * gib, DiskKept: gib / 2}, ""},
		"that keeps more free, and would refuse the task":                 {task.Vitals{DiskFree: 6 * gib, Disk: 100 * gib, DiskKept: 8 * gib}, "8.0 GiB of its disk"},
		"of an older release, that does not say how large its disk is":    {task.Vitals{DiskFree: 3 * gib, MemoryFree: 1}, ""},
		"of an older release, whose disk is full":                         {task.Vitals{DiskFree: gib}, "2.0 GiB of its disk"},
		"whose memory is used up":                                         {task.Vitals{MemoryFree: 200 << 20, Memory: 8 * gib}, "256 MiB of its memory"},
		"without any memory left":                                         {task.Vitals{Memory: 2 * gib}, "102 MiB of its memory"},
		"with little memory, of which there is something":                 {task.Vitals{MemoryFree: 200 << 20, Memory: gib}, ""},
		"of which both are used up, and whose disk is what is said first": {task.Vitals{Disk: 40 * gib, Memory: gib}, "2.0 GiB of its disk"},
	} {
		got := policy.Healthy(c.v)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("one %s: %q, want %q", name, got, c.want)
		}
	}
}

// ill is a node whose disk is full.
func ill(n task.Node) task.Node { n.Vitals = task.Vitals{DiskFree: gib, Disk: 40 * gib}; return n }

func TestANodeThatIsNotWellIsGivenNothingThoughItHasTheMirror(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []task.Node
		node  string
		says  []string
	}{
		"another takes it": {[]task.Node{ill(ready("a", 9, 7)), ready("b", 1)}, "b", nil},
		"without another the person is told why": {[]task.Node{ill(ready("big", 9, 7))}, "",
			[]string{"The node big has less than 2.0 GiB of its disk left, so it takes no new task. This starts by itself"}},
		"of several one is named":                      {[]task.Node{ill(ready("c", 1)), ill(ready("b", 1)), ill(ready("d", 1))}, "", []string{"The node b has", ", and 2 more like it."}},
		"one that is at work gives the better hope":    {[]task.Node{ill(ready("a", 1)), ready("b", 0)}, "", []string{"Every node is at work"}},
		"one that is full counts as at work, not more": {[]task.Node{ill(ready("a", 0))}, "", []string{"Every node is at work"}},
	} {
		got := policy.Place(policy.Wanted{Spec: task.Spec{Project: 7, Account: 5}, Now: now}, c.nodes)
		if got.Node != c.node {
			t.Errorf("%s: %+v, want node %q", name, got, c.node)
		}
		for _, words := range c.says {
			if !strings.Contains(got.Wait, words) {
				t.Errorf("%s: it says %q, not %q", name, got.Wait, words)
			}
		}
	}
}

func TestOfTwoMirrorsTheOneWithTheBuiltEnvironmentIsTaken(t *testing.T) {
	built := func(n task.Node, repositories ...int64) task.Node { n.Built = repositories; return n }
	for name, nodes := range map[string][]task.Node{
		"though it has fewer free slots":             {ready("a", 9, 7), built(ready("b", 1, 7), 7)},
		"and an image alone is not worth the mirror": {built(ready("a", 1), 7), ready("b", 1, 7)},
		"and another repository's is of no use":      {built(ready("a", 1, 7), 8), built(ready("b", 1, 7, 8), 8, 7)},
	} {
		got := policy.Place(policy.Wanted{Spec: task.Spec{Project: 7, Account: 5}, Now: now}, nodes)
		if got.Node != "b" {
			t.Errorf("%s: %+v", name, got)
		}
		pool := policy.Snapshot{Now: now, Queue: []policy.Request{policy.RequestOf(task.Task{Spec: task.Spec{ID: "tx1", Project: 7, Account: 5}})}}
		for _, n := range nodes {
			pool.Machines = append(pool.Machines, policy.MachineOf(n))
		}
		if plan := policy.Decide(pool); len(plan.Starts) != 1 || plan.Starts[0].Node != "b" {
			t.Errorf("%s, by the pool: %+v", name, plan)
		}
	}
}

func TestThePoolGivesAMachineThatIsNotWellNothingAndMakesAnotherOrSaysWhy(t *testing.T) {
	sick := policy.MachineOf(ill(ready("m-1", 2, 7)))
	sick.Created, sick.Paid = now, now.Add(policy.BillingPeriod)
	queue := []policy.Request{policy.RequestOf(task.Task{Spec: task.Spec{ID: "tx1", Project: 7, Account: 5, Thread: "7-1"}})}
	limits := policy.Limits{Create: true, Machines: 2, Slots: 1}
	plan := policy.Decide(policy.Snapshot{Now: now, Machines: []policy.Machine{sick}, Queue: queue, Accounts: map[int64]policy.Limits{5: limits}})
	if len(plan.Starts) != 0 || len(plan.Creations) != 1 || len(plan.Holds) != 1 || !plan.Holds[0].Boots {
		t.Errorf("with room for another: %+v", plan)
	}
	limits.Machines = 1
	plan = policy.Decide(policy.Snapshot{Now: now, Machines: []policy.Machine{sick}, Queue: queue, Accounts: map[int64]policy.Limits{5: limits}})
	if len(plan.Starts) != 0 || len(plan.Creations) != 0 || len(plan.Holds) != 1 || !strings.HasPrefix(plan.Holds[0].Why, "The node m-1 has less than") {
		t.Errorf("without: %+v", plan)
	}
	sick.Vitals = task.Vitals{DiskFree: 30 * gib, Disk: 40 * gib}
	plan = policy.Decide(policy.Snapshot{Now: now, Machines: []policy.Machine{sick}, Queue: queue, Accounts: map[int64]policy.Limits{5: limits}})
	if len(plan.Starts) != 1 {
		t.Errorf("when it is well again: %+v", plan)
	}
}
