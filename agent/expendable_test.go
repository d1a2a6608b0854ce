package agent

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"sam/agent/shim"
)

// What keeps the node when memory runs out is inherited by what it starts. The shell below stands for a git that starts others.
func TestWhatTheNodeStartsItselfGoesBeforeItWhereMemoryRunsOut(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	env := []string{"PATH=" + os.Getenv("PATH")}
	script := Command{Args: []string{"sh", "-c", `cat /proc/$$/oom_score_adj; cat /proc/self/oom_score_adj; printf '%s|' "$@"; exit 7`, "sh", "a b", "$0"}, Stdout: &out}
	exit, err := run(t.Context(), t.TempDir(), env, script, gitWait)
	if err != nil || exit != (Exit{Code: 7}) {
		t.Fatalf("%v, %v", exit, err)
	}
	score := strconv.Itoa(shim.Expendable())
	if want := score + "\n" + score + "\na b|$0|"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	if mine, err := strconv.Atoi(strings.TrimSpace(string(own))); err != nil || mine >= shim.Expendable() {
		t.Errorf("the node itself has %d, and goes first: %v", mine, err)
	}
}
