package policy

import (
	"strconv"
	"time"

	"sam/task"
)

// Machine is a node as the pool sees it: its record, and what is known of the machine below it. One that was asked of a
// provider and has not called home is task.NodeBooting; it counts against every cap from then on.
type Machine struct {
	task.Node
	Images     []string  // environments that it has built, by whatever name Request.Image uses
	MemoryFree int64     // bytes that are not given to workspaces; ignored when Memory is 0
	Memory     int64     // bytes for workspaces in all; 0: it has slots only
	Draining   bool      // it takes no more tasks and is let go when it has none
	Created    time.Time // since when it is paid for
	Paid       time.Time // until when its hours are paid for or reserved: counted in its account's budgets
	Used       time.Time // when its last task ended; Created of one that has had none
	Hourly     int64     // millionths of the currency's unit for a begun hour, its address included; 0: it costs nothing
}

// MachineOf is a node as the pool sees it, but for what is known of the machine below it.
func MachineOf(n task.Node) Machine {
	m := Machine{Node: n, Draining: n.Draining}
	for _, repository := range n.Built {
		m.Images = append(m.Images, environmentOf(repository))
	}
	return m
}

// environmentOf names the environment of a repository in Machine.Images and Request.Image. One that has none is on no machine,
// and so makes no difference between them.
func environmentOf(repository int64) string { return strconv.FormatInt(repository, 10) }

// RequestOf is what a task asks of a node.
func RequestOf(t task.Task) Request {
	return Request{Spec: t.Spec, Avoid: t.Avoid, Image: environmentOf(t.Project)}
}

// Request is a task that is first in its thread and needs a node.
type Request struct {
	task.Spec
	Avoid  string // a node that lost the task: taken only where there is no other
	Image  string // the environment that it wants, if one is known
	Memory int64  // bytes; 0: what Limits.Memory says, or a slot whatever its size
}

// Budget is a sum that must not be exceeded: a day's, a month's. The zero Budget allows nothing.
type Budget struct {
	Name  string // for the person: daily, monthly
	Cap   int64  // millionths of the currency's unit
	Spent int64  // likewise: what was paid and what is reserved, creations in flight included
}

// Limits bound what an account may have.
type Limits struct {
	Create   bool          // machines may be created for it; false: it has those that are there
	Machines int           // at most so many machines, booting and draining ones and those of no use any more included
	Minimum  int           // keep at least so many warm now: see Schedule
	Budgets  []Budget      // each must hold
	Hourly   int64         // what a begun hour of a new machine costs
	Slots    int           // of a new machine: see SlotsByMemory
	Memory   int64         // bytes that a workspace is given
	Longest  time.Duration // how long a task may run: hours that it may begin are reserved when it starts. 0: the first alone
}

// Snapshot is all that a pass of the pool decides by. It is not changed by the decision.
type Snapshot struct {
	Now      time.Time
	Machines []Machine
	Queue    []Request // in the order in which they are to be served
	Accounts map[int64]Limits
	Busy     map[task.ThreadID]bool // threads that have a task under way: nothing else of them is started
}

// Start gives a task to a node that is ready.
type Start struct {
	Task  task.ID
	Node  string
	Until time.Time // until when the node is to be reserved; before its Paid when that is enough
	Spend int64     // what is to be added to the account's budgets first
}

// Creation is a machine to make.
type Creation struct {
	Account int64
	For     []task.ID // the tasks that it is made for, at most Limits.Slots; none: it is to be warm
	Hours   int       // to be reserved
	Spend   int64     // likewise, in money: to be added to the account's budgets first
}

// Hold is a task that is not started in this pass.
type Hold struct {
	Task  task.ID
	Boots bool   // a machine that boots, or that is to be made, will take it
	Why   string // otherwise: for the person, with what helps
}

// Plan is what a pass does. Every task of the queue is in Starts or Holds, once.
type Plan struct {
	Starts    []Start
	Creations []Creation
	Holds     []Hold
}

// SlotsByMemory is how many workspaces of a size fit into a machine, when some of its memory is kept for the host; at least 1,
// since a machine that takes none is of no use.
func SlotsByMemory(machine, host, workspace int64) int {
	if workspace <= 0 {
		return 1
	}
	return int(max(1, (machine-host)/workspace))
}

// usable says whether a machine may take a task of an account now.
func (m *Machine) usable(account int64, now time.Time) bool {
	return m.State == task.NodeReady && !m.Draining && (m.Account == 0 || m.Account == account) && !m.silent(now) && isWell(m.Vitals)
}

// coming says whether a machine will take the account's tasks once it has booted.
func (m *Machine) coming(account int64) bool {
	return m.State == task.NodeBooting && !m.Draining && m.Account == account
}

func (m *Machine) silent(now time.Time) bool {
	return !now.IsZero() && now.Sub(m.Seen) >= task.NodeSilence
}
