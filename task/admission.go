package task

import "fmt"

// Limits bound how many tasks may be in flight, from placing to their end.
type Limits struct {
	Account int // of one account
	All     int // of all accounts together
}

// Admission is the answer to a task that asks for a place among those in flight.
type Admission struct {
	In    bool
	Ahead int // tasks that get a place before it, when it is not in
	// Own: the account's own limit holds it up, not the limit of all.
	Own bool
}

// Words say for the person why a task waits for its place, "" when it is in.
func (a Admission) Words(l Limits) string {
	if a.In {
		return ""
	}
	place := "It is the next in the queue."
	if a.Ahead > 0 {
		place = fmt.Sprintf("It is number %d in the queue.", a.Ahead+1)
	}
	if a.Own {
		return fmt.Sprintf("%d of this account's tasks are under way, as many as may be at once. %s", l.Account, place)
	}
	return fmt.Sprintf("SAM is at work on %d tasks, as many as it may be at once. %s", l.All, place)
}
