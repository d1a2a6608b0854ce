package task

import "time"

// NodeState is where a node stands.
type NodeState string

// The states of a node.
const (
	NodeBooting NodeState = "booting" // it has a record and was asked of its provider; it has not called home yet
	NodeReady   NodeState = "ready"   // its link is up and tasks may be placed on it
	NodeLost    NodeState = "lost"    // its link has been silent for longer than NodeSilence
	NodeGoing   NodeState = "going"   // it is let go: its machine is being deleted, and it never comes back
)

// NodeSilence is how long a node's link may be silent before the node counts as lost. NodeBeat is how often it
// reports; four beats may go missing.
const (
	NodeSilence = 45 * time.Second
	NodeBeat    = 10 * time.Second
)

// Node is one machine that runs workspaces. It serves one account only, ever.
type Node struct {
	Name      string    `json:"name"` // unique; the idempotency key of its creation
	Account   int64     `json:"account"`
	Provider  string    `json:"provider"`
	State     NodeState `json:"state"`
	Slots     int       `json:"slots"` // workspaces that may run at once
	Version   string    `json:"version,omitempty"`
	Workspace string    `json:"workspace,omitempty"` // the kind of workspace it makes: process, docker
	Seen      time.Time `json:"seen,omitzero"`       // the last beat, Redis's clock
	Tasks     []ID      `json:"tasks,omitempty"`
	Mirrors   []int64   `json:"mirrors,omitempty"`  // repositories it holds a mirror of
	Built     []int64   `json:"built,omitempty"`    // repositories that it has an image of their environment of
	Vitals    Vitals    `json:"vitals,omitzero"`    // as of its last beat
	Machine   *Machine  `json:"machine,omitempty"`  // what its provider made for it; nil: a node that stands, or none yet
	Made      time.Time `json:"made,omitzero"`      // when the record was
	Used      time.Time `json:"used,omitzero"`      // when its last task ended
	Draining  bool      `json:"draining,omitempty"` // it gets no more tasks, and is let go when it has none
	Why       string    `json:"why,omitempty"`      // it is let go, for the operator's log
	Trouble   string    `json:"trouble,omitempty"`  // what it did wrong when it called home, for the person
}

// Machine is what a provider has made for a node.
type Machine struct {
	ID        string    `json:"id"` // the provider's
	Type      string    `json:"type"`
	Location  string    `json:"location"`
	Hour      int64     `json:"hour"`      // the price of a begun hour when it was made, in millionths of the currency's unit
	Created   time.Time `json:"created"`   // by the provider's clock: billing counts from here
	Addresses []string  `json:"addresses"` // public ones, an IPv6 as a prefix
}

// Free is how many more workspaces the node can take now.
func (n Node) Free() int {
	if n.State != NodeReady {
		return 0
	}
	return max(0, n.Slots-len(n.Tasks))
}
