package local_test

import (
	"errors"
	"testing"

	"go.uber.org/goleak"

	"sam/runner/cloud"
	"sam/runner/cloud/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneMachineStandsAndNoneWhereItHasNoRoom(t *testing.T) {
	for slots, want := range map[int]int{2: 1, 0: 0} {
		nodes, err := local.Provider{Node: "anvil", Slots: slots}.Standing(t.Context())
		if err != nil || len(nodes) != want {
			t.Fatalf("of %d slots: %+v, %v", slots, nodes, err)
		}
		if want == 1 && (nodes[0].Name != "anvil" || nodes[0].Provider != "local" || nodes[0].Slots != slots || nodes[0].Account != 0) {
			t.Errorf("%+v", nodes[0])
		}
	}
}

func TestAMachineThatStandsIsNeitherMadeNorDeleted(t *testing.T) {
	p := local.Provider{Node: "anvil", Slots: 2}
	if _, err := p.Ensure(t.Context(), cloud.Spec{Name: "another"}); !errors.As(err, new(cloud.StandingError)) {
		t.Errorf("made: %v", err)
	}
	if err := p.Delete(t.Context(), cloud.Machine{Name: "anvil"}); !errors.As(err, new(cloud.ForeignError)) {
		t.Errorf("deleted: %v", err)
	}
}
