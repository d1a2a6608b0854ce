package shim

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
)

func TestWhatAProgramMayLeaveRunningGoesOnAndNothingIsLeftOfOneThatIsStopped(t *testing.T) {
	t.Parallel()
	a := newShim(t)
	leaving := `mkfifo "$0"; (trap '' TERM HUP; read x <"$0"; touch "$0.alive"; sleep 1000) >/dev/null 2>&1 & echo $!; `
	for _, row := range []struct {
		key    string
		leaves bool
		then   string
		signal syscall.Signal
	}{
		{"leaves", true, "", 0},
		{"may-not", false, "", 0},
		{"fails", true, "exit 3", 0},
		{"is-stopped", true, "exec sleep 1000", syscall.SIGTERM},
	} {
		pipe := t.TempDir() + "/pipe"
		if status, words := a.ask(http.MethodPut, "/v1/programs/"+row.key, Program{Args: []string{"sh", "-c", leaving + row.then, pipe}, Leaves: row.leaves}); status != http.StatusOK {
			t.Fatalf("%d %s", status, words)
		}
		a.ready(row.key)
		if row.signal != 0 {
			if status, _ := a.ask(http.MethodPost, "/v1/programs/"+row.key+"/signal?number=15", nil); status != http.StatusNoContent {
				t.Errorf("%s: it answers %d", row.key, status)
			}
		}
		said, exit := a.output(row.key, 0)
		if exit.Signal != int(row.signal) {
			t.Errorf("%s: it ended with %+v", row.key, exit)
		}
		// Only what runs takes what is written to the pipe, and answers.
		look := []string{"timeout", "20", "sh", "-c", `until ! kill -0 "$1" 2>/dev/null; do sleep 0.01; done`, "gone", strings.TrimSpace(strings.TrimPrefix(said, "1:"))}
		if row.leaves && row.signal == 0 {
			look = []string{"timeout", "20", "sh", "-c", `echo x >"$1"; until [ -e "$1.alive" ]; do sleep 0.01; done`, "lives", pipe}
		}
		a.start("look-"+row.key, false, look...)
		if _, exit := a.output("look-"+row.key, 0); exit != (Exit{}) {
			t.Errorf("%s: it %s not: %+v", row.key, look[5], exit)
		}
	}
}
