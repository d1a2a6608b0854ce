package hostile_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sam/sandbox/hostile"
)

// options builds the two programs as they are deployed, without the race detector. It skips the test where nothing can run.
func options(t *testing.T) hostile.Options {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short leaves out the hostile agent, which takes a minute. Run without -short")
	}
	if err := hostile.Ready(t.Context()); err != nil {
		t.Skipf("NO HOSTILE AGENT WAS RUN, AND NOTHING IS KNOWN OF WHAT HOLDS IT: %v", err)
	}
	dir, err := os.MkdirTemp("", "sam-hostile-") //nolint:usetesting // a test's own folder is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("its files are in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	o := hostile.Options{
		Dir: dir, Binary: filepath.Join(t.TempDir(), "sam"), Intruder: filepath.Join(t.TempDir(), "intruder"),
		// As in app.yml, as far as a hostile agent is concerned.
		Permissions: map[string]string{"contents": "write", "issues": "write", "pull_requests": "write"},
		Events:      []string{"issue_comment", "issues", "pull_request", "repository"},
	}
	for path, name := range map[string]string{o.Binary: "sam", o.Intruder: "sam/sandbox/hostile/intruder"} {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", path, name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return o
}

// run runs it and logs every line.
func run(t *testing.T, o hostile.Options) *hostile.Report {
	t.Helper()
	began := time.Now()
	report, err := hostile.Run(t.Context(), o)
	if report != nil {
		var lines bytes.Buffer
		report.Print(&lines)
		t.Logf("after %s\n%s", time.Since(began).Round(time.Second), lines.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestAHostileAgentAndAHostileRepositoryAreHeldAndTheNodeIsAsGoodAsBefore(t *testing.T) {
	report := run(t, options(t))
	if report.Escaped != 0 || report.Attempts < 60 || report.Refused+report.Contained != report.Attempts {
		t.Errorf("%d attempts, %d refused, %d contained, %d escaped", report.Attempts, report.Refused, report.Contained, report.Escaped)
	}
	if untold := report.Untold(); len(untold) > 0 {
		t.Errorf("the task's page does not tell of %v", untold)
	}
	if !report.Held() {
		t.Error("it says that not all was held")
	}
}

// A list that no hole could fail is worth nothing.
func TestAProtectionThatIsTakenAwayIsSeen(t *testing.T) {
	o := options(t)
	trusting := filepath.Join(o.Dir, "gitconfig") // root's git would not touch a tree that is not root's
	if err := os.WriteFile(trusting, []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bind := func(from, to string) map[string]any {
		return map[string]any{"Type": "bind", "Source": from, "Target": to}
	}
	for _, hole := range []struct {
		name   string
		vouch  bool
		loosen func(dir string, create, host map[string]any)
		only   []string // what is tried
		seen   []string // what of it must get out
	}{
		{"the host's network", false, func(_ string, _, host map[string]any) { host["NetworkMode"] = "host" },
			[]string{"push-main", "net-loopback", "net-host", "net-neighbour", "net-private"}, []string{"net-loopback", "net-host", "net-neighbour", "net-private"}},
		{"root, what is lent writable, and the engine's socket", false, func(_ string, create, host map[string]any) {
			create["User"] = "0:0"
			delete(host, "CapDrop")
			mounts, _ := host["Mounts"].([]any)
			for _, one := range mounts {
				if m, ok := one.(map[string]any); ok {
					delete(m, "ReadOnly")
				}
			}
			host["Mounts"] = append(mounts, bind("/var/run/docker.sock", "/var/run/docker.sock"), bind(trusting, "/home/sam/.gitconfig"))
		}, []string{"push-main", "poison-mirror", "poison-tools", "net-engine", "secrets-environment"}, []string{"poison-mirror", "poison-tools", "net-engine", "secrets-environment"}},
		{"the sockets of other workspaces, memory without a limit, root's capabilities, and heads that nobody vouches for", true, func(dir string, create, host map[string]any) {
			create["User"] = "0:0"
			delete(host, "CapDrop")
			delete(host, "Memory")
			delete(host, "MemorySwap")
			sockets := filepath.Join(dir, "node", "run")
			mounts, _ := host["Mounts"].([]any)
			host["Mounts"] = append(mounts, bind(sockets, sockets), bind(trusting, "/home/sam/.gitconfig"))
		}, []string{"push-main", "grant-replay", "memory", "compose-privileges", "compose-namespaces", "compose-network", "poison-build-cache"},
			[]string{"grant-replay", "memory", "compose-privileges", "compose-namespaces", "poison-build-cache"}},
	} {
		t.Run(hole.name, func(t *testing.T) {
			o := o
			dir, err := os.MkdirTemp(o.Dir, "run-") //nolint:usetesting // likewise
			if err != nil {
				t.Fatal(err)
			}
			o.Dir, o.Only, o.Vouch = dir, hole.only, hole.vouch
			o.Loosen = func(create map[string]any) {
				host, _ := create["HostConfig"].(map[string]any)
				hole.loosen(dir, create, host)
			}
			report := run(t, o)
			if report.Held() || report.Escaped < len(hole.seen) {
				t.Errorf("it says %+v", report)
			}
			for _, r := range report.Results {
				if want := slices.Contains(hole.seen, r.Name); want != (r.Verdict == hostile.Escaped) {
					t.Errorf("%s: %s, %s", r.Name, r.Verdict, r.Why)
				}
			}
		})
	}
}
