package shim

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestWhatAProcessStartsIsNeverKeptForItAndGoesBeforeIt(t *testing.T) {
	t.Parallel()
	for own, want := range map[int]int{-1000: 100, -900: 100, 0: 100, 200: 300, 950: 1000, 1000: 1000} {
		if got := expendableTo(own); got != want {
			t.Errorf("what a process of %d starts has %d, not %d", own, got, want)
		}
	}
}

func TestAGuardedProgramGoesBeforeItsGuardWhereMemoryRunsOut(t *testing.T) {
	t.Parallel()
	g := startGuard(t, "/bin/sh", "sh", "-c", `cat /proc/self/oom_score_adj; while :; do sleep 0.01; done`)
	said := g.say()
	line, err := g.out.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != fmt.Sprint(Expendable()) {
		t.Errorf("what it started has %q, not %d: %v", line, Expendable(), err)
	}
	if said.PID == 0 {
		t.Fatalf("it says %+v", said)
	}
	// Said after the program was started, so the guard has its own score back.
	kept, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", g.cmd.Process.Pid))
	if err != nil || strings.TrimSpace(string(kept)) != fmt.Sprint(ownScore()) {
		t.Errorf("the guard has %q, not %d: %v", kept, ownScore(), err)
	}
	if err := g.end.Close(); err != nil {
		t.Fatal(err)
	}
	g.say()
}
