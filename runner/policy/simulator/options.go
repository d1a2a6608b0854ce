package simulator

import (
	"time"

	"sam/runner/policy"
)

// Options are what the machines of a simulation are like, and who decides about them.
type Options struct {
	Policy   policy.Keeper
	Schedule policy.Schedule
	Machines int           // at most so many for each account, creations in flight included
	Slots    int           // workspaces that a machine runs at once
	Hourly   int64         // millionths of a euro for a begun hour of a machine with its address
	Fetch    time.Duration // how much longer a task takes to begin where its repository is not yet
	Delete   time.Duration // from the decision to the end of being paid for
	Seed     uint64        // of the times that machines take to boot
}

// Defaults are what a small team's account would have: at most ten machines of type CX43, which have 16 GB and so room for
// three workspaces of the 4 GiB that `sam node` gives to each. A begun hour of one is 0.0144 EUR and its primary IPv4 0.0008,
// without VAT. Prices change; with these every cost changes in proportion, and no comparison. The monthly cap on a server's
// price is left out: a machine would have to live for almost the whole month to reach it.
func Defaults() Options {
	return Options{
		Machines: 10, Slots: policy.SlotsByMemory(16<<30, 1<<30, 4<<30), Hourly: 15_200,
		Fetch: 20 * time.Second, Delete: 10 * time.Second,
	}
}
