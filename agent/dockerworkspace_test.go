package agent

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestAProgramInAContainerRunsAsItDoesInAProcess(t *testing.T) {
	t.Parallel()
	w := docker(t).workspace(t)
	var out, words bytes.Buffer
	started := 0
	exit, err := w.Exec(t.Context(), Command{
		Args: []string{"sh", "-c", `read line; echo "$line $MORE in $PWD"; cat | wc -c; echo oops >&2; exit 7`}, Env: []string{"MORE=more"},
		Stdin: strings.NewReader("first\n" + strings.Repeat("x", 300<<10)), Stdout: &out, Stderr: &words, Started: func() { started++ },
	})
	if err != nil || exit != (Exit{Code: 7}) || started != 1 {
		t.Errorf("it %s, started %d times, %v", exit, started, err)
	}
	if want := "first more in /workspace\n307200\n"; out.String() != want || words.String() != "oops\n" {
		t.Errorf("it printed %q and %q", out.String(), words.String())
	}
	if exit, err := w.Exec(t.Context(), Command{Args: []string{"sh", "-c", "kill -9 $$"}}); err != nil || exit.Signal != 9 {
		t.Errorf("it %s, %v", exit, err)
	}
	for _, args := range [][]string{{"no-such-program"}, {"/no/such/program"}, {"/etc/passwd"}, nil} {
		if _, err := w.Exec(t.Context(), Command{Args: args}); err == nil {
			t.Errorf("%v ran", args)
		}
	}
}

func TestAProgramOfAnotherLibcSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := docker(t).workspace(t)
	// A program whose loader is not in the image: the same bytes as one that runs, with another loader's name.
	script := `sed 's|/lib64/ld-linux-x86-64.so.2|/lib64/ld-musl-x86-64.so.1|' /bin/true >stray; chmod +x stray`
	if _, err := output(t.Context(), w, "sh", "-c", script); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Exec(t.Context(), Command{Args: []string{"/workspace/stray"}}); err == nil || !strings.Contains(err.Error(), "another libc") {
		t.Errorf("got %v", err)
	}
}

func TestStoppedMeansThatNothingOfTheAgentIsLeft(t *testing.T) {
	t.Parallel()
	e := docker(t)
	for _, row := range []struct {
		name, script string
		stop         bool
	}{
		{"it ignores SIGTERM", `trap '' TERM INT HUP; echo ready; while :; do sleep 0.01; done`, true},
		{"it has forked daemons", `for i in 1 2 3; do (setsid sh -c 'trap "" TERM; sleep 1000 & while :; do sleep 0.01; done' >/dev/null 2>&1 &); done; echo ready; sleep 1000`, true},
		{"it ended and left daemons", `(setsid sh -c 'trap "" TERM; while :; do sleep 0.01; done' >/dev/null 2>&1 &); echo ready; exit 0`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := e.workspace(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			out := &lines{max: 100, each: func([]byte, bool) {
				if row.stop {
					cancel(&stopped{reason: "Stopped by ada."})
				}
			}}
			began := time.Now()
			_, err := w.Exec(ctx, Command{Args: []string{"sh", "-c", row.script}, Key: agentKey, Stdout: out})
			if !row.stop && err != nil {
				t.Error(err)
			}
			if left := e.processes(t, w.id); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
			t.Logf("ended after %s", time.Since(began))
		})
	}
}
