package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/task"
)

func TestAWorkspaceWithoutAContainerSaysThatTheConfigurationIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, file, choice, note string }{
		{"no configuration", "", "", ""},
		{"one", ".devcontainer/devcontainer.json", "", ".devcontainer/devcontainer.json is not used: without a container"},
		{"one of its own name", ".devcontainer/two/devcontainer.json", "two", ".devcontainer/two/devcontainer.json is not used"},
		{"one that is not there", "", "three", `the environment "three" is not used`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newTestGateway(t)
			u := newUpstream(t, g)
			if row.file != "" {
				tree := t.TempDir()
				gitIn(t, tree, "clone", "--quiet", u.dir, ".")
				if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, row.file)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(tree, row.file), []byte(`{"image": "debian:12"}`), 0o600); err != nil {
					t.Fatal(err)
				}
				gitIn(t, tree, "add", ".")
				gitIn(t, tree, "commit", "--quiet", "--message=environment")
				gitIn(t, u.dir, "fetch", "--quiet", tree, "main:main")
			}
			newNode(t, g)
			s := start(g, "tprocess", 1, "add a health check")
			s.Environment = row.choice
			g.command(frame(s))
			f := furnished{events: g.finished(s.Ref), start: s}
			f.end = last(f.events)
			f.done(t)
			step := f.step(task.StepEnvironment)
			if row.note == "" && step != nil || row.note != "" && (step == nil || !strings.HasPrefix(step.Note, row.note)) {
				t.Errorf("the step is %+v", step)
			}
			want := []task.StepName{task.StepMirror, task.StepWorkspace, task.StepEnvironment, task.StepAgent, task.StepPush}
			if row.note == "" {
				want = slices.Delete(want, 2, 3)
			}
			if got := steps(f.events); !slices.Equal(got, want) {
				t.Errorf("the steps are %v", got)
			}
		})
	}
}
