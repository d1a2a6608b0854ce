package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

const secretValue = `correct "horse" battery 7391`

// leaks is the seed with a test that prints a secret and fails.
func (u upstream) leaks(t *testing.T) {
	t.Helper()
	tree := t.TempDir()
	gitIn(t, tree, "clone", "--quiet", u.dir, ".")
	source := "package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestLeak(t *testing.T) {\n\tt.Fatalf(\"path %d: %q\", len(os.Getenv(\"PATH\")), os.Getenv(\"API_TOKEN\"))\n}\n"
	if err := os.WriteFile(filepath.Join(tree, "leak_test.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	gitIn(t, tree, "add", ".")
	gitIn(t, tree, "commit", "--quiet", "--message=leak")
	gitIn(t, u.dir, "fetch", "--quiet", tree, "main:main")
}

func TestASecretIsInTheAgentsEnvironmentAndNowhereOnTheNode(t *testing.T) {
	t.Parallel()
	g := newTestGateway(t)
	newUpstream(t, g).leaks(t)
	n := newNode(t, g)
	s := start(g, "tsecret", 1, "add rate limiting to /api/upload")
	s.Secrets = wire.Secrets{"API_TOKEN": secretValue, "PATH": "/nowhere-at-all"}
	s.Withheld = []string{"`OTHER`: there is no such secret any more"}
	g.command(frame(s))
	events := g.finished(s.Ref)
	if end := last(events); end.Outcome != task.GaveUp || !strings.Contains(end.Reason, `"«API_TOKEN»"`) || strings.Contains(end.Reason, "path 15:") {
		t.Errorf("it ended with %+v", end)
	}
	told := slices.IndexFunc(events, func(e task.Event) bool { return e.Kind == task.Noticed && e.Notice.Code == "secret_withheld" })
	if told < 0 || !strings.Contains(events[told].Text, "`OTHER`: there is no such secret") {
		t.Error("nobody is told of the secret that was withheld")
	}
	n.stop()
	for _, dir := range []string{"spools", "attempts", "home", "run", "mirrors"} {
		err := filepath.WalkDir(filepath.Join(n.options.Dir, dir), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if strings.Contains(string(data), "horse") {
				t.Errorf("%s holds it", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if strings.Contains(n.log.String(), "horse") {
		t.Error("it is in the log")
	}
}

func TestARecordThatSurvivesTheNodeHoldsNoSecret(t *testing.T) {
	one := newRecord(wire.Start{Token: "token", Secrets: wire.Secrets{"API_TOKEN": secretValue}}, heads{}, 0)
	if one.Start.Token != "" || len(one.Start.Secrets) != 0 {
		t.Error("it holds one")
	}
}

// asked is a workspace that notes what is to be run in it.
type asked struct {
	Workspace
	last Command
}

func (a *asked) Exec(_ context.Context, cmd Command) (Exit, error) {
	a.last = cmd
	return Exit{}, nil
}

func TestOnlyTheAgentsOwnProgramIsGivenSecrets(t *testing.T) {
	inner := &asked{}
	w := withSecrets(inner, wire.Secrets{"B": "two two two", "A": "one one one", "LD_PRELOAD": "/tmp/evil.so"})
	for _, one := range []struct {
		key  string
		want []string
	}{
		{agentKey, []string{"A=one one one", "B=two two two", "A=the driver's"}},
		{"", []string{"A=the driver's"}},
		{"another", []string{"A=the driver's"}},
	} {
		if _, err := w.Exec(t.Context(), Command{Key: one.key, Env: []string{"A=the driver's"}}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(inner.last.Env, one.want) {
			t.Errorf("a program with the key %q is given %q", one.key, inner.last.Env)
		}
	}
	if w := withSecrets(inner, nil); w != Workspace(inner) {
		t.Error("without secrets the workspace is another")
	}
}

func TestInAContainerNobodyButTheAgentsProgramHasTheSecret(t *testing.T) {
	t.Parallel()
	e := docker(t)
	inner := e.workspace(t)
	w := withSecrets(inner, wire.Secrets{"API_TOKEN": secretValue})
	var out strings.Builder
	look := `echo "mine: $API_TOKEN"; tr '\0' '\n' </proc/1/environ | grep -c horse; grep -l horse /proc/1/cmdline; true`
	if exit, err := w.Exec(t.Context(), Command{Args: []string{"sh", "-c", look}, Key: agentKey, Stdout: &out}); err != nil || exit.Code != 0 {
		t.Fatal(exit, err)
	}
	if out.String() != "mine: "+secretValue+"\n0\n" {
		t.Errorf("the agent's program sees %q", out.String())
	}
	if said, err := output(t.Context(), w, "env"); err != nil || strings.Contains(said, "horse") {
		t.Errorf("another program sees %q, %v", said, err)
	}
	_, config, err := e.client.ContainerInspectWithRaw(t.Context(), inner.id, false)
	if err != nil || strings.Contains(string(config), "horse") {
		t.Errorf("the engine keeps it: %v", err)
	}
}
