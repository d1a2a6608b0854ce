// Package local is the provider of one standing node: a machine that the operator has, on which `sam node` is started by
// hand or by systemd. It creates nothing and costs nothing.
package local

import (
	"context"

	"sam/task"
)

// Provider is the local provider. Slots is how many workspaces may run at once.
type Provider struct {
	Node  string
	Slots int
}

// Name implements cloud.Provider.
func (Provider) Name() string { return "local" }

// Standing implements cloud.Provider: the one node, unclaimed. The first account that uses it keeps it, since a node
// serves one account only.
func (p Provider) Standing(context.Context) ([]task.Node, error) {
	return []task.Node{{Name: p.Node, Provider: p.Name(), Slots: p.Slots}}, nil
}
