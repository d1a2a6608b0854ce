package chaos_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// build builds sam as it is deployed, without the race detector, and returns its path.
func build(t *testing.T, tags ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short leaves out chaos, which takes minutes. Run without -short")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: apt-get install redis-server, or `make tools` as root on Debian")
	}
	path := filepath.Join(t.TempDir(), "sam")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", strings.Join(tags, ","), "-o", path, "sam").CombinedOutput(); err != nil {
		t.Fatalf("build sam: %v\n%s", err, out)
	}
	return path
}

// run runs chaos and returns its one line of output, decoded. It fails the test when the exit code is not 0; but where a kind
// of fault never struck, which is told by that too, for little happens in so short a time on a slow machine, it runs once more
// for longer.
func run(t *testing.T, sam string, args ...string) map[string]any {
	t.Helper()
	out, log, err := chaos(t, sam, args...)
	if err != nil && strings.Contains(log, "never struck") {
		t.Logf("once more, for longer: %s", log)
		out, log, err = chaos(t, sam, append(args, "--for", "2m")...)
	}
	if err != nil {
		t.Fatalf("chaos %v: %v\n%s%s", args, err, out, log)
	}
	if strings.Count(out, "\n") != 1 {
		t.Errorf("it printed more than one line:\n%s", out)
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("its line is not JSON: %v\n%s", err, out)
	}
	return report
}

func chaos(t *testing.T, sam string, args ...string) (out, log string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), sam, append([]string{"sandbox", "chaos", "--seed", "4"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that is timed out leaves nothing behind
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	err = cmd.Run()
	return printed.String(), said.String(), err
}

// promises are the counts that are 0 when they were kept.
var promises = []string{"lost", "duplicate_tasks", "duplicate_comments", "duplicate_pull_requests", "stale_writes", "gaps", "unfinished", "uninvited", "orphans", "over_budget", "over_cap"}

// A long run is `make chaos`.
func TestNothingIsLostAndNothingIsDoneTwiceWhileProcessesDie(t *testing.T) {
	// A delivery that was missed, and once more while no replica was ready, is asked for after five minutes.
	report := run(t, build(t), "--for", "40s", "--patience", "450s")
	for _, count := range promises {
		if n, ok := report[count].(float64); !ok || n != 0 {
			t.Errorf("%s is %v", count, report[count])
		}
	}
	faults, _ := report["faults"].(map[string]any)
	if len(faults) < 5 {
		t.Errorf("only these kinds of fault were tried: %v", faults)
	}
	for kind, hits := range faults {
		if n, ok := hits.(float64); !ok || n < 1 {
			t.Errorf("%s never struck: %v", kind, hits)
		}
	}
	if n, ok := report["tasks"].(float64); !ok || n < 10 {
		t.Errorf("%v tasks", report["tasks"])
	}
	if n, ok := report["machines"].(float64); !ok || n < 2 {
		t.Errorf("%v machines", report["machines"])
	}
}

// The other protections are `make chaos BREAK=…`.
func TestTheCheckerSeesWhenAProtectionIsMissing(t *testing.T) {
	sam := build(t, "broken")
	for protection, seen := range map[string]string{"dedupe": "duplicate_tasks", "fence": "stale_writes"} {
		t.Run(protection, func(t *testing.T) {
			report := run(t, sam, "--break", protection, "--for", "25s", "--patience", "10s")
			if n, ok := report[seen].(float64); !ok || n < 1 {
				t.Errorf("%s is %v", seen, report[seen])
			}
		})
	}
}
