package wire

import "time"

// Boot is how a machine that SAM made became a node, as `sam boot` reports it. The times of its steps do not overlap, and
// between the last of them and the welcome of the first link is what `sam node` itself takes.
type Boot struct {
	Made  time.Time `json:"made"`  // by the server's clock, when the machine was ordered
	Began time.Time `json:"began"` // by the machine's, when its own work began: when the first program was fetched
	// Again says that the machine was a node before and has restarted: Made has nothing to do with it.
	Again bool       `json:"again,omitempty"`
	Steps []BootStep `json:"steps"`
}

// BootStep is one thing that was done, and how long it took.
type BootStep struct {
	Name  string `json:"name"`
	MS    int64  `json:"ms"`
	Note  string `json:"note,omitempty"`
	Error string `json:"error,omitempty"` // it was left out for this
}
