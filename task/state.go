package task

import (
	"fmt"
	"slices"
	"time"
)

// State is where a task stands on its way.
type State string

// The states, in the order in which a task that goes well meets them.
const (
	Queued     State = "queued"     // waits for its turn in its thread
	Placing    State = "placing"    // a runner looks for a node
	Preparing  State = "preparing"  // the node brings the workspace up
	Running    State = "running"    // the agent works
	Waiting    State = "waiting"    // the agent asked; a person is to answer
	Publishing State = "publishing" // the pull request is found or created
	Succeeded  State = "succeeded"
	Failed     State = "failed"
	Cancelled  State = "cancelled"
)

// moves is the table of legal moves. Failed and cancelled are reachable from every state that is not final, so they are
// not repeated in each row.
var moves = map[State][]State{
	Queued:     {Placing},
	Placing:    {Preparing},
	Preparing:  {Running, Placing},
	Running:    {Waiting, Publishing, Placing},
	Waiting:    {Running, Queued},
	Publishing: {Succeeded},
}

// States lists every state, in the order of the way.
func States() []State {
	return []State{Queued, Placing, Preparing, Running, Waiting, Publishing, Succeeded, Failed, Cancelled}
}

// Final reports whether no move leaves s.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Cancelled }

// Known reports whether s is one of the states.
func (s State) Known() bool { return slices.Contains(States(), s) }

// CanMove reports whether a task may go from one state to another. Staying is not a move.
func CanMove(from, to State) bool {
	if from.Final() || !from.Known() {
		return false
	}
	if to == Failed || to == Cancelled {
		return true
	}
	return slices.Contains(moves[from], to)
}

// MoveError says that a move is not in the table.
type MoveError struct{ From, To State }

func (e MoveError) Error() string { return fmt.Sprintf("a task cannot go from %s to %s", e.From, e.To) }

// CheckMove returns a MoveError when the move is not legal.
func CheckMove(from, to State) error {
	if !CanMove(from, to) {
		return MoveError{from, to}
	}
	return nil
}

// AgentSilence is how long an agent may give no sign, not even that it asks the model again, before it counts as stuck.
// It is longer than what a build or a test run of an ordinary repository takes without printing.
const AgentSilence = 20 * time.Minute

// StopWithin is how long a node has to end an attempt that was told to stop; then the task ends without its word.
const StopWithin = time.Minute

// Deadline is how long a task may stay in s before the sweeper acts on it. While a runner holds the task (placing,
// publishing) or a node does (preparing, running) the deadline is the lease and is pushed on by whoever holds it; the
// node's is NodeSilence, after which it counts as lost. A final state has none: zero.
func Deadline(s State) time.Duration {
	switch s {
	case Queued:
		return time.Minute // a look at whether its turn has come: the work stream wakes earlier
	case Placing, Publishing:
		return 10 * time.Second
	case Preparing, Running:
		return NodeSilence
	case Waiting:
		return 7 * 24 * time.Hour
	default:
		return 0
	}
}
