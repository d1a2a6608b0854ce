package task

import (
	"fmt"
	"time"
)

// Account is what the operator has set for an account, beside the server's own configuration.
type Account struct {
	ID    int64  `json:"id"`              // GitHub's
	Login string `json:"login,omitempty"` // as it was when it was set, for people
	// Token is that of the account's own project at Hetzner, sealed for SealedFor. Empty: the operator's, if there is one.
	Token []byte    `json:"token,omitempty"`
	Set   time.Time `json:"set,omitzero"` // when the token was
	// Withdrawn says that the token is to be forgotten once the account has no machine any more.
	Withdrawn bool `json:"withdrawn,omitempty"`

	// Of these a nil one is as the server's configuration says.
	Machines *int    `json:"machines,omitempty"` // at most so many at once
	Daily    *int64  `json:"daily,omitempty"`    // budget of a day, in millionths of the currency's unit; negative: none
	Monthly  *int64  `json:"monthly,omitempty"`
	Policy   *string `json:"policy,omitempty"` // for how long idle machines are kept
}

// SealedFor is whom the token is sealed for: in another account's record it does not open.
func (a Account) SealedFor() string { return fmt.Sprintf("account/%d/hetzner", a.ID) }

// None reports whether there is nothing to remember of the account.
func (a Account) None() bool { return len(a.Token) == 0 && !a.Withdrawn && !a.HasLimits() }

// HasLimits reports whether it has limits or a policy of its own.
func (a Account) HasLimits() bool {
	return a.Machines != nil || a.Daily != nil || a.Monthly != nil || a.Policy != nil
}

// Gone is the account once it has no machine any more: without its token. Its limits stay, for whoever comes back, or has the
// operator's machines.
func (a Account) Gone() Account {
	a.Token, a.Set, a.Withdrawn = nil, time.Time{}, false
	return a
}

// TokenError says why an account's token cannot be used, for its owner and the operator: what happened, and what to do. It is not
// told by the provider, and trying again does not help.
type TokenError struct {
	Account int64
	Why     string
	Err     error
}

func (e TokenError) Error() string {
	return fmt.Sprintf("the token of account %d for Hetzner cannot be opened: %s. The operator gives this server its key, or sets the token again with `sam account set`", e.Account, e.Why)
}

func (e TokenError) Unwrap() error { return e.Err }
