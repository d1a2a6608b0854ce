package agent

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sam/agent/wire"
)

// clone writes a repository as `git clone --shared` would make it, with the two branches that matter, and checks the
// task's branch out. Writing it takes one git where cloning takes five, on the way to an agent's first word.
//
// It is the only place where git runs outside in a tree. Nothing has run there yet: the tree is new, its configuration is
// written here, and git is given no filter, hook or monitor to start. A repository's attributes can name filters, but
// none is configured.
func (w *workspaces) clone(ctx context.Context, s wire.Start, tree string, from heads, origin string) error {
	local := from.branch
	// checkstat: the tree is given to the container's user after it is written, which git must not take for a change of every
	// file: it would read them all at the agent's first question.
	config := "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n\tcheckstat = minimal\n" +
		"[remote \"origin\"]\n\turl = " + origin + "\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n" +
		"[lfs]\n\turl = " + origin + "/info/lfs\n\tlocksverify = false\n"
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
	if err := w.borrows(tree, s.Repository); err != nil {
		return err
	}
	if err := os.MkdirAll(tree, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, dir := range []string{"objects/info", "objects/pack", "refs/heads", "info"} {
		if err := root.MkdirAll(".git/"+dir, 0o700); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{
		"HEAD":                    "ref: refs/heads/" + s.Branch,
		"config":                  strings.TrimSuffix(config, "\n"),
		"packed-refs":             strings.Join(refs, "\n"),
		"objects/info/alternates": filepath.Join(from.mirror, "objects"),
		"info/exclude":            from.restore.excluded(),
	} {
		if err := root.WriteFile(".git/"+name, []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	if len(from.restore) > 0 {
		return w.checkOutRestored(ctx, tree, local, from.restore)
	}
	_, err = w.git.run(ctx, tree, nil, "", "reset", "--quiet", "--hard")
	return err
}

// quotedInConfig is a branch's name as git's configuration wants it: it may hold quotes, and no backslash.
func quotedInConfig(value string) string {
	return `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
}

// checkOutRestored checks out the branch as if it had base's files, so that base's attributes count as well, and then gives
// the index the branch's own entries again. Those are marked skip-worktree, and what only base has is excluded: git shows
// no change, and neither `git commit -a` nor `git add -A` takes the restoration into a commit. Whoever means it
// says `git update-index --no-skip-worktree` first.
func (w *workspaces) checkOutRestored(ctx context.Context, tree, commit string, plan restoration) error {
	git := func(stdin []byte, args ...string) (string, error) {
		var out bytes.Buffer
		err := w.git.runTo(ctx, tree, nil, bytes.NewReader(stdin), &out, args...)
		return strings.TrimSpace(out.String()), err
	}
	if _, err := git(nil, "read-tree", commit); err != nil {
		return err
	}
	if _, err := git(plan.entries(func(r restored) (was, is file) { return r.branch, r.base }), "update-index", "-z", "--index-info"); err != nil {
		return fmt.Errorf("restore from the base branch: %w", err)
	}
	mixed, err := git(nil, "write-tree")
	if err != nil {
		return fmt.Errorf("restore from the base branch: %w", err)
	}
	if _, err := git(nil, "read-tree", "--reset", "-u", mixed); err != nil {
		return err
	}
	if _, err := git(plan.entries(func(r restored) (was, is file) { return r.base, r.branch }), "update-index", "-z", "--index-info"); err != nil {
		return fmt.Errorf("hide what was restored: %w", err)
	}
	var skipped []byte
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		if plan[name].branch != (file{}) {
			skipped = append(append(skipped, name...), 0)
		}
	}
	if _, err := git(skipped, "update-index", "-z", "--skip-worktree", "--stdin"); err != nil {
		return fmt.Errorf("hide what was restored: %w", err)
	}
	return nil
}

// entries are lines of `update-index -z --index-info` that take every path from what it was to what it is. What goes is
// gone before anything comes, for a file may take a folder's place.
func (r restoration) entries(way func(restored) (was, is file)) []byte {
	var gone, come []byte
	for _, name := range slices.Sorted(maps.Keys(r)) {
		was, is := way(r[name])
		if was != (file{}) {
			gone = fmt.Appendf(gone, "0 %s\t%s\x00", strings.Repeat("0", len(was.object)), name)
		}
		if is != (file{}) {
			come = fmt.Appendf(come, "%s %s\t%s\x00", is.mode, is.object, name)
		}
	}
	return append(gone, come...)
}

// excluded are the patterns, for info/exclude, of what base has and the branch has not.
func (r restoration) excluded() string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if r[name].branch == (file{}) {
			lines = append(lines, "/"+excludeEscapes.Replace(name))
		}
	}
	return strings.Join(lines, "\n")
}

// excludeEscapes makes a path stand for itself in a pattern; a space would be dropped at the end.
var excludeEscapes = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, " ", `\ `) //nolint:gochecknoglobals // a table
