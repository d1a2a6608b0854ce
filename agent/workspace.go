package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sam/agent/egress"
	"sam/agent/wire"
)

// Workspace is where one attempt's agent works: a working tree, and a place to run programs in it.
type Workspace interface {
	// Exec runs a program in the working tree until it has ended, with everything that it started in its process group, and
	// with a Key everything that it started at all. The end of ctx stops it: its own interrupt, SIGTERM, SIGKILL, each after a grace. The error means that it could not
	// be run; how it ended is in Exit.
	Exec(ctx context.Context, cmd Command) (Exit, error)
	// Kind is what the node reports: KindProcess or KindDocker.
	Kind() string
	// Broker is the base address of the node's forwarder as programs in the workspace reach it, without a slash at the end.
	// With the task's token it carries the task's git and its model requests.
	Broker() string
	// Agents is the folder of the node's installed agents, and Sam the path of the sam binary, as programs in the workspace
	// see them.
	Agents() string
	Sam() string
	// Close gives back what the workspace holds of the node, at the latest when ctx ends. The working tree stays for a
	// follow-up.
	Close(ctx context.Context) error
}

// The kinds of workspace. In a process workspace programs run as the node's own user, without isolation; in a docker
// workspace they run in an unprivileged container.
const (
	KindProcess = "process"
	KindDocker  = "docker"
)

// maxKept is how many workspaces with work that was never pushed are kept for a thread.
const maxKept = 3

// pushedSuffix names a file beside a tree, which says that no work in it is only there. It is gone before anything may
// write to the tree again.
const pushedSuffix = ".pushed"

// workspaces are the working trees on this node, one for each thread.
type workspaces struct {
	dir     string
	runs    string // folders of the containers' sockets
	agents  string
	sam     string
	git     git
	gateway *gatewayClient
	kind    string          // of what make makes; set when the node runs
	engine  *engine         // of KindDocker
	quota   *projects       // nil: the file system has none; set when the node runs
	spools  *spools         // where what the proxy refuses is told; set when the node runs
	out     egress.Options  // what the proxies of workspaces have in common
	ending  <-chan struct{} // closed when the node is to end
	locks   locks           // one attempt at a time in each thread's
}

// close gives back what belongs to the process.
func (w *workspaces) close() {
	if w.engine != nil {
		_ = w.engine.client.Close()
	}
}

func (w *workspaces) tree(thread string) string { return filepath.Join(w.dir, thread) }
func (w *workspaces) home(thread string) string { return w.tree(thread) + ".home" }

// make makes the workspace of an attempt: a fresh clone of the mirror that borrows its objects, on the task's branch. The
// caller holds the thread's lock. note says what became of an earlier workspace, when that is worth telling.
func (w *workspaces) make(ctx context.Context, s wire.Start, from heads) (made Workspace, note string, err error) {
	if w.kind == KindDocker {
		return w.makeDocker(ctx, s, from)
	}
	tree, home := w.tree(s.Thread), w.home(s.Thread)
	if err := makeHome(home); err != nil {
		return nil, "", err
	}
	note, err = w.clear(tree, func() bool { return precious(ctx, newProcessWorkspace(w.sam, tree, home, nil, nil)) })
	if err != nil {
		return nil, "", err
	}
	out, err := w.ways(s)
	if err != nil {
		return nil, "", err
	}
	forward, err := startForward(ctx, w.gateway, s.Task, s.Token, out)
	if err != nil {
		return nil, "", err
	}
	process := newProcessWorkspace(w.sam, tree, home, append(workspaceGit(s, forward.root()).env(), "GIT_TERMINAL_PROMPT=0"), forward)
	process.agents = w.agents
	if err := w.clone(ctx, s, tree, from, forward.base()+wire.GitPath+s.Task); err != nil {
		_ = process.Close(ctx)
		return nil, "", fmt.Errorf("make workspace: %w", err)
	}
	return process, note, nil
}

// workspaceGit is what git in the workspace is given by its environment: whom commits are by, and the task's token, which
// it sends to the forwarder, at root, only.
func workspaceGit(s wire.Start, root string) gitConfig {
	return append(gitConfig{
		{"user.name", s.AuthorName},
		{"user.email", s.AuthorEmail},
		bearing(root, "sam", s.Token),
		{"http." + root + ".proxy", ""}, // whatever the environment says of proxies
	}, listedGit(s, root)...)
}

// makeHome makes a home for a process workspace. Its tmp is emptied between attempts; the rest stays for a follow-up.
func makeHome(home string) error {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return fmt.Errorf("make the workspace's home: %w", err)
	}
	root, err := os.OpenRoot(home)
	if err != nil {
		return fmt.Errorf("make the workspace's home: %w", err)
	}
	defer root.Close()
	if err := errors.Join(removeAll(filepath.Join(home, "tmp")), root.Mkdir("tmp", 0o700)); err != nil {
		return fmt.Errorf("empty the workspace's folder for temporary files: %w", err)
	}
	return nil
}

// clear makes room for a fresh tree. One that holds work which is nowhere else, as precious says, is moved aside, and the
// oldest of those goes when they are too many.
func (w *workspaces) clear(tree string, precious func() bool) (note string, err error) {
	pushed := os.Remove(tree+pushedSuffix) == nil
	repository, _ := w.borrower(tree)
	if err := removeAll(tree + usedSuffix); err != nil { // from now on the earlier tree is not this attempt's to answer for
		return "", fmt.Errorf("look at the thread's earlier workspace: %w", err)
	}
	if _, err := os.Lstat(tree); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if pushed || !precious() {
		if err := removeAll(tree); err != nil {
			return "", fmt.Errorf("remove the thread's earlier workspace: %w", err)
		}
		return "", nil
	}
	kept, err := keptOf(tree)
	if err != nil {
		return "", err
	}
	next := 1
	if len(kept) > 0 {
		next = kept[len(kept)-1] + 1
	}
	aside := keptName(tree, next)
	if err := w.keep(tree, aside, repository); err != nil {
		return "", err
	}
	for len(kept) >= maxKept {
		oldest := keptName(tree, kept[0])
		if err := errors.Join(removeAll(oldest), removeAll(oldest+usedSuffix)); err != nil {
			return "", fmt.Errorf("remove the oldest kept workspace: %w", err)
		}
		kept = kept[1:]
	}
	return "an earlier workspace held work that was not pushed: kept on the node as " + filepath.Base(aside) + ", with the hooks and the git configuration that it had", nil
}

const keptInfix = ".kept-"

func keptName(tree string, n int) string { return tree + keptInfix + strconv.Itoa(n) }

// keptOf lists the numbers of a thread's kept workspaces, oldest first.
func keptOf(tree string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(tree))
	if err != nil {
		return nil, fmt.Errorf("look for kept workspaces: %w", err)
	}
	var found []int
	for _, entry := range entries {
		digits, ok := strings.CutPrefix(entry.Name(), filepath.Base(tree)+keptInfix)
		if n, err := strconv.Atoi(digits); ok && err == nil {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found, nil
}

// precious reports whether the workspace holds something uncommitted, or a commit (a stash too) that origin was not seen
// to have. What cannot be told is taken for precious. Git is asked inside the workspace: its configuration is the agent's.
func precious(ctx context.Context, workspace Workspace) bool {
	for _, args := range [][]string{
		{"git", "status", "--porcelain", "--untracked-files=normal"},
		{"git", "rev-list", "--max-count=1", "--all", "--not", "--remotes=origin"},
	} {
		if out, err := output(ctx, workspace, args...); err != nil || out != "" {
			return true
		}
	}
	return false
}
