package app

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWhatAKilledDemoLeavesGoesWhenTheNextOneStarts(t *testing.T) {
	needsContainers(t)
	binary := staticSam(t)
	tmp, err := os.MkdirTemp("", "sam-killed-") //nolint:usetesting // the name of Redis's socket in it holds 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	demo := func(ctx context.Context, request string) *exec.Cmd {
		c := exec.CommandContext(ctx, binary, "demo", "--once", "--agent", "claude", "--request", request)
		c.Env = append(os.Environ(), "TMPDIR="+tmp)
		c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return c
	}
	containers := func() string {
		out, err := exec.Command("docker", "ps", "--all", "--filter", "label=sam.owner", "--format", `{{.ID}} {{.Label "sam.folder"}}`).Output()
		if err != nil {
			t.Fatal(err)
		}
		var ours []string
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, tmp) { // other tests run demos beside this one
				ours = append(ours, line)
			}
		}
		return strings.Join(ours, "")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	killed := demo(ctx, "scenario hang")
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	err = until(ctx, func() (bool, error) { return containers() != "", nil })
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := demo(ctx, "add rate limiting to /api/upload").CombinedOutput(); err != nil {
		t.Fatalf("the next demo: %v\n%s", err, out)
	}
	if left := containers(); left != "" {
		t.Errorf("containers are left: %s", left)
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "sam-demo-*")); err != nil || len(left) > 0 {
		t.Errorf("folders are left: %v %v", left, err)
	}
}
