package agent

import (
	"strconv"

	"sam/agent/shim"
)

// expendable is how a program is started that is to go before the node when memory runs out (shim.Expendable), with all that it starts
// itself. A shell writes that down before it becomes the program: written from here, it would come too late for what the
// program has started by then. Where it cannot be written the program runs all the same.
func expendable(path string, args []string) (string, []string) {
	const script = `{ echo "$0" >/proc/self/oom_score_adj; } 2>/dev/null; exec "$@"`
	return "/bin/sh", append([]string{"sh", "-c", script, strconv.Itoa(shim.Expendable()), path}, args[1:]...)
}
