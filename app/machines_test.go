package app

import (
	"testing"

	"sam/config"
	"sam/runner/pool"
)

func TestByDefaultMachinesMayTakeAsLongAsThePoolHasIt(t *testing.T) {
	if got, want := timing(config.Defaults().Hetzner), pool.DefaultTiming(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
