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
	scratch := filepath.Join(home, "tmp") // emptied between attempts; the rest of home stays for a follow-up
	if err := errors.Join(removeAll(scratch), os.MkdirAll(scratch, 0o700)); err != nil {
		return nil, "", fmt.Errorf("make the workspace's home: %w", err)
	}
	note, err = w.clear(tree, func() bool { return precious(ctx, newProcessWorkspace(w.sam, tree, home, nil, nil)) })
	if err != nil {
		return nil, "", err
	}
	forward, err := startForward(ctx, w.gateway, s.Task, s.Token)
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
	return gitConfig{
		{"user.name", s.AuthorName},
		{"user.email", s.AuthorEmail},
		bearing(root, "sam", s.Token),
	}
}

// clone writes a repository as `git clone --shared` would make it, with the two branches that matter, and checks the
// task's branch out. Writing it takes one git where cloning takes five, on the way to an agent's first word.
func (w *workspaces) clone(ctx context.Context, s wire.Start, tree string, from heads, origin string) error {
	local := from.branch
	config := "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n" +
		"[remote \"origin\"]\n\turl = " + origin + "\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
	if from.branch != "" {
		config += "[branch " + quotedInConfig(s.Branch) + "]\n\tremote = origin\n\tmerge = " + quotedInConfig("refs/heads/"+s.Branch) + "\n"
	} else {
		local = from.base
	}
	refs := []string{local + " refs/heads/" + s.Branch}
	if from.base != "" {
		refs = append(refs, from.base+" refs/remotes/origin/"+s.Base)
	}
	if from.branch != "" && s.Branch != s.Base {
		refs = append(refs, from.branch+" refs/remotes/origin/"+s.Branch)
	}
	for _, dir := range []string{"objects/info", "objects/pack", "refs/heads", "info"} {
		if err := os.MkdirAll(filepath.Join(tree, ".git", filepath.FromSlash(dir)), 0o700); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"HEAD":                    "ref: refs/heads/" + s.Branch,
		"config":                  strings.TrimSuffix(config, "\n"),
		"packed-refs":             strings.Join(refs, "\n"),
		"objects/info/alternates": filepath.Join(from.mirror, "objects"),
	} {
		if err := os.WriteFile(filepath.Join(tree, ".git", filepath.FromSlash(name)), []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	_, err := w.git.run(ctx, tree, nil, "", "reset", "--quiet", "--hard")
	return err
}

// quotedInConfig is a branch's name as git's configuration wants it: it may hold quotes, and no backslash.
func quotedInConfig(value string) string {
	return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
}

// clear makes room for a fresh tree. One that holds work which is nowhere else, as precious says, is moved aside, and the
// oldest of those goes when they are too many.
func (*workspaces) clear(tree string, precious func() bool) (note string, err error) {
	pushed := os.Remove(tree+pushedSuffix) == nil
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
	if err := os.Rename(tree, aside); err != nil {
		return "", fmt.Errorf("keep the thread's earlier workspace: %w", err)
	}
	for len(kept) >= maxKept {
		if err := removeAll(keptName(tree, kept[0])); err != nil {
			return "", fmt.Errorf("remove the oldest kept workspace: %w", err)
		}
		kept = kept[1:]
	}
	return "an earlier workspace held work that was not pushed: kept on the node as " + filepath.Base(aside), nil
}

func keptName(tree string, n int) string { return tree + ".kept-" + strconv.Itoa(n) }

// keptOf lists the numbers of a thread's kept workspaces, oldest first.
func keptOf(tree string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Dir(tree))
	if err != nil {
		return nil, fmt.Errorf("look for kept workspaces: %w", err)
	}
	var found []int
	for _, entry := range entries {
		digits, ok := strings.CutPrefix(entry.Name(), filepath.Base(tree)+".kept-")
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

// removeAll removes a tree even where folders in it are read-only, as in a cache of modules.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() {
			return root.Chmod(name, 0o700)
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(path)
}
