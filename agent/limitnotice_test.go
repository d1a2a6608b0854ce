package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestAPageIsToldOnceOfEachLimitThatTheWorkspaceCameTo(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for name, row := range map[string]struct {
		script string
		told   []string
	}{
		"of none":       {"echo fine", nil},
		"of processes":  {"(for i in $(seq 700); do sleep 20 & done) 2>/dev/null; true", []string{"processes_refused 512 processes"}},
		"of its memory": {"for i in 1 2; do head -c 700000000 /dev/zero | tail -n 1 >/dev/null; done; true", []string{"memory_exhausted 512 MiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := e.workspace(t)
			told := &page{}
			done := w.watchLimits(t.Context(), told.refusals())
			var out bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			// Not a program of the agent's key, at whose end all others are ended.
			if _, err := w.Exec(ctx, Command{Args: []string{"sh", "-c", row.script}, Stdout: &out, Stderr: &out}); err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			done()
			if got := told.told(); !slices.Equal(got, row.told) {
				t.Errorf("told is %q; it said %s", got, out.String())
			}
		})
	}
}

func TestAKernelsCounterIsReadInEitherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, row := range map[string]struct {
		text, word string
		want       int64
	}{
		"processes":           {"max 3\n", "max", 3},
		"memory in version 1": {"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "oom_kill", 2},
		"memory in version 2": {"low 0\nhigh 0\nmax 12\noom 4\noom_kill 1\noom_group_kill 0\n", "oom_kill", 1},
		"none":                {"max 0\n", "max", 0},
		"another word":        {"max 3\n", "oom_kill", 0},
		"no number":           {"max many\n", "max", 0},
		"nothing":             {"", "max", 0},
	} {
		path := filepath.Join(dir, "events")
		if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := (limitCounter{path: path, word: row.word}).count(); got != row.want {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := (limitCounter{path: filepath.Join(dir, "gone"), word: "max"}).count(); got != 0 {
		t.Errorf("of a group that is gone it is %d", got)
	}
}
