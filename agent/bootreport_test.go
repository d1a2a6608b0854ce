package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent/wire"
	"sam/task"
)

// booted writes a report and returns its path.
func booted(t *testing.T, boot wire.Boot) string {
	t.Helper()
	text, err := json.Marshal(boot)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "boot-report.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var bootBegan = time.Date(2026, 11, 23, 10, 0, 12, 0, time.UTC)

var aBoot = wire.Boot{Made: bootBegan.Add(-12 * time.Second), Began: bootBegan, Steps: []wire.BootStep{
	{Name: "program", MS: 900}, {Name: "disk", MS: 100, Note: "XFS with project quotas"}, {Name: "swap", MS: 3, Error: "mkswap failed"},
}}

// bootNotes are what a page has of a boot, and how long each took.
func bootNotes(events []task.Event) (notes []string) {
	for _, e := range events {
		if e.Kind == task.Stepped && e.Step.Name == task.StepBoot {
			notes = append(notes, e.Step.Note)
		}
	}
	return notes
}

func TestTheFirstAttemptAfterABootHasItsStepsBeforeItsOwnAndTheServerHearsOfItOnce(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g)
	o := nodeOptions(g, t.TempDir())
	o.BootReport = booted(t, aBoot)
	run := func(id string) []task.Event {
		t.Helper()
		s := start(g, id, 1, "x")
		g.command(frame(s))
		return g.finished(s.Ref)
	}
	n := startNode(g, o)
	t.Cleanup(n.stop)
	first := run("tfirst")
	names := slices.Compact(steps(first))
	if len(names) < 2 || names[0] != task.StepBoot || names[1] != task.StepMirror {
		t.Errorf("its steps are %v", names)
	}
	want := []string{"program", "disk: XFS with project quotas", "swap: left out: mkswap failed"}
	if got := bootNotes(first); len(got) < 4 || !strings.HasPrefix(got[0], "the machine is new: its own work began 12.0 s after it was ordered") || !slices.Equal(got[1:4], want) {
		t.Errorf("it has %q", got)
	}
	if got := bootNotes(run("tsecond")); len(got) != 0 {
		t.Errorf("the second attempt has %q", got)
	}
	n.stop()
	again := startNode(g, o) // the program alone has restarted
	t.Cleanup(again.stop)
	if got := bootNotes(run("tthird")); len(got) != 0 {
		t.Errorf("after a restart of the node's program it has %q", got)
	}
	again.stop()
	next := aBoot
	next.Began, next.Again = bootBegan.Add(time.Hour), true
	o.BootReport = booted(t, next)
	other := startNode(g, o)
	t.Cleanup(other.stop)
	if got := bootNotes(run("tfourth")); len(got) < 4 || !strings.HasPrefix(got[0], "the machine has restarted") {
		t.Errorf("after a restart of the machine it has %q", got)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var heard []time.Time
	for _, hello := range g.hellos {
		if hello.Boot != nil {
			heard = append(heard, hello.Boot.Began)
		}
	}
	if len(g.hellos) != 3 || len(heard) != 2 || !heard[0].Equal(bootBegan) || !heard[1].Equal(next.Began) {
		t.Errorf("of %d hellos these had a boot: %v", len(g.hellos), heard)
	}
}

func TestABootIsShownByItsPhasesWithWhatTheNodeItselfTook(t *testing.T) {
	t.Parallel()
	restarted := aBoot
	restarted.Again = true
	skewed := aBoot
	skewed.Made = bootBegan.Add(time.Minute)
	for name, c := range map[string]struct {
		boot  wire.Boot
		ready time.Time
		first string
		ms    int64
		last  string
	}{
		"of a new machine": {
			aBoot, bootBegan.Add(3 * time.Second),
			"the machine is new: its own work began 12.0 s after it was ordered, and it was ready 3.0 s after its own work began", 15_000,
			"the node: linked to the server 1997",
		},
		"of one that has restarted":              {restarted, bootBegan.Add(2 * time.Second), "the machine has restarted, and it was ready 2.0 s after its own work began", 2_000, "the node: linked to the server 997"},
		"of which it is not known when it ended": {aBoot, time.Time{}, "the machine is new: its own work began 12.0 s after it was ordered", 13_003, "swap: left out: mkswap failed 3"},
		"whose clock was wrong":                  {skewed, bootBegan.Add(-time.Hour), "the machine is new", 1_003, "swap: left out: mkswap failed 3"},
	} {
		steps := bootSteps(&c.boot, c.ready)
		last := steps[len(steps)-1]
		if steps[0].Note != c.first || steps[0].MS != c.ms || fmt.Sprintf("%s %d", last.Note, last.MS) != c.last {
			t.Errorf("%s: %+v", name, steps)
		}
	}
}

func TestAReportThatIsNoneIsNotToldAndNoError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	many := aBoot
	many.Steps = slices.Repeat(many.Steps, maxBootSteps)
	tooMany, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "cut": `{"began":"2026-11-23T10:00:00Z","steps":[{"na`, "another": `{"name":"x"}`, "a list": `[]`,
		"without end": strings.Repeat(" ", 2*maxBootReport) + `{}`, "of too many steps": string(tooMany),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		untold(t, name, &bootReport{path: path, told: filepath.Join(dir, "told")})
	}
	untold(t, "missing", &bootReport{path: filepath.Join(dir, "gone"), told: filepath.Join(dir, "told")})
	untold(t, "not looked for", &bootReport{told: filepath.Join(dir, "told")})
}

func untold(t *testing.T, name string, r *bootReport) {
	t.Helper()
	if boot := r.forServer(t.Context()); boot != nil {
		t.Errorf("%s: the server is told %+v", name, boot)
	}
	r.welcomed(t.Context(), time.Now())
	if err := r.tell(t.Context(), func(e task.Event) error { t.Errorf("%s: a page is told %+v", name, e); return nil }); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func TestABootThatCouldNotBeToldIsToldByTheNextAttempt(t *testing.T) {
	t.Parallel()
	r := &bootReport{path: booted(t, aBoot), told: filepath.Join(t.TempDir(), "told")}
	full := errors.New("no space left")
	if err := r.tell(t.Context(), func(task.Event) error { return full }); !errors.Is(err, full) {
		t.Errorf("it ends with %v", err)
	}
	var told []task.Event
	for range 2 {
		if err := r.tell(t.Context(), func(e task.Event) error { told = append(told, e); return nil }); err != nil {
			t.Error(err)
		}
	}
	if len(told) != 1+len(aBoot.Steps) {
		t.Errorf("it is told %d lines", len(told))
	}
	if err := os.WriteFile(r.told, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if boot := r.forServer(t.Context()); boot == nil {
		t.Error("with a damaged note nothing is told, not even twice")
	}
}
