package agent

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// workspaceWait is how long a program in a workspace has at each rung of the stop ladder.
const (
	waitInterrupt = 2 * time.Second
	waitTerminate = 5 * time.Second
)

// processWorkspace runs programs as processes of the node, with an environment of their own. Each has a guard, git too: an
// agent may have told git what to start.
type processWorkspace struct {
	tree    string
	env     []string
	agents  string
	sam     string
	forward *forward // nil: no way to the gateway
	wait    patience
}

func newProcessWorkspace(sam, tree, home string, more []string, forward *forward) *processWorkspace {
	return &processWorkspace{
		sam: sam, tree: tree, env: append(processEnvironment(home), more...), forward: forward,
		wait: patience{interrupt: waitInterrupt, terminate: waitTerminate},
	}
}

func (w *processWorkspace) Kind() string   { return KindProcess }
func (w *processWorkspace) Agents() string { return w.agents }
func (w *processWorkspace) Sam() string    { return w.sam }

func (w *processWorkspace) Broker() string {
	if w.forward == nil {
		return ""
	}
	return w.forward.base()
}

func (w *processWorkspace) Exec(ctx context.Context, cmd Command) (Exit, error) {
	return guarded(ctx, w.sam, w.tree, w.env, cmd, w.wait)
}

func (w *processWorkspace) Close(ctx context.Context) error {
	if w.forward == nil {
		return nil
	}
	return w.forward.close(ctx)
}

// processEnvironment is all that a program in a workspace sees of the node's environment: the way to programs, and where
// Go keeps its caches, so that a build in a workspace is as warm as the node.
func processEnvironment(home string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp"),
		"GIT_CONFIG_NOSYSTEM=1",
	}
	if who, err := user.Current(); err == nil {
		env = append(env, "USER="+who.Username)
	}
	for _, name := range []string{"GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, pair := range goFolders() {
		if value := os.Getenv(pair[0]); value != "" {
			pair[1] = value
		}
		if pair[1] != "" {
			env = append(env, pair[0]+"="+pair[1])
		}
	}
	return env
}

// goFolders are Go's own defaults for the node's user, empty where that user has no home.
func goFolders() [][2]string {
	var build, path, modules string
	if cache, err := os.UserCacheDir(); err == nil {
		build = filepath.Join(cache, "go-build")
	}
	if home, err := os.UserHomeDir(); err == nil {
		path = filepath.Join(home, "go")
	}
	if set := os.Getenv("GOPATH"); set != "" {
		path = set
	}
	if path != "" {
		modules = filepath.Join(filepath.SplitList(path)[0], "pkg", "mod")
	}
	return [][2]string{{"GOCACHE", build}, {"GOPATH", path}, {"GOMODCACHE", modules}}
}

// maxOutput bounds what output keeps of a program, in bytes.
const maxOutput = 1 << 20

// output runs a program in the workspace and returns what it printed. A failure is a *commandError with its last words.
func output(ctx context.Context, w Workspace, args ...string) (string, error) {
	var out bounded
	words := &tail{max: 4 << 10}
	exit, err := w.Exec(ctx, Command{Args: args, Stdout: &out, Stderr: words})
	switch {
	case err != nil:
		return "", err
	case exit != Exit{} && ctx.Err() != nil:
		return "", context.Cause(ctx)
	case exit != Exit{}:
		return "", &commandError{what: strings.Join(args[:min(2, len(args))], " "), words: words.lastLines(10), exit: exit}
	case out.full:
		return "", fmt.Errorf("%s printed more than %d bytes", args[0], maxOutput)
	}
	return string(out.kept), nil
}

// bounded keeps the first maxOutput bytes and remembers whether there were more.
type bounded struct {
	kept []byte
	full bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := maxOutput - len(b.kept)
	b.full = b.full || len(p) > room
	b.kept = append(b.kept, p[:min(room, len(p))]...)
	return len(p), nil
}
