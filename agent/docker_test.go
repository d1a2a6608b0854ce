package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"sam/agent/wire"
)

// testEngine is the real engine, and the static sam binary that is a container's first process.
type testEngine struct {
	client *client.Client
	sam    string
}

// built is sam as it is released: static, which a test binary is not. The first test that needs it builds it, TestMain
// removes it.
var built struct {
	sync.Once
	path string
	err  error
}

func build() {
	dir, err := os.MkdirTemp("", "sam-built-")
	if err != nil {
		built.err = err
		return
	}
	built.path = filepath.Join(dir, "sam")
	c := exec.Command("go", "build", "-ldflags=-s -w", "-o", built.path, "sam")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("build sam: %w\n%s", err, out)
	}
}

// docker finds the engine, or skips loudly.
func docker(t *testing.T) testEngine {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED, NOT TESTED: -short leaves out all that runs in a container. Run without -short")
	}
	c, err := openEngine(t.Context(), "")
	if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: nothing ran in a container, for no engine answers (%v). scripts/tools starts one, as root on Debian", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.ImageInspect(t.Context(), DefaultImage); err != nil {
		t.Skipf("SKIPPED, NOT TESTED: nothing ran in a container, for there is no image %s (%v). scripts/image builds it", DefaultImage, err)
	}
	built.Do(build)
	if built.err != nil {
		t.Fatal(built.err)
	}
	return testEngine{c, built.path}
}

// options are those of a node that works in containers.
func (e testEngine) options(t *testing.T, g *testGateway) Options {
	o := nodeOptions(g, nodeFolder(t))
	o.Workspace, o.Executable = KindDocker, e.sam
	return o
}

// nodeFolder is removed with what containers wrote in it.
func nodeFolder(t *testing.T) string {
	dir, err := os.MkdirTemp("", "sam-node-") //nolint:usetesting // what a container wrote is not the test's to remove as that would
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// workspace is one that is up, without a tree or a way to the gateway.
func (e testEngine) workspace(t *testing.T) *dockerWorkspace {
	t.Helper()
	return e.workspaceWith(t, false)
}

func (e testEngine) workspaceWith(t *testing.T, sudo bool) *dockerWorkspace {
	t.Helper()
	return e.workspaceOf(t, sudo, nil)
}

// workspaceOf has an environment, nil for the default one.
func (e testEngine) workspaceOf(t *testing.T, sudo bool, of *environment) *dockerWorkspace {
	t.Helper()
	dir := nodeFolder(t)
	ending := make(chan struct{})
	w := &workspaces{dir: dir, runs: filepath.Join(dir, "run"), ending: ending, engine: &engine{
		client: e.client, image: DefaultImage, memory: 512 << 20, cpus: 1, processes: 512, sudo: sudo,
		node: "test", folder: dir, sam: e.sam, agents: filepath.Join(dir, "agents"),
	}}
	s := wire.Start{Thread: "7-12", Ref: wire.Ref{Task: "tbox", Epoch: 1}}
	made, b := w.container(s, heads{})
	b.objects, b.environment = "", of
	for _, folder := range []string{b.tree, b.home, w.engine.agents} {
		if err := errors.Join(os.MkdirAll(folder, 0o755), give(folder)); err != nil {
			t.Fatal(err)
		}
	}
	made.wait = patience{interrupt: 200 * time.Millisecond, terminate: 300 * time.Millisecond}
	t.Cleanup(func() {
		if err := made.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := made.up(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return made
}

// processes are the commands that run in a container beside the shim.
func (e testEngine) processes(t *testing.T, id string) []string {
	t.Helper()
	top, err := e.client.ContainerTop(t.Context(), id, []string{"-o", "pid,args"})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range top.Processes {
		if command := p[len(p)-1]; !strings.HasSuffix(command, "sam shim") {
			found = append(found, command)
		}
	}
	return found
}

// ofNode lists the containers of a node's folder.
func (e testEngine) ofNode(t *testing.T, dir string) []left {
	t.Helper()
	found, err := (&engine{client: e.client, node: "node-1", folder: dir}).list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return found
}
