package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a program of an agent's can write is never opened by a path on the node, and git is never run in it: a path can be
// exchanged for a link, and a repository's configuration names programs. So every call that takes a path, and every program
// that the node starts itself, is named here, by its function, with what makes it safe. A new one has to be thought about.

// opening are calls that reach a file by a path, follow links on the way, or start a program.
var opening = map[string][]string{ //nolint:gochecknoglobals // a table
	"os": {
		"Open", "OpenFile", "OpenRoot", "OpenInRoot", "Create", "CreateTemp", "ReadFile", "WriteFile", "ReadDir", "DirFS", "CopyFS", "Stat", "Lstat", "Readlink",
		"Mkdir", "MkdirAll", "MkdirTemp", "Rename", "Remove", "RemoveAll", "Link", "Symlink", "Chmod", "Chown", "Lchown", "Chtimes", "Truncate", "StartProcess",
	},
	"filepath": {"Walk", "WalkDir", "Glob", "EvalSymlinks"},
	"fs":       {"WalkDir"},
	"exec":     {"Command", "CommandContext"},
	"ioutil":   {"ReadFile", "WriteFile", "ReadDir", "TempDir", "TempFile"},
	"syscall": {
		"Open", "Openat", "Creat", "Stat", "Lstat", "Statfs", "Mount", "Chroot", "Chdir", "Exec", "ForkExec", "StartProcess", "Unlink", "Rename", "Mkdir", "Rmdir",
		"Link", "Symlink", "Readlink", "Chmod", "Chown", "Lchown", "Truncate", "Mknod", "Utimes", "Setxattr", "Getxattr",
	},
}

// ours are this package's own functions that do the same for their callers: git, a program, a removal.
var ours = []string{"run", "runTo", "removeAll", "open", "files", "list", "targets", "runFrom"} //nolint:gochecknoglobals // a table

// Why a call is safe.
const (
	nodes   = "a file or folder of the node's own, that is not mounted in any workspace"
	moved   = "a name in a folder of the node's own: what it stands for is moved or removed whole, and no link is followed"
	rooted  = "a folder of the node's own is opened, and everything below it through os.Root"
	mirror  = "git in a mirror, which no workspace can write"
	fresh   = "git in a tree in which nothing of an agent's has run"
	self    = "/proc and /sys, the operator's own files, or a path that the operator chose"
	checked = "opened without following a link, and looked at before it is used"
	callers = "runs a program for a workspace: git is told where by its callers, which are here too"
)

var allowed = map[string]string{ //nolint:gochecknoglobals // a table
	"New": nodes, "createSpool": nodes, "recoverSpool": nodes, "openSpools": nodes, "spool.drop": nodes, "lockFolder": nodes, "records.all": nodes,
	"records.answer": nodes, "records.put": nodes, "records.remove": nodes, "openEnvironmentLog": nodes, "mirrors.create": nodes,
	"mirrors.discard": nodes, "mirrors.ready": nodes, "mirrors.noteReady": nodes, "mirrors.halfWritten": nodes, "mirrors.removeFiles": nodes, "mirrors.unready": nodes, "mirrors.held": nodes, "mirrors.scattered": nodes, "mirrors.used": nodes, "mirrors.byUse": nodes, "bootReport.read": nodes, "bootReport.note": nodes, "workspaces.borrower": nodes,
	"borrowing": nodes, "workspaces.unknown": nodes, "workspaces.settle": nodes, "workspaces.makeDocker": nodes, "runFolder.listen": nodes,
	"keptOf": nodes, "release.install": nodes, "release.write": nodes, "releases.ensure": nodes, "releases.fetch": nodes, "releases.open": nodes, "releases.download": nodes, "release.get": nodes, "FetchClaude": nodes, "NewTransientFolder": nodes,
	"TransientFolder.Remove": nodes, "sweepFolders": nodes, "abandoned": nodes,
	"engine.use": nodes, "engine.track": nodes, "engine.readFetched": nodes, "engine.fetchedByUse": nodes, "engine.forgetFetched": nodes,
	"openIdentity": nodes, "makeKey": nodes, "identity.token": nodes, "identity.bound": nodes,
	"Node.let": moved, "disk.watch": moved, "workspaces.clear": moved, "workspaces.keep": moved, "workspaces.idle": moved,
	"dockerWorkspace.Close": moved, "runFolder.make": moved, "removeAll": moved, "give": moved, "ownerOfFolder": moved,
	"projects.in": rooted, "projects.output": rooted, "makeHome": rooted, "workspaces.measure": rooted, "workspaces.measureBeside": rooted, "giveTree": rooted, "environs.find": rooted, "unused": rooted,
	"mirrors.sweepOne": mirror, "git.contents": mirror, "mirrors.packReady": mirror, "mirrors.persist": mirror, "mirrors.taken": mirror, "mirrors.obeyed": mirror, "mirrors.followed": mirror, "workspaces.hasDevcontainer": mirror,
	"workspaces.clone": fresh, "workspaces.checkOutRestored": fresh,
	"ownerOf": self, "engine.limitsOf": self, "limitCounter.count": self, "processStat": self, "vitals": self, "space": self, "sizeOf": self, "readBoot": self, "storeOf": self, "usage.unlinked": self, "usage.nameless": self, "deletedAreas": self, "cgroupsOf": self, "engine.buildGroup": self,
	"open": checked, "runFolder.dial": checked,
	"git.files": callers, "git.list": callers, "git.runFrom": callers, "git.run": callers, "git.runTo": callers, "git.targets": callers, "prepare": callers,
}

func TestNothingOpensByPathOrRunsWhatAWorkspaceCanWrite(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			where := "package level"
			if f, ok := declaration.(*ast.FuncDecl); ok {
				where = functionName(f)
			}
			ast.Inspect(declaration, func(node ast.Node) bool {
				if called := opens(node); called != "" && !slices.Contains(found[where], called) {
					found[where] = append(found[where], called)
				}
				return true
			})
		}
	}
	if len(found) < 20 {
		t.Fatalf("only %d functions open anything: the test does not find them", len(found))
	}
	for _, where := range slices.Sorted(maps.Keys(found)) {
		if allowed[where] == "" {
			t.Errorf("%s calls %s. If a workspace can write what it opens or runs, do it inside the workspace or through os.Root; else say here why it is safe",
				where, strings.Join(found[where], ", "))
		}
	}
	for where := range allowed {
		if found[where] == nil {
			t.Errorf("%s is allowed what it does not do", where)
		}
	}
}

// opens names the call, or the function that is handed on, when it is one of those.
func opens(node ast.Node) string {
	switch n := node.(type) {
	case *ast.SelectorExpr:
		if room, ok := n.X.(*ast.Ident); ok && slices.Contains(opening[room.Name], n.Sel.Name) {
			return room.Name + "." + n.Sel.Name
		}
		if inner, ok := n.X.(*ast.SelectorExpr); ok && inner.Sel.Name == "git" && slices.Contains(ours, n.Sel.Name) {
			return "git." + n.Sel.Name
		}
		if receiver, ok := n.X.(*ast.Ident); ok && (receiver.Name == "g" || receiver.Name == "git") && slices.Contains(ours, n.Sel.Name) {
			return "git." + n.Sel.Name
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && slices.Contains(ours, f.Name) {
			return f.Name
		}
	}
	return ""
}

func functionName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "." + f.Name.Name
	}
	return f.Name.Name
}
