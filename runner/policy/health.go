package policy

import (
	"cmp"
	"fmt"
	"slices"

	"sam/task"
)

// Below this a node takes no new task, in bytes. A share of the disk, because what fills it grows with it; at most half of what
// one workspace may take, because a large disk has room where its share is small; and never less than the node itself keeps
// free, for it would refuse the task. A node makes room long before: see the agent's.
const (
	leastDisk  = 2 << 30 // of a node that does not say what it keeps free
	mostDisk   = 5 << 30
	mostMemory = 256 << 20 // Claude Code alone takes 240 MiB
	leastShare = 20        // a twentieth of the disk, or of the memory
)

// Healthy says why a node is to take no new task though it lives, as the end of a sentence that begins with the node; empty
// when nothing is against it. What is not known is not held against it. It names limits, never what is left just now: the
// person is told again whenever the words change. Load is no reason: a node has no more slots than it can bear, and what the
// load was over the last minute says little about the next.
func Healthy(v task.Vitals) (why string) {
	what, limit := lacking(v)
	if what == "" {
		return ""
	}
	return fmt.Sprintf("has less than %s of its %s left", size(limit), what)
}

// lacking is what a node has too little of, and how many bytes it should have.
func lacking(v task.Vitals) (what string, limit int64) {
	if disk := max(cmp.Or(v.DiskKept, leastDisk), min(v.Disk/leastShare, mostDisk)); v.Disk+v.DiskFree > 0 && v.DiskFree < disk {
		return "disk", disk
	}
	// Where nothing is known of the memory, its limit is 0.
	if memory := min(v.Memory/leastShare, mostMemory); v.MemoryFree < memory {
		return "memory", memory
	}
	return "", 0
}

func isWell(v task.Vitals) bool {
	what, _ := lacking(v)
	return what == ""
}

// size writes bytes for a person.
func size(bytes int64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}

// unwell is what a person is told of nodes that are free and take no task for it. Nodes are named in order.
func unwell(nodes []task.Node) string {
	first := slices.MinFunc(nodes, func(a, b task.Node) int { return cmp.Compare(a.Name, b.Name) })
	words := fmt.Sprintf("The node %s %s, so it takes no new task", first.Name, Healthy(first.Vitals))
	if others := len(nodes) - 1; others > 0 {
		words += fmt.Sprintf(", and %d more like it", others)
	}
	return words + ". This starts by itself as soon as there is room: when a task ends, or whoever runs the node makes some."
}

// readiness is 2 for a node that has the repository's mirror and an image of its environment, 1 for one that has the mirror.
func readiness(n *task.Node, repository int64) int {
	switch {
	case !slices.Contains(n.Mirrors, repository):
		return 0
	case !slices.Contains(n.Built, repository):
		return 1
	}
	return 2
}
