package agent

import (
	"slices"
	"testing"

	"sam/config"
)

func TestTheAgentsThatAServerMayBeConfiguredForAreThoseThatNodesHave(t *testing.T) {
	t.Parallel()
	n, err := New(Options{Gateway: "http://sam.example", Token: "x", Name: "x", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if has, may := n.drivers.names(), config.KnownAgents(); !slices.Equal(has, may) {
		t.Errorf("nodes have %q, and the configuration takes %q", has, may)
	}
}
