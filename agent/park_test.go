package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

// chatty is a driver whose agent counts, a line at a time, and waits for a file before the second half.
type chatty struct{}

func (chatty) Name() string { return "demo" }
func (chatty) Real() bool   { return true }

const chattyLines = 2000

func (chatty) Run(ctx context.Context, w Workspace, _ wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	script := fmt.Sprintf(`read word; echo "$word"; i=1; while [ $i -le %d ]; do echo line $i; [ $i = %d ] && while [ ! -e go ]; do sleep 0.05; done; i=$((i+1)); done
		rm go; git commit --quiet --allow-empty --message=counted; echo done`, chattyLines, chattyLines/2)
	var failed error
	exit, err := w.Exec(ctx, Command{
		Args: []string{"sh", "-c", script}, Key: agentKey, Stdin: strings.NewReader("hello\n"),
		Stdout: &lines{max: 100, each: func(line []byte, _ bool) { failed = errors.Join(failed, emit(said(string(line)))) }},
	})
	if err = errors.Join(err, failed); err != nil {
		return task.End{}, err
	}
	if exit != (Exit{}) {
		return task.End{}, errors.New("it " + exit.String())
	}
	return task.End{Outcome: task.Done, Headline: "Counted"}, nil
}

func TestANodeThatRestartsGoesOnWithAnAgentInAContainerAndLosesNoEvent(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	u := newUpstream(t, g)
	o := e.options(t, g)
	counts := func(n *Node) { n.drivers = newDrivers(chatty{}) }
	n := startNode(g, o, counts)
	s := start(g, "tgoon", 1, "count")
	g.command(frame(s))
	g.await("half of it", func() bool { return len(g.events[s.Ref]) > chattyLines/4 })
	n.stop()
	if found := e.ofNode(t, o.Dir); len(found) != 1 || !found[0].running {
		t.Fatalf("while no node runs there are %+v", found)
	}
	noSecretOnDisk(t, o.Dir)
	// Once more, with the agent waiting: nothing new to tell, nothing told again.
	n = startNode(g, o, counts)
	g.await("the first half, and the agent at work", func() bool {
		return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 1 && slices.ContainsFunc(g.events[s.Ref], func(e task.Event) bool { return e.Text == fmt.Sprint("line ", chattyLines/2) })
	})
	n.stop()
	tree := filepath.Join(o.Dir, "workspaces", s.Thread)
	if err := os.WriteFile(filepath.Join(tree, "go"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	n = startNode(g, o, counts)
	defer n.stop()
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done {
		t.Fatalf("it ended with %+v", end)
	}
	want := []string{"hello"}
	for i := 1; i <= chattyLines; i++ {
		want = append(want, fmt.Sprint("line ", i))
	}
	want = append(want, "done")
	var got []string
	for _, e := range events {
		if e.Kind == task.Said {
			got = append(got, e.Text)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("said were %d lines, not %d", len(got), len(want))
	}
	if got := u.branches(); got != "main\nsam/12-uploads" {
		t.Errorf("the branches are %q", got)
	}
	n.stop()
	if found := e.ofNode(t, o.Dir); len(found) > 0 {
		t.Errorf("containers are left: %v", found)
	}
	if left, err := os.ReadDir(filepath.Join(o.Dir, "attempts")); err != nil || len(left) > 0 {
		t.Errorf("noted attempts are left: %v %v", left, err)
	}
}

func TestAnAttemptThatTheGatewayForgotMeanwhileGoesWithItsContainer(t *testing.T) {
	t.Parallel()
	e := docker(t)
	g := newTestGateway(t)
	newUpstream(t, g)
	o := e.options(t, g)
	n := startNode(g, o)
	s := start(g, "tgone", 1, "demo: wait")
	g.command(frame(s))
	g.said(s.Ref)
	n.stop()
	g.change(func() { delete(g.after, s.Ref) })
	n = startNode(g, o)
	defer n.stop()
	g.await("a beat", func() bool { return len(g.hellos) == 2 && len(g.beats) > 0 })
	if found := e.ofNode(t, o.Dir); len(found) > 0 {
		t.Errorf("containers are left: %v", found)
	}
}
