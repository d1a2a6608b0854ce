package simulator

import (
	"cmp"
	"container/heap"
	"time"
)

// events is what is to happen, the earliest first.
type events struct {
	heap eventHeap
	seq  int
}

func (e *events) push(x event) {
	e.seq++
	x.seq = e.seq
	heap.Push(&e.heap, x)
}

func (e *events) pop() event {
	x, _ := heap.Pop(&e.heap).(event)
	return x
}

type kind int

// What happens at the same moment happens in this order: slots are given back before they are asked for.
const (
	finish kind = iota
	boot
	arrive
	edge // a window of the schedule begins or ends
	ask  // about keeping machines
)

type event struct {
	at      time.Time
	kind    kind
	seq     int
	job     *job
	machine *machine
}

func (e event) before(o event) bool {
	return cmp.Or(e.at.Compare(o.at), cmp.Compare(e.kind, o.kind), cmp.Compare(e.seq, o.seq)) < 0
}

// eventHeap is container/heap's view of events.
type eventHeap []event

func (h eventHeap) Len() int           { return len(h) }
func (h eventHeap) Less(i, j int) bool { return h[i].before(h[j]) }
func (h eventHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *eventHeap) Push(x any) {
	e, _ := x.(event)
	*h = append(*h, e)
}

// Pop is for container/heap.
func (h *eventHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
