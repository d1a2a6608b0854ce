package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func newTestWorkspace(t *testing.T) *processWorkspace {
	t.Helper()
	dir := t.TempDir()
	home := filepath.Join(dir, "w.home")
	for _, d := range []string{filepath.Join(dir, "w"), filepath.Join(home, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	sam, err := os.Executable() // which TestMain lets be sam shim
	if err != nil {
		t.Fatal(err)
	}
	w := newProcessWorkspace(sam, filepath.Join(dir, "w"), home, nil, nil)
	w.wait = patience{interrupt: 200 * time.Millisecond, terminate: 200 * time.Millisecond}
	return w
}

// runUntilReady runs a script, ends ctx when it prints a line, and returns how it ended and what it printed after.
func runUntilReady(t *testing.T, w *processWorkspace, cmd Command) (Exit, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	rest := make(chan string, 1)
	go func() {
		reader := bufio.NewReader(out)
		_, _ = reader.ReadString('\n')
		cancel()
		all, _ := io.ReadAll(reader)
		rest <- string(all)
	}()
	cmd.Stdout = in
	exit, err := w.Exec(ctx, cmd)
	_ = in.Close()
	if err != nil {
		t.Fatal(err)
	}
	return exit, <-rest
}

func TestTheStopLadderIsClimbedAsFarAsNeeded(t *testing.T) {
	t.Parallel()
	const soon, late = 200 * time.Millisecond, 30 * time.Second // a rung that is enough has the time it needs
	for _, row := range []struct {
		name, script string
		input        bool
		wait         patience
		want         Exit
	}{
		{"the end of its input is enough", `trap '' TERM; echo ready; cat >/dev/null; exit 3`, true, patience{late, soon}, Exit{Code: 3}},
		{"SIGTERM is enough", `trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done`, false, patience{soon, late}, Exit{Code: 4}},
		{"SIGTERM after an input that did not help", `echo ready; exec sleep 60`, true, patience{soon, late}, Exit{Code: -1, Signal: syscall.SIGTERM}},
		{"SIGKILL for one that ignores SIGTERM", `trap '' TERM; echo ready; while :; do sleep 0.01; done`, false, patience{soon, soon}, Exit{Code: -1, Signal: syscall.SIGKILL}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			cmd := Command{Args: []string{"sh", "-c", row.script}}
			if row.input {
				in, out := io.Pipe()
				cmd.Stdin = in
				cmd.Interrupt = func() { _ = out.Close() }
			}
			w := newTestWorkspace(t)
			w.wait = row.wait
			if exit, _ := runUntilReady(t, w, cmd); exit != row.want {
				t.Errorf("it %s", exit)
			}
		})
	}
}

// A child that a program leaves behind holds a named pipe open: its reader sees the end only when the child is gone.
func TestNothingThatAProgramStartedOutlivesIt(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, script string }{
		{"when it ends by itself", `(trap '' TERM; exec 3>fifo; echo held >&3; sleep 60) & exec 4<>fifo; read x <&4; echo ready`},
		{"when it is stopped", `(trap '' TERM; exec 3>fifo; echo held >&3; sleep 60) & exec 4<>fifo; read x <&4; echo ready; wait`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTestWorkspace(t)
			fifo := filepath.Join(w.tree, "fifo")
			if err := syscall.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			runUntilReady(t, w, Command{Args: []string{"sh", "-c", row.script}})
			// Opening for writing without blocking fails (ENXIO) only if nobody has it open for reading; for reading, the end
			// comes at once only if nobody has it open for writing.
			reader, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if err := reader.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := reader.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("somebody holds the pipe: %d bytes, %v", n, err)
			}
		})
	}
}

// Whoever holds a lock of a file runs: the test may lock it only when every holder has ended.
func TestADaemonDoesNotOutliveTheProgramThatStartedIt(t *testing.T) {
	t.Parallel()
	const daemon = `
		for i in 1 2 3; do (setsid sh -c 'trap "" TERM HUP; exec 9<held; flock -s 9; echo >>ready; (setsid sleep 1000 &); while :; do sleep 0.01; done' >/dev/null 2>&1 &); done
		while [ "$(wc -l <ready)" -lt 3 ]; do sleep 0.01; done; `
	for _, row := range []struct{ name, script string }{
		{"when it ends by itself", daemon + `echo ready; exit 3`},
		{"when it is killed", daemon + `echo ready; kill -9 $$`},
		{"when it is stopped", daemon + `echo ready; exec sleep 1000`},
		{"when it is stopped and ignores that", daemon + `trap '' TERM; echo ready; while :; do sleep 0.01; done`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newTestWorkspace(t)
			held := filepath.Join(w.tree, "held")
			if err := errors.Join(os.WriteFile(held, nil, 0o600), os.WriteFile(filepath.Join(w.tree, "ready"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			runUntilReady(t, w, Command{Args: []string{"sh", "-c", row.script}})
			file, err := os.Open(held)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
				t.Errorf("something of it runs: %v", err)
			}
		})
	}
}

func TestAProgramThatCannotRunSaysSo(t *testing.T) {
	t.Parallel()
	w := newTestWorkspace(t)
	for _, args := range [][]string{{"no-such-program"}, {"/no/such/program"}, {"./relative"}, nil} {
		if _, err := w.Exec(t.Context(), Command{Args: args}); err == nil {
			t.Errorf("%v ran", args)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Exec(ctx, Command{Args: []string{"true"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestAProgramInAWorkspaceSeesNothingElseOfTheNodesEnvironment(t *testing.T) {
	t.Setenv("SAM_NODE_TOKEN", "secret-of-the-node")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-node")
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOCACHE", "")
	w := newTestWorkspace(t)
	var out bytes.Buffer
	if exit, err := w.Exec(t.Context(), Command{Args: []string{"env"}, Stdout: &out, Env: []string{"MORE=1"}}); err != nil || exit != (Exit{}) {
		t.Fatal(exit, err)
	}
	if strings.Contains(out.String(), "secret-of-the-node") {
		t.Errorf("it sees a secret:\n%s", out.String())
	}
	allowed := []string{"PATH", "LANG", "HOME", "TMPDIR", "USER", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN",
		"GIT_CONFIG_NOSYSTEM", "MORE", "PWD"}
	seen := map[string]string{}
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		seen[name] = value
		if !slices.Contains(allowed, name) {
			t.Errorf("it sees %s", name)
		}
	}
	if !strings.HasSuffix(seen["HOME"], "w.home") || seen["TMPDIR"] != filepath.Join(seen["HOME"], "tmp") || seen["GOFLAGS"] != "-mod=mod" || seen["MORE"] != "1" {
		t.Errorf("it sees %v", seen)
	}
	if cache, err := os.UserCacheDir(); err == nil && seen["GOCACHE"] != filepath.Join(cache, "go-build") {
		t.Errorf("Go's cache is %q", seen["GOCACHE"])
	}
}

func TestOutputTellsTheLastWordsOfAFailure(t *testing.T) {
	t.Parallel()
	w := newTestWorkspace(t)
	_, err := output(t.Context(), w, "sh", "-c", "echo first >&2; echo last >&2; exit 9")
	var failed *commandError
	if !errors.As(err, &failed) || failed.exit.Code != 9 || !strings.HasSuffix(failed.words, "last") || !strings.HasPrefix(err.Error(), "sh -c: ") {
		t.Errorf("got %v", err)
	}
	if _, err := output(t.Context(), w, "sh", "-c", "yes | head -c 2000000"); err == nil {
		t.Error("two megabytes were taken")
	}
}
