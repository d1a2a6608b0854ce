package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

func TestAnAttemptInAContainerEndsWithThePushedWorkOfTheAgent(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	u := newUpstream(t, g)
	n := startNode(g, e.options(t, g))
	t.Cleanup(n.stop)
	for i, request := range []string{"add rate limiting to /api/upload", "add a health check"} {
		s := start(g, "tbox"+strconv.Itoa(i), 1, request)
		began := time.Now()
		g.command(frame(s))
		g.said(s.Ref)
		t.Logf("the agent's first word came after %s", time.Since(began))
		events := g.finished(s.Ref)
		end := last(events)
		if end.Outcome != task.Done || end.Left {
			t.Fatalf("it ended with %+v", end)
		}
		for _, e := range events {
			if e.Step != nil {
				t.Logf("%s: %d ms %s", e.Step.Name, e.Step.MS, e.Step.Note)
			}
		}
		g.await("a beat without it", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
	}
	if got := gitIn(t, u.dir, "rev-list", "--count", "main..sam/12-uploads"); got != "2" {
		t.Errorf("the branch has %s commits", got)
	}
	if kept, err := filepath.Glob(filepath.Join(n.options.Dir, "workspaces", "*.kept-*")); err != nil || len(kept) > 0 {
		t.Errorf("a workspace whose work was pushed is kept: %v %v", kept, err)
	}
	g.mu.Lock()
	if kind := g.hellos[0].Workspace; kind != KindDocker {
		t.Errorf("the node reports %s", kind)
	}
	g.mu.Unlock()
	n.stop()
	noSecretOnDisk(t, n.options.Dir)
	if left := e.ofNode(t, n.options.Dir); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
}

func TestAnAgentThatDiesInAContainerLeavesItsWorkBehindAndItIsKept(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	n := startNode(g, e.options(t, g))
	t.Cleanup(n.stop)
	for i, id := range []string{"tdiea", "tdieb"} {
		s := start(g, id, 1, "demo: die")
		g.command(frame(s))
		events := g.finished(s.Ref)
		if end := last(events); end.Outcome != task.Died || !end.Left || !strings.Contains(end.Reason, "signal 9") {
			t.Errorf("it ended with %+v", end)
		}
		told := slices.ContainsFunc(events, func(e task.Event) bool {
			return e.Step != nil && strings.Contains(e.Step.Note, "kept on the node as 7-12.kept-1")
		})
		if told != (i > 0) {
			t.Errorf("%s: that work was kept is told: %v", id, told)
		}
	}
}

// installed is a driver that runs what is installed on the node for it, and asks the broker for what the forwarder has.
type installed struct{}

func (installed) Name() string { return "demo" }
func (installed) Real() bool   { return true }

func (installed) Run(ctx context.Context, w Workspace, s wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	out, err := output(ctx, w, w.Agents()+"/tool/run")
	if err != nil {
		return task.End{}, err
	}
	code, err := output(ctx, w, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "x-api-key: "+s.Token, w.Broker()+wire.ModelPath+s.Task+"/nothing")
	if err != nil {
		return task.End{}, err
	}
	if err := emit(said(strings.TrimSpace(out) + " " + code)); err != nil {
		return task.End{}, err
	}
	return task.End{Outcome: task.Done, Headline: "Ran"}, nil
}

func TestAnInstalledAgentRunsInAContainerAndReachesItsModelOnly(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	n := startNode(g, o, func(n *Node) { n.drivers = newDrivers(installed{}) })
	t.Cleanup(n.stop)
	tool := filepath.Join(o.Dir, "agents", "tool")
	if err := errors.Join(os.Mkdir(tool, 0o755), os.WriteFile(filepath.Join(tool, "run"), []byte("#!/bin/sh\necho installed\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	s := start(g, "ttool", 1, "anything")
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done {
		t.Fatalf("it ended with %+v", end)
	}
	// This gateway has no model: 404 is its own answer, got through the container's loopback.
	if !slices.ContainsFunc(events, func(e task.Event) bool { return e.Text == "installed 404" }) {
		t.Errorf("it did not reach them: %+v", events)
	}
}
