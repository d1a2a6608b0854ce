package shim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// guardedProgram is a guard with a shell script for a program, as sam node starts it.
type guardedProgram struct {
	t     *testing.T
	cmd   *exec.Cmd
	end   *os.File // the guard ends everything when it is closed
	words *json.Decoder
	out   *bufio.Reader
	dir   string
}

func startGuard(t *testing.T, args ...string) *guardedProgram {
	t.Helper()
	theirEnd, end, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	words, theirWords, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	g := &guardedProgram{t: t, end: end, words: json.NewDecoder(words), dir: t.TempDir()}
	g.cmd = exec.Command(os.Args[0], append([]string{"shim", GuardCommand}, args...)...)
	g.cmd.ExtraFiles, g.cmd.Dir = []*os.File{theirEnd, theirWords}, g.dir
	out, err := g.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	g.out = bufio.NewReader(out)
	if err := errors.Join(g.cmd.Start(), theirEnd.Close(), theirWords.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = end.Close(); _ = words.Close(); _ = g.cmd.Wait() })
	return g
}

// say is what the guard says next.
func (g *guardedProgram) say() Guarded {
	g.t.Helper()
	var said Guarded
	if err := g.words.Decode(&said); err != nil {
		g.t.Fatalf("the guard says no more: %v", err)
	}
	return said
}

// A daemon holds a lock as long as it lives. When sam node is killed the kernel closes its end of the pipe.
func TestAGuardThatLosesItsNodeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	g := startGuard(t, "/bin/sh", "sh", "-c", `trap "" TERM
		(setsid sh -c 'trap "" TERM HUP; exec 9>held; flock -s 9; echo held; while :; do sleep 0.01; done' &)
		while :; do sleep 0.01; done`)
	if said := g.say(); said.PID == 0 || said.Exit != nil {
		t.Fatalf("it says %+v", said)
	}
	if line, err := g.out.ReadString('\n'); line != "held\n" {
		t.Fatalf("%q %v", line, err)
	}
	if err := g.end.Close(); err != nil {
		t.Fatal(err)
	}
	if said := g.say(); said.Exit == nil || *said.Exit != (Exit{Code: -1, Signal: int(syscall.SIGKILL)}) {
		t.Errorf("it says %+v", said)
	}
	if err := g.cmd.Wait(); err != nil {
		t.Errorf("the guard: %v", err)
	}
	held, err := os.Open(filepath.Join(g.dir, "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Errorf("the daemon runs: %v", err)
	}
}

func TestAGuardedProgramHasNothingOfItsGuards(t *testing.T) {
	t.Parallel()
	g := startGuard(t, "/bin/sh", "called-so", "-c", `[ -p /dev/fd/3 ] || [ -p /dev/fd/4 ] && echo "it has a pipe"; echo $0; exit 7`)
	g.say()
	line, err := g.out.ReadString('\n')
	if err != nil || line != "called-so\n" {
		t.Errorf("it has %q, %v", line, err)
	}
	if said := g.say(); said.Exit == nil || *said.Exit != (Exit{Code: 7}) {
		t.Errorf("the guard says %+v", said)
	}
}

func TestAGuardSaysWhyItsProgramDoesNotRun(t *testing.T) {
	t.Parallel()
	g := startGuard(t, "/no/such/program", "program")
	if said := g.say(); !strings.Contains(said.Refused, "/no/such/program") || said.PID != 0 {
		t.Errorf("it says %+v", said)
	}
	var words bytes.Buffer
	alone := exec.Command(os.Args[0], "shim", GuardCommand, "/bin/true", "true")
	alone.Stderr = &words
	var exit *exec.ExitError
	if err := alone.Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(words.String(), "started by sam node") {
		t.Errorf("started by another: %v %s", err, words.String())
	}
}
