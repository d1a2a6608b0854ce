package gateway

import (
	"context"
	"fmt"
	"slices"

	"sam/agent/wire"
	"sam/task"
)

// Secrets are what projects keep for their environments, opened. What one returns is used and forgotten.
type Secrets interface {
	// Secrets are the project's present ones that were set for the account. One that cannot be opened is left out, with why
	// for the person in closed, by its name.
	Secrets(ctx context.Context, project, account int64) (open []task.Secret, closed map[string]string, err error)
	// Redacted are all values that what is kept of the project must not hold: those, the ones that they replaced lately, and
	// those of an owner before.
	Redacted(ctx context.Context, project int64) ([]task.Secret, error)
}

// environment are the secrets that an attempt's workspace is given, and why it is not given others that its settings name.
func (g *Gateway) environment(ctx context.Context, t task.Task) (wire.Secrets, []string, error) {
	names := t.Settings.Environment
	switch {
	case len(names) == 0:
		return nil, nil, nil
	case t.Untrusted:
		return nil, []string{"The work is on a branch of people who may not write to this repository, and such work is given no secrets."}, nil
	}
	if g.redactors.secrets == nil {
		return nil, []string{"This server keeps no secrets: its configuration has no `keys`."}, nil
	}
	g.redactors.forget(t.Project) // a value may have been set since it was read
	open, closed, err := g.redactors.secrets.Secrets(ctx, t.Project, t.Account)
	if err != nil {
		return nil, nil, err
	}
	given := wire.Secrets{}
	var withheld []string
	for _, name := range names {
		i := slices.IndexFunc(open, func(s task.Secret) bool { return s.Name == name })
		switch why := closed[name]; {
		case i >= 0:
			given[name] = open[i].Value
		case why != "":
			withheld = append(withheld, fmt.Sprintf("`%s`: %s", name, why))
		default:
			withheld = append(withheld, fmt.Sprintf("`%s`: there is no such secret any more", name))
		}
	}
	return given, withheld, nil
}

// network is what the attempt's workspace may reach: what the operator lets it, or less where its settings say so.
func (g *Gateway) network(t task.Task) *wire.Network {
	policies := task.NetworkPolicies()
	asked := slices.Index(policies, t.Settings.Network)
	if g.out == nil || asked < 0 || asked >= slices.Index(policies, g.out.Policy) {
		return g.out
	}
	narrowed := *g.out
	narrowed.Policy = t.Settings.Network
	return &narrowed
}
