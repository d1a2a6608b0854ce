package app

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sam/agent"
	"sam/sandbox/hetzner"
	"sam/task"
)

// needsMachines skips a test where the stand-in cannot boot any.
func needsMachines(t *testing.T) {
	t.Helper()
	needsContainers(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: no machine of Hetzner's stand-in was booted, for that needs root")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: no machine of Hetzner's stand-in was booted, for there is no nft for its firewall: apt-get install nftables")
	}
}

func TestTheWholeThreadOnAMachineOfTheStandIn(t *testing.T) {
	needsMachines(t)
	binary := staticSam(t)
	for _, name := range demoAgents() {
		t.Run(name, func(t *testing.T) {
			inWorldOf(t, worldOptions{agent: name, provider: providerHetzner, binary: binary}, func(t *testing.T, w *world) {
				if n := w.servers(); n != 0 {
					t.Fatalf("there are %d servers before anything was asked", n)
				}
				if name == demoAgentName { // once is enough
					if err := w.rack.SetFaults(hetzner.Faults{Rules: []hetzner.Rule{{Kind: hetzner.MachineSlow, For: hetzner.Duration(3 * time.Second), Next: 1}}}); err != nil {
						t.Fatal(err) // so that there is time to look
					}
				}
				w.say(t, maintainer, 1, "/sam add rate limiting to /api/upload")
				if name == demoAgentName {
					w.makesAMachine(t)
				}
				done := w.ends(t, 1)[0]
				if done.State != task.Succeeded || done.Workspace != agent.KindDocker {
					t.Fatalf("ended as %+v", done)
				}
				if err := w.verify(done, &summary{}); err != nil {
					t.Error(err)
				}
				gapFree(t, w, done)
				if n := w.servers(); n != 1 {
					t.Errorf("%d servers were made, want 1", n)
				}

				page := w.page(t, done.ID)
				s, err := w.letGo(t.Context(), done, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				for i, step := range []string{
					"the machine is new: ", "program", "firewall: nothing comes in", "swap", "disk", "engine", "journal", "node: ", "start", "updates", "the node: linked",
				} {
					if i >= len(s.Boot) || !strings.HasPrefix(s.Boot[i].Note, step) {
						t.Fatalf("step %d of the boot is not %q: %+v", i, step, s.Boot)
					}
					if !strings.Contains(page, step) {
						t.Errorf("the page does not tell %q", step)
					}
				}
				own := s.BootSeconds
				if raced { // packing the program is what the detector slows
					own -= float64(s.Boot[1].MS) / 1000
				}
				t.Logf("%.1f s of SAM's own work: %+v", own, s.Boot)
				if own >= 10 {
					t.Errorf("SAM's own work took %.1f s, and is to take less than 10", own)
				}
				if s.Left != 0 || s.Type != "cx23" || s.EUR != w.rack.Billing().Net.String() || s.EUR == "0.0000" {
					t.Errorf("of the machine it says %+v", s)
				}
				if out, err := exec.CommandContext(t.Context(), "docker", "ps", "--all", "--quiet", "--filter", "name="+s.Name).CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
					t.Errorf("containers of %s are left: %s %v", s.Name, out, err)
				}
			})
		})
	}
}

// makesAMachine waits until the status comment and the page say that a machine is made, what it costs, and what may be spent.
func (w *world) makesAMachine(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	words := []string{"SAM makes a machine for this: cx23 in nbg1, which costs 0.", " EUR for each begun hour", "3 machines at once", "5.00 EUR a day and 50.00 EUR a month"}
	if err := until(ctx, func() (bool, error) { return len(w.comments(t, 1, append(words, "sam:status:")...)) == 1, nil }); err != nil {
		t.Fatalf("no status comment says that a machine is made: %v", w.comments(t, 1))
	}
	tasks, err := w.server.store.TasksOf(ctx, w.project, 1)
	if err != nil || len(tasks) != 1 {
		t.Fatalf("there are the tasks %+v, %v", tasks, err)
	}
	page := w.page(t, tasks[0].ID)
	for _, word := range words {
		if !strings.Contains(page, word) {
			t.Errorf("the page does not say %q", word)
		}
	}
}

func TestWhereNoMachineCanBeBootedTheDemoSaysWhatToDo(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, why := range []string{"nft", "docker"} { // the first is missing, then the next
		_, err := newRack(t.Context(), t.TempDir(), worldOptions{agent: demoAgentName})
		if os.Geteuid() != 0 && why == "docker" {
			why = "as root"
		}
		if err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "make tools") || !strings.Contains(err.Error(), "run `sam demo` without --provider") {
			t.Errorf("without %s: %v", why, err)
		}
		if err := os.WriteFile(filepath.Join(bin, why), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheMachineOfAKilledDemoGoesWhenTheNextDemoStarts(t *testing.T) {
	needsMachines(t)
	binary := staticSam(t)
	tmp, err := os.MkdirTemp("", "sam-killed-") //nolint:usetesting // the names of sockets in it hold 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	said := &bytes.Buffer{}
	demo := func(ctx context.Context, args ...string) *exec.Cmd {
		c := exec.CommandContext(ctx, binary, append([]string{"demo", "--once"}, args...)...)
		c.Env = append(os.Environ(), "TMPDIR="+tmp)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return c
	}
	containers := func() (names []string) {
		out, err := exec.Command("docker", "ps", "--all", "--no-trunc", "--filter", "label=sam.sandbox.hetzner", "--format", "{{.Names}} {{.Mounts}}").Output()
		if err != nil {
			t.Fatal(err)
		}
		machine := ""
		for line := range strings.Lines(string(out)) {
			if name, mounts, _ := strings.Cut(line, " "); strings.Contains(mounts, tmp) { // other tests run demos beside this one
				machine = name
			}
		}
		for line := range strings.Lines(string(out)) {
			if name, _, _ := strings.Cut(line, " "); machine != "" && strings.HasPrefix(name, machine) {
				names = append(names, name)
			}
		}
		return names
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	killed := demo(ctx, "--provider", providerHetzner, "--agent", "claude", "--request", "scenario hang")
	killed.Stdout, killed.Stderr = said, said
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	err = until(ctx, func() (bool, error) { return len(containers()) == 2, nil }) // its machine, and the workspace on that
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	left := containers()
	if len(left) != 2 {
		t.Fatalf("killed with %v", left)
	}
	if out, err := demo(ctx).CombinedOutput(); err != nil {
		t.Fatalf("the next demo: %v\n%s", err, out)
	}
	for _, name := range left {
		if exec.CommandContext(ctx, "docker", "inspect", name).Run() == nil {
			t.Errorf("the container %s is left", name)
		}
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "sam-demo-*")); err != nil || len(left) > 0 {
		t.Errorf("folders are left: %v %v", left, err)
	}
}
