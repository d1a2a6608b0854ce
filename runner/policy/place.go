// Package policy holds the runner's decisions, pure: a snapshot goes in, a decision comes out. It does no I/O and reads
// no clock, so that a simulation can run the very same code.
package policy

import (
	"cmp"
	"slices"
	"time"

	"sam/task"
)

// Wanted is what is to be placed.
type Wanted struct {
	task.Spec
	Avoid string    // a node that lost the task: taken only where there is no other
	Now   time.Time // by the clock of Node.Seen; zero: every node counts as seen
}

// Placement is what to do with a task that needs a node. Exactly one of Node and Wait is set.
type Placement struct {
	Node string // give it to this node
	Wait string // leave it for now; why, for the person, with what helps
}

// Place chooses among the nodes of one account for a task: any other than the one that lost it, one that already has the
// repository's mirror, one that has built its environment too, the one with the most free slots; ties go to the name that sorts
// first, so that the same snapshot gives the same answer. One that is not Healthy takes none. A node that was claimed by another account is never used, whatever is free on it; account 0 is a
// node that nobody has used yet. One that was not seen for task.NodeSilence counts as lost whatever its record says.
func Place(w Wanted, nodes []task.Node) Placement {
	var candidates, ill []task.Node
	ready, others := 0, 0
	for _, n := range nodes {
		silent := !w.Now.IsZero() && w.Now.Sub(n.Seen) >= task.NodeSilence
		switch {
		case n.Account != 0 && n.Account != w.Account:
			others++
		case n.State != task.NodeReady || silent:
		case n.Free() == 0:
			ready++
		case !isWell(n.Vitals):
			ill = append(ill, n)
		default:
			candidates = append(candidates, n)
		}
	}
	if len(candidates) > 0 {
		best := slices.MinFunc(candidates, func(a, b task.Node) int {
			return cmp.Or(
				later(a.Name == w.Avoid, b.Name == w.Avoid),
				readiness(&b, w.Project)-readiness(&a, w.Project),
				b.Free()-a.Free(),
				cmp.Compare(a.Name, b.Name),
			)
		})
		return Placement{Node: best.Name}
	}
	switch {
	case ready > 0:
		return Placement{Wait: "Every node is at work; this starts as soon as one is free."}
	case len(ill) > 0:
		return Placement{Wait: unwell(ill)}
	case others > 0 && others == len(nodes):
		return Placement{Wait: "The nodes that are here serve another account, and a node serves one account only. The operator can connect one more with `sam node`."}
	default:
		return Placement{Wait: "No node is connected. On the machine that is to do the work the operator starts `sam node`; this then goes on by itself."}
	}
}

// later orders what is so after what is not.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
