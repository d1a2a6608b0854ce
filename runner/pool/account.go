package pool

import (
	"context"
	"time"

	"sam/runner/cloud"
	"sam/runner/policy"
	"sam/task"
)

// Accounts says how machines are made for an account, and for which there is a way at all.
type Accounts interface {
	// Account is one account's way; nil where none is set: it has the machines that stand.
	Account(ctx context.Context, id int64) (*Account, error)
	// Known lists the accounts that have a way of their own: they may want machines warm though they have no task.
	Known(ctx context.Context) ([]int64, error)
}

// Account is how machines are made for an account, and within what limits.
type Account struct {
	Provider   cloud.Provider
	Candidates []cloud.Candidate // in the order of preference
	Image      string            // the provider's name of it
	SSHKeys    []string          // the provider's names of them; none: nobody may log in
	Caps       task.Caps
	Keeper     policy.Keeper
	Schedule   policy.Schedule
	Memory     int64 // bytes that one workspace is given
	// UserData is what a machine of the name is told at its first boot, with a bootstrap token that is made now.
	UserData func(node string, now time.Time) func(cloud.Architecture) (string, error)
	// Withdrawn says that its token is to be forgotten: no machine is made any more, those that there are go at once, and Gone is
	// called when there are none.
	Withdrawn bool
	Gone      func(context.Context) error
}
