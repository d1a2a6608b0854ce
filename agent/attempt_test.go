package agent

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/sandbox/seed"
	"sam/task"
)

// upstream is the repository on the server.
type upstream struct {
	t   *testing.T
	dir string
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com"}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func emptyUpstream(t *testing.T, g *testGateway) upstream {
	t.Helper()
	u := upstream{t, filepath.Join(g.upstream, "harbour", "quayside.git")}
	gitIn(t, g.upstream, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", u.dir)
	// What the git broker does: only branches of SAM's own.
	u.hook("update", `case "$1" in refs/heads/sam/*) ;; *) echo "SAM: a task may push its own branch only" >&2; exit 1;; esac`)
	return u
}

// newUpstream is the seed on main.
func newUpstream(t *testing.T, g *testGateway) upstream {
	t.Helper()
	u := emptyUpstream(t, g)
	tree := t.TempDir()
	for name, content := range seed.Files() {
		if err := os.WriteFile(filepath.Join(tree, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gitIn(t, tree, "init", "--quiet", "--template=", "--initial-branch=main")
	gitIn(t, tree, "add", ".")
	gitIn(t, tree, "commit", "--quiet", "--message=seed")
	gitIn(t, u.dir, "fetch", "--quiet", tree, "main:main")
	return u
}

func (u upstream) hook(name, script string) {
	u.t.Helper()
	if err := os.MkdirAll(filepath.Join(u.dir, "hooks"), 0o755); err != nil {
		u.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(u.dir, "hooks", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		u.t.Fatal(err)
	}
}

func (u upstream) branches() string {
	return gitIn(u.t, u.dir, "for-each-ref", "--format=%(refname:short)", "refs/heads")
}

func steps(events []task.Event) []task.StepName {
	var names []task.StepName
	for _, e := range events {
		if e.Kind == task.Stepped {
			names = append(names, e.Step.Name)
		}
	}
	return names
}

func TestAnAttemptEndsWithThePushedWorkOfTheAgent(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	n := newNode(t, g)
	s := start(g, "tdone", 1, "add rate limiting to /api/upload")
	g.command(frame(s))
	events := g.finished(s.Ref)
	end := last(events)
	if end.Outcome != task.Done || end.Left || end.Headline == "" || !strings.Contains(end.Summary, "ratelimit.go") {
		t.Fatalf("it ended with %+v", end)
	}
	if got, want := steps(events), []task.StepName{task.StepMirror, task.StepWorkspace, task.StepAgent, task.StepPush}; !slices.Equal(got, want) {
		t.Errorf("the steps were %v", got)
	}
	kinds := map[task.Kind]int{}
	for _, e := range events {
		kinds[e.Kind]++
		if e.Kind == task.Said && !json.Valid(e.Raw) {
			t.Errorf("the agent's own line is not kept beside %+v", e)
		}
	}
	if kinds[task.Planned] == 0 || kinds[task.ToolStarted] == 0 || kinds[task.ToolStarted] != kinds[task.ToolFinished] || kinds[task.Finished] != 1 {
		t.Errorf("the events were %v", kinds)
	}
	if got := gitIn(t, u.dir, "log", "-1", "--format=%an <%ae> %s", s.Branch); got != `Ada "Sam" Lovelace <ada@example.com> `+end.Headline {
		t.Errorf("the commit is %s", got)
	}

	follow := start(g, "tfollow", 1, "add a health check")
	g.command(frame(follow))
	if end := last(g.finished(follow.Ref)); end.Outcome != task.Done {
		t.Fatalf("the follow-up ended with %+v", end)
	}
	if got := gitIn(t, u.dir, "rev-list", "--count", "main.."+s.Branch); got != "2" {
		t.Errorf("after the follow-up the branch has %s commits", got)
	}
	if kept, err := filepath.Glob(filepath.Join(n.options.Dir, "workspaces", "*.kept-*")); err != nil || len(kept) > 0 {
		t.Errorf("a workspace whose work was pushed is kept: %v %v", kept, err)
	}
	n.stop()
	noSecretOnDisk(t, n.options.Dir)
	for _, secret := range []string{nodeToken, fetchToken, taskToken} {
		if strings.Contains(n.log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}

func noSecretOnDisk(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range []string{nodeToken, fetchToken, taskToken} {
			if strings.Contains(string(content), secret) {
				t.Errorf("%s is in %s", secret, path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnAttemptThatCannotBeginSaysWhatWouldHelp(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		empty   bool
		change  func(*wire.Start)
		outcome task.Outcome
		want    []string
	}{
		{"an empty repository", true, func(*wire.Start) {}, task.GaveUp,
			[]string{"The repository harbour/quayside is empty: there is nothing to work on. Push a first commit, then ask again."}},
		{"no default branch", false, func(s *wire.Start) { s.Base = "" }, task.GaveUp, []string{"has no default branch", "Push a first commit, or set one"}},
		{"no base branch", false, func(s *wire.Start) { s.Base = "trunk" }, task.GaveUp, []string{"has no branch trunk"}},
		{"an agent that it does not have", false, func(s *wire.Start) { s.Agent = "oracle" }, task.GaveUp, []string{`"oracle"`, "demo"}},
		{"no repository", false, func(s *wire.Start) { s.CloneURL = strings.Replace(s.CloneURL, "quayside", "nowhere", 1) }, task.Died, []string{"not found"}},
		{"an address with another protocol", false, func(s *wire.Start) { s.CloneURL = "file:///etc" }, task.Died, []string{"not an http or https address"}},
		{"a branch that git does not know", false, func(s *wire.Start) { s.Branch = "a..b" }, task.Died, []string{"branch names"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			if row.empty {
				emptyUpstream(t, g)
			} else {
				newUpstream(t, g)
			}
			newNode(t, g)
			s := start(g, "tbegin", 1, "add a health check")
			row.change(&s)
			g.command(frame(s))
			end := last(g.finished(s.Ref))
			if end.Outcome != row.outcome {
				t.Errorf("it ended with %+v", end)
			}
			for _, want := range row.want {
				if !strings.Contains(end.Reason, want) {
					t.Errorf("%q is not in %q", want, end.Reason)
				}
			}
			if strings.Contains(end.Reason, fetchToken) {
				t.Errorf("the token is in %q", end.Reason)
			}
		})
	}
}

func TestAnAgentThatDiesLeavesItsWorkBehindAndItIsKept(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := newNode(t, g)
	s := start(g, "tdie", 1, "demo: die")
	g.command(frame(s))
	end := last(g.finished(s.Ref))
	if end.Outcome != task.Died || !end.Left || !strings.Contains(end.Reason, "signal 9") {
		t.Errorf("it ended with %+v", end)
	}
	for i, id := range []string{"tdieb", "tdiec", "tdied", "tdiee"} {
		next := start(g, id, 1, "demo: die")
		g.command(frame(next))
		events := g.finished(next.Ref)
		if i := slices.IndexFunc(events, func(e task.Event) bool { return e.Step != nil && e.Step.Name == task.StepWorkspace }); i < 0 ||
			!strings.Contains(events[i].Step.Note, "kept on the node as 7-12.kept-") {
			t.Errorf("it does not say that work was kept: %+v", events)
		}
		kept, err := filepath.Glob(filepath.Join(n.options.Dir, "workspaces", "7-12.kept-*", "UNFINISHED.md"))
		if err != nil || len(kept) != min(i+1, maxKept) {
			t.Errorf("kept are %v %v", kept, err)
		}
	}
	if fileExists(filepath.Join(n.options.Dir, "workspaces", "7-12.kept-1")) {
		t.Error("the oldest was not the one to go")
	}
}

func TestAnAgentThatPretendsPushesNothing(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	newNode(t, g)
	s := start(g, "tpretend", 1, "demo: pretend")
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Done {
		t.Errorf("it ended with %+v", end)
	}
	if push := events[len(events)-2]; push.Step == nil || push.Step.Note != "nothing new was committed" {
		t.Errorf("before its end it said %+v", push)
	}
	if got := u.branches(); got != "main" {
		t.Errorf("the branches are %s", got)
	}
}

func TestAPushToAnotherBranchIsRefusedByTheBrokerAndShown(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	newNode(t, g)
	before := gitIn(t, u.dir, "rev-parse", "main")
	s := start(g, "tmain", 1, "demo: push main")
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "its own branch only") {
		t.Errorf("it ended with %+v", end)
	}
	if !slices.ContainsFunc(events, func(e task.Event) bool {
		return e.Kind == task.ToolFinished && e.Tool.Failed && strings.Contains(e.Tool.Output, "its own branch only")
	}) {
		t.Error("git's words are in no event")
	}
	if after := gitIn(t, u.dir, "rev-parse", "main"); after != before || u.branches() != "main" {
		t.Errorf("the server has %s", u.branches())
	}
}

func TestAPushThatIsRefusedIsTheReason(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	u.hook("pre-receive", `echo "SAM: the branch is protected" >&2; exit 1`)
	newNode(t, g)
	s := start(g, "trefused", 1, "add a health check")
	g.command(frame(s))
	if end := last(g.finished(s.Ref)); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, "the branch is protected") {
		t.Errorf("it ended with %+v", end)
	}
}

func TestAGatewayThatRestartsMeanwhileIsWaitedFor(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	newNode(t, g)
	g.change(func() {
		g.fail = map[string]int{wire.FetchTokenPath: 1, "/upstream/": 1, wire.GitPath: 1}
	})
	s := start(g, "tagain", 1, "add a health check")
	g.command(frame(s))
	if end := last(g.finished(s.Ref)); end.Outcome != task.Done {
		t.Errorf("it ended with %+v", end)
	}
	if got := u.branches(); got != "main\nsam/12-uploads" {
		t.Errorf("the branches are %s", got)
	}
}

func TestABranchThatWasDeletedOnTheServerIsBegunAnew(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	u := newUpstream(t, g)
	newNode(t, g)
	first := start(g, "tfirst", 1, "add a health check")
	g.command(frame(first))
	g.finished(first.Ref)
	second := start(g, "tsecond", 1, "demo: pretend") // the mirror learns of the branch
	g.command(frame(second))
	g.finished(second.Ref)
	gitIn(t, u.dir, "update-ref", "-d", "refs/heads/"+first.Branch)
	third := start(g, "tthird", 1, "add a health check")
	g.command(frame(third))
	if end := last(g.finished(third.Ref)); end.Outcome != task.Done {
		t.Errorf("it ended with %+v", end)
	}
	if got := gitIn(t, u.dir, "rev-list", "--count", "main.."+first.Branch); got != "1" {
		t.Errorf("the branch has %s commits", got)
	}
}

// broken is a driver with a bug.
type broken struct{ clumsy }

func (broken) Run(context.Context, Workspace, wire.Start, func(task.Event) error, *answers) (task.End, error) {
	panic("out of order")
}

func TestABreakOfOursEndsTheAttemptAsDied(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := startNode(g, nodeOptions(g, t.TempDir()), func(n *Node) { n.drivers = newDrivers(broken{}) })
	t.Cleanup(n.stop)
	s := start(g, "tpanic", 1, "demo: pretend")
	g.command(frame(s))
	if end := last(g.finished(s.Ref)); end.Outcome != task.Died || !strings.Contains(end.Reason, "a bug in SAM") {
		t.Errorf("it ended with %+v", end)
	}
}

// clumsy is a driver whose agent speaks badly: its events are not whole, and it does not say how it ended.
type clumsy struct{}

func (clumsy) Name() string { return "demo" }
func (clumsy) Real() bool   { return false }

func (clumsy) Run(_ context.Context, _ Workspace, _ wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	if err := emit(finished(task.End{Outcome: task.Done})); err == nil {
		return task.End{Outcome: task.Done}, nil
	}
	for _, e := range []task.Event{{Kind: task.Said}, {Kind: "sang", Text: "la"}, {Kind: task.Said, Text: "whole"}} {
		if err := emit(e); err != nil {
			return task.End{}, err
		}
	}
	return task.End{}, nil
}

func TestAnAgentThatSpeaksBadlyDoesNotSpoilItsSpool(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	n := startNode(g, nodeOptions(g, t.TempDir()), func(n *Node) { n.drivers = newDrivers(clumsy{}) })
	t.Cleanup(n.stop)
	s := start(g, "tclumsy", 1, "hello")
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.Died || end.Reason != "The agent ended without saying how." {
		t.Errorf("it ended with %+v", end)
	}
	var texts []string
	for _, e := range events {
		if e.Text != "" {
			texts = append(texts, e.Text)
		}
	}
	if !slices.Equal(texts, []string{"whole"}) {
		t.Errorf("recorded are %v", texts)
	}
}

// committer is a driver whose agent commits and then works on until it is stopped.
type committer struct{}

func (committer) Name() string { return "demo" }
func (committer) Real() bool   { return false }

func (committer) Run(ctx context.Context, w Workspace, _ wire.Start, emit func(task.Event) error, _ *answers) (task.End, error) {
	if _, err := output(ctx, w, "git", "commit", "--quiet", "--allow-empty", "--message=halfway"); err != nil {
		return task.End{}, err
	}
	if err := emit(said("halfway")); err != nil {
		return task.End{}, err
	}
	_, err := w.Exec(ctx, Command{Args: []string{"sleep", "60"}})
	return task.End{Outcome: task.Died}, err
}

func TestWhatAStoppedAgentCommittedIsPushedUnlessTheTaskIsOver(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		stop func(*testGateway, wire.Ref)
		want string
	}{
		{"stopped on request", func(g *testGateway, ref wire.Ref) { g.command(stopFrame(ref, "Stopped by ada.")) }, "main\nsam/12-uploads"},
		{"dropped", func(g *testGateway, ref wire.Ref) {
			g.say(wire.Frame{Type: wire.TypeDrop, Drop: &wire.Drop{Ref: ref}})
		}, "main"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			u := newUpstream(t, g)
			n := startNode(g, nodeOptions(g, t.TempDir()), func(n *Node) { n.drivers = newDrivers(committer{}) })
			t.Cleanup(n.stop)
			s := start(g, "tcommit", 1, "hello")
			g.command(frame(s))
			g.said(s.Ref)
			g.change(func() { g.beats = nil })
			row.stop(g, s.Ref)
			g.await("a beat without it", func() bool { return len(g.beats) > 0 && len(g.beats[len(g.beats)-1].Running) == 0 })
			n.stop() // which waits for what is under way
			if got := u.branches(); got != row.want {
				t.Errorf("the branches are %q", got)
			}
		})
	}
}
