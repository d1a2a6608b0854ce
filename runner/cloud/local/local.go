// Package local is the provider of one standing node: a machine that the operator has, on which `sam node` is started by
// hand or by systemd. It creates nothing and costs nothing.
package local

import (
	"context"
	"time"

	"sam/runner/cloud"
	"sam/task"
)

// Provider is the local provider. Slots is how many workspaces may run at once; 0: there is no such machine.
type Provider struct {
	Node  string
	Slots int
}

// Name implements cloud.Provider.
func (Provider) Name() string { return "local" }

// Standing implements cloud.Provider: the one node, unclaimed. The first account that uses it keeps it, since a node
// serves one account only.
func (p Provider) Standing(context.Context) ([]task.Node, error) {
	if p.Slots == 0 {
		return nil, nil
	}
	return []task.Node{{Name: p.Node, Provider: p.Name(), Slots: p.Slots}}, nil
}

// Ensure implements cloud.Provider: there is no second machine for anybody.
func (Provider) Ensure(context.Context, cloud.Spec) (cloud.Machine, error) {
	return cloud.Machine{}, cloud.StandingError{}
}

// Delete implements cloud.Provider. The machine is the operator's own.
func (Provider) Delete(_ context.Context, m cloud.Machine) error {
	return cloud.ForeignError{What: "machine", Name: m.Name}
}

// List implements cloud.Provider: nothing here was made by SAM.
func (Provider) List(context.Context, time.Time) ([]cloud.Machine, error) { return nil, nil }

// Leftovers implements cloud.Provider.
func (Provider) Leftovers(context.Context, time.Time) ([]cloud.Resource, error) { return nil, nil }

// Offers implements cloud.Provider.
func (Provider) Offers(context.Context) ([]cloud.Offer, error) { return nil, nil }

// Billing implements cloud.Provider: nothing is billed.
func (Provider) Billing() cloud.Billing { return cloud.Billing{} }
