package container

import (
	"os/exec"
	"strings"
	"testing"

	"sam/sandbox/hetzner"
)

func TestTheMachinesOfATransientEngineThatWasKilledAreRemovedByTheNextAndThoseOfALivingOneStay(t *testing.T) {
	w := begin(t)
	base := strings.TrimPrefix(w.label, label+"=") + "t"
	start := func() *Engine {
		t.Helper()
		e, err := New(t.Context(), Options{Prefix: base, Transient: true, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	boot := func(e *Engine) *machine {
		t.Helper()
		made, err := e.Boot(t.Context(), hetzner.MachineSpec{ID: 1, Name: "m", UserData: "#!/bin/sh\ntrue\n"})
		if err != nil {
			t.Fatal(err)
		}
		m, ok := made.(*machine)
		if !ok {
			t.Fatalf("made is a %T", made)
		}
		t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", m.name).Run() }) // should this test end early
		return m
	}
	there := func(m *machine) bool {
		return exec.CommandContext(t.Context(), "docker", "inspect", m.name).Run() == nil
	}

	killed, living := start(), start()
	lost, kept := boot(killed), boot(living)
	defer func() {
		for _, m := range []*machine{lost, kept} {
			if err := m.Remove(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := living.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := killed.Close(); err != nil { // as the end of its process gives up its lock
		t.Fatal(err)
	}
	next := start()
	defer func() {
		if err := next.Close(); err != nil {
			t.Error(err)
		}
	}()
	if there(lost) {
		t.Error("the machine of the one that was killed is there")
	}
	if !there(kept) {
		t.Error("the machine of the one that lives is gone")
	}
}
