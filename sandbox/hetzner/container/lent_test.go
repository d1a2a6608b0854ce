package container

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sam/sandbox/hetzner"
)

func TestAMachineHasFoldersOfTheHostReadOnlyAndItsContainersMayHaveThem(t *testing.T) {
	w := begin(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "word"), []byte("lent"), 0o644); err != nil {
		t.Fatal(err)
	}
	e, err := New(t.Context(), Options{
		Prefix: strings.TrimPrefix(w.label, label+"=") + "s", Transient: true, Dir: t.TempDir(), Shared: map[string]string{"/srv/lent": folder},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Reach(w.home)
	made, err := e.Boot(t.Context(), hetzner.MachineSpec{ID: 1, Name: "m", UserData: strings.ReplaceAll(`#!/bin/sh
echo more >/srv/lent/more || curl -fsS --unix-socket /var/run/docker.sock -H 'Content-Type: application/json' \
  -d '{"Image":"sam-workspace:latest","Entrypoint":["/bin/cat","/a/word","/b"],"HostConfig":{"NetworkMode":"none","Binds":["/srv/lent:/a:ro"],"Mounts":[{"Type":"bind","Source":"/srv/lent/word","Target":"/b","ReadOnly":true}]}}' \
  'http://engine/containers/create?name=inner'
curl -fsS --unix-socket /var/run/docker.sock -X POST http://engine/containers/inner/start
curl -fsS --unix-socket /var/run/docker.sock -X POST http://engine/containers/inner/wait
curl -fsS {home}/done
`, "{home}", "http://"+w.home)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := made.Remove(t.Context()); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	w.hear(t, "/done")
	m, ok := made.(*machine)
	if !ok {
		t.Fatalf("made is a %T", made)
	}
	out, err := exec.CommandContext(t.Context(), "docker", "logs", m.name+"-inner").CombinedOutput()
	if err != nil || string(out) != "lentlent" {
		t.Errorf("a container of it reads %q, %v: %s", out, err, made.Log())
	}
}

func TestAMachineClosesItsFirewallForReal(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("SKIPPED, NOT TESTED: there is no nft on this host to lend to a machine. apt-get install nftables")
	}
	w := begin(t)
	sv := w.create(t, "walled", `#!/bin/sh
curl -fsS {home}/before
nft -f - <<'END'
table inet wall {
  chain output {
    type filter hook output priority 0; policy drop;
  }
}
END
curl -fsS --max-time 2 {home}/after || echo "nothing gets out: $?"
nft delete table inet wall
systemctl restart --no-block docker.service && systemctl start apt-daily.timer && curl -fsS {home}/end
`)
	w.hear(t, "/before")
	w.hear(t, "/end")
	log, err := w.MachineLog(sv.ID)
	if err != nil || !strings.Contains(log, "nothing gets out: ") {
		t.Errorf("its log: %s, %v", log, err)
	}
}

// A thread that ends takes along what it has started with Pdeathsig, and Go does not say which thread has started what.
func TestWhatGoesWithItsParentStaysWhenAMachinesNetworkIsLookedInto(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED, NOT TESTED: no network namespace was entered, for that needs root")
	}
	children := make([]*exec.Cmd, 20)
	for i := range children {
		children[i] = exec.CommandContext(t.Context(), "sleep", "infinity")
		children[i].SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := children[i].Start(); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if err := inNetworkOf(os.Getpid(), func() error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, child := range children {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child.Process.Pid))
		if fields := strings.Fields(string(text)); err != nil || len(fields) < 3 || fields[2] == "Z" {
			t.Errorf("one was killed: %s %v", text, err)
		}
		_ = child.Process.Kill()
		_ = child.Wait()
	}
	if l, err := listenIn(t.Context(), os.Getpid(), "127.0.0.1:0"); err != nil {
		t.Error(err)
	} else if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := inNetworkOf(1<<30, func() error { return nil }); err == nil {
		t.Error("a process that is not there has a network")
	}
}
