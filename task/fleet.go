package task

import (
	"fmt"
	"time"
)

// Caps bound what an account may spend on machines. Money is in millionths of the currency's unit.
type Caps struct {
	Machines int   `json:"machines"` // at once, those that are being made included
	Daily    int64 `json:"daily"`    // in a day of UTC; negative: no limit
	Monthly  int64 `json:"monthly"`  // in a month of UTC; negative: no limit
}

// Reservation is hours of a machine that are to be paid ahead.
type Reservation struct {
	Account int64
	Node    string
	New     bool  // it may be entered into the fleet; else it must be there
	Hours   int   // in all, since its creation
	Hour    int64 // the price of one
	Caps    Caps
}

// Fleet is an account's machines and money.
type Fleet struct {
	Hours map[string]int // that are paid, by the node's name
	Day   int64          // spent or reserved today
	Month int64

	Obstacle Obstacle // its zero when there is none
}

// Obstacle is why no machine can be made for an account.
type Obstacle struct {
	Why   string    `json:"why"`   // for the person: what happened, why, and what helps
	Until time.Time `json:"until"` // then it is tried again

	// Mute counts machines in a row that were made and never called home, and Made is when the last of them was entered. The rest is
	// history once it is tried again; this stays until a machine calls home.
	Mute int       `json:"mute,omitempty"`
	Made time.Time `json:"made,omitzero"`
}

// CapError says which of an account's caps does not allow a machine, or an hour of one.
type CapError struct {
	Cap string // machines, day, month
	Caps
}

func (e CapError) Error() string {
	switch e.Cap {
	case "machines":
		return fmt.Sprintf("the account has as many machines as it may have, %d", e.Machines)
	case "day":
		return "the account's daily budget for machines is used up or reserved"
	}
	return "the account's monthly budget for machines is used up or reserved"
}
