// Package policy holds the runner's decisions, pure: a snapshot goes in, a decision comes out. It does no I/O and reads
// no clock, so that a simulation can run the very same code.
package policy

import (
	"slices"

	"sam/task"
)

// Placement is what to do with a task that needs a node. Exactly one of Node and Wait is set.
type Placement struct {
	Node string // give it to this node
	Wait string // leave it for now; why, for the person, with what helps
}

// Place chooses among the nodes of one account for a task: one that already has the repository's mirror, else the one with
// the most free slots; ties go to the name that sorts first, so that the same snapshot gives the same answer. A node
// that was claimed by another account is never used, whatever is free on it; account 0 is a node that nobody has used yet.
func Place(spec task.Spec, nodes []task.Node) Placement {
	var candidates []task.Node
	ready, others := 0, 0
	for _, n := range nodes {
		switch {
		case n.Account != 0 && n.Account != spec.Account:
			others++
		case n.State != task.NodeReady:
		case n.Free() == 0:
			ready++
		default:
			candidates = append(candidates, n)
		}
	}
	if len(candidates) > 0 {
		best := slices.MinFunc(candidates, func(a, b task.Node) int {
			if holds := slices.Contains(b.Mirrors, spec.Project); holds != slices.Contains(a.Mirrors, spec.Project) {
				if holds {
					return 1
				}
				return -1
			}
			if a.Free() != b.Free() {
				return b.Free() - a.Free()
			}
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
		return Placement{Node: best.Name}
	}
	switch {
	case ready > 0:
		return Placement{Wait: "Every node is at work; this starts as soon as one is free."}
	case others > 0 && others == len(nodes):
		return Placement{Wait: "The nodes that are here serve another account, and a node serves one account only. The operator can connect one more with `sam node`."}
	default:
		return Placement{Wait: "No node is connected. On the machine that is to do the work the operator starts `sam node`; this then goes on by itself."}
	}
}
