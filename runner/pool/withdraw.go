package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sam/runner/cloud"
	"sam/task"
)

// withdraw has all of an account's machines go.
func (p *Pool) withdraw(ctx context.Context, d *desk) error {
	const why = "The account's token for machines was withdrawn, so SAM lets its machines go. What was pushed is on the branch. Ask again when there is another."
	var errs []error
	for i := range d.nodes {
		n := &d.nodes[i]
		for _, one := range n.Tasks {
			_, err := p.store.Cancel(ctx, one, why)
			errs = append(errs, err)
		}
		going, err := p.store.Drain(ctx, n.Name, "the account's token was withdrawn", nil)
		if errs = append(errs, err); going {
			n.State = task.NodeGoing
		}
	}
	return errors.Join(errs...)
}

// part calls Gone of a withdrawn account that has no records any more, once the provider has no machine of it either: one whose
// creation was late could be deleted by nobody when the token is forgotten. Until then the comparison sees to it.
func (p *Pool) part(ctx context.Context, c chore) error {
	machines, err := c.account.Provider.List(ctx, time.Now())
	if errors.As(err, new(cloud.CredentialError)) {
		return c.account.Gone(ctx) // with this token nobody deletes anything
	}
	if err != nil {
		return err
	}
	if len(machines) > 0 {
		return fmt.Errorf("account %d is withdrawn, and the provider has %d machines of it that no record knows: its token is kept until they are deleted", c.id, len(machines))
	}
	return c.account.Gone(ctx)
}
