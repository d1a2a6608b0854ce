package pool

import (
	"fmt"
	"time"

	"sam/runner/cloud"
	"sam/task"
)

// why is an error for the person whose task waits.
func why(err error) string {
	if settled(err) {
		return "SAM cannot make a machine: " + err.Error() + "."
	}
	return "SAM cannot make a machine, since the provider does not answer as it should (" + err.Error() + "). It is tried again by itself."
}

// mute is why a machine that never called home is given up.
func mute(n task.Node, within time.Duration) string {
	if n.Trouble != "" {
		return fmt.Sprintf("The machine %s was made and is given up: %s", n.Name, n.Trouble)
	}
	if n.Machine == nil {
		return fmt.Sprintf("SAM tried for %s to have a machine made, and the provider did not answer as it should. It is tried again by itself; https://status.hetzner.com may say more.", within)
	}
	return fmt.Sprintf("The machine %s was made and did not call home within %s, so it is given up. If that happens again: machines must reach "+
		"`public.url` of SAM's configuration over HTTPS, and Hetzner's console shows what the machine says while it boots.", n.Name, within)
}

// again adds to why a machine is given up when another is made.
func again(why string, o task.Obstacle) string {
	at := o.Until.UTC().Format("15:04 UTC")
	if o.Mute == 1 {
		return why + " Another is made at " + at + "."
	}
	return fmt.Sprintf("%s No machine has called home of %d in a row, and each costs an hour, so the next is made at %s, or when the server is started anew.", why, o.Mute, at)
}

// making says that a machine is being made, and what it may cost. It says nothing that changes from one look to the next: each change
// is an edit of a comment.
func (d *desk) making(offer cloud.Offer, price cloud.Money) string {
	other := ""
	if price > offer.Hour {
		other = fmt.Sprintf(" If it is sold out another is taken, of %s %s at most.", price, offer.Currency)
	}
	return fmt.Sprintf("SAM makes a machine for this: %s, which costs %s %s for each begun hour, its address included.%s "+
		"The account may have %d machines at once, and spend %s a day and %s a month.",
		offer.Candidate, offer.Hour, offer.Currency, other, d.Caps.Machines, budget(d.Caps.Daily, offer.Currency), budget(d.Caps.Monthly, offer.Currency))
}

func budget(amount int64, currency string) string {
	if amount < 0 {
		return "any sum"
	}
	return fmt.Sprintf("%s %s", cloud.Money(amount), currency)
}
