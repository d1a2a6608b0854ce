package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"strings"

	"sam/agent/wire"
	"sam/task"
)

// restoration is how a working tree differs from the branch that is checked out in it: by path, what base has there (the
// zero file for nothing) and what the branch has. It is empty on a branch of SAM's own.
type restoration map[string]restored

type restored struct{ base, branch file }

// Bounds of what is held to compare: symbolic links of the base branch that are followed, and files of a branch that are
// restored.
const (
	maxLinks    = 1000
	maxRestored = 20_000
)

// survey looks at what is going to be checked out: whether it is within bounds, what of it is to be as base has it, and what
// of it is for git itself and left alone.
// Base's own links to what agents obey are followed, for CLAUDE.md may be one to a file of any name.
func (m *mirrors) survey(ctx context.Context, s wire.Start, from heads) (plan restoration, aside *ignored, err error) {
	aside = &ignored{}
	if s.Rewrite || from.branch == "" || s.Branch == s.Base || from.branch == from.base {
		err = m.taken(ctx, from.mirror, cmp.Or(from.branch, from.base), func(name string, f file) error {
			aside.see(name, f)
			return nil
		})
	} else {
		plan, err = m.compare(ctx, from, aside)
	}
	if err == nil {
		err = aside.read(ctx, m.git, from.mirror)
	}
	return plan, aside, m.surveyed(err, s)
}

// taken calls each for every file of what is going to be checked out, as long as they fit into a workspace.
func (m *mirrors) taken(ctx context.Context, mirror, commit string, each func(string, file) error) error {
	left := cmp.Or(m.largest, defaultDisk)
	return m.git.list(ctx, mirror, commit, []string{"--long"}, func(e entry) error {
		if e.kind == "tree" {
			return nil
		}
		if left -= e.size; left < 0 {
			return errTooLarge
		}
		return each(e.path, e.file)
	})
}

// compare lists both branches, and holds of them only what is restored.
func (m *mirrors) compare(ctx context.Context, from heads, aside *ignored) (restoration, error) {
	base, links, err := m.obeyed(ctx, from.mirror, from.base, nil)
	if err != nil {
		return nil, err
	}
	more, err := m.followed(ctx, from.mirror, links)
	if err != nil {
		return nil, err
	}
	if len(more) > 0 {
		if base, _, err = m.obeyed(ctx, from.mirror, from.base, more); err != nil {
			return nil, err
		}
	}
	folders := map[string]bool{} // that base's files are in; true for those that the branch has
	for name := range base {
		folders[parentOf(name, more)] = false
	}
	branch := map[string]file{}
	err = m.taken(ctx, from.mirror, from.branch, func(name string, f file) error {
		aside.see(name, f)
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, wanted := folders[dir]; wanted {
				folders[dir] = true
			}
		}
		return hold(branch, name, f, more)
	})
	if err != nil {
		return nil, err
	}
	return differing(base, branch, folders, more), nil
}

// obeyed are a commit's files that are restored, and its symbolic links.
func (m *mirrors) obeyed(ctx context.Context, mirror, commit string, more map[string]bool) (held map[string]file, links map[string]string, err error) {
	held, links = map[string]file{}, map[string]string{}
	if commit == "" {
		return held, links, nil
	}
	err = m.git.files(ctx, mirror, commit, func(name string, f file) error {
		if f.mode == modeLink && len(links) < maxLinks {
			links[name] = f.object
		}
		return hold(held, name, f, more)
	})
	return held, links, err
}

func hold(held map[string]file, name string, f file, more map[string]bool) error {
	if restoredAt(name, more) == 0 {
		return nil
	}
	if len(held) >= maxRestored {
		return errTooManyFiles
	}
	held[name] = f
	return nil
}

// parentOf is the folder that a file which is restored needs, as a folder: empty for the root.
func parentOf(name string, more map[string]bool) string {
	return strings.Join(strings.Split(name, "/")[:restoredAt(name, more)-1], "/")
}

// surveyed words what keeps a tree from being checked out.
func (m *mirrors) surveyed(err error, s wire.Start) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooManyFiles):
		return gaveUpError(fmt.Sprintf("The repository %s has more than %d files and folders on the branch, more than %d of those that agents obey by themselves, one whose path is longer than %d bytes, or folders that cannot be listed within %d MB of memory and %s: SAM does not check that out. Ask on a branch with fewer.",
			s.FullName, maxTreeFiles, maxRestored, maxTreePath, maxTreeMemory>>20, listWithin))
	case errors.Is(err, errTooLarge):
		return gaveUpError(fmt.Sprintf("The files on the branch of %s take more than %s, which is all of the disk that a workspace may take (`disk` in the node's configuration): SAM does not check that out. "+
			"Ask on a branch with less, or have the limit raised.", s.FullName, size(cmp.Or(m.largest, defaultDisk))))
	}
	return fmt.Errorf("look at the files of %s: %w", s.FullName, err)
}

// differing is what is to be restored. What base has is put only where the branch still has the folder, as a folder: not
// through a link that the branch has in its place.
func differing(base, branch map[string]file, folders, more map[string]bool) restoration {
	plan := restoration{}
	for name, theirs := range branch {
		if base[name] != theirs {
			plan[name] = restored{base[name], theirs}
		}
	}
	for name, ours := range base {
		if _, there := branch[name]; there || strings.Contains(name, "\n") { // such a name cannot be excluded
			continue
		}
		if parent := parentOf(name, more); parent == "" || folders[parent] {
			plan[name] = restored{base: ours}
		}
	}
	return plan
}

// notice tells the person what was restored. Names are a repository's, so they are quoted where they hold anything odd.
func (r restoration) notice(s wire.Start) task.Event {
	names := quotedNames(slices.Sorted(maps.Keys(r)))
	return task.Event{
		Kind: task.Noticed,
		Text: fmt.Sprintf("The agent sees these files as the branch %s has them, not as %s does: agents and git obey them by themselves, and this branch is not one that SAM made. "+
			"The pull request keeps its own. To have the agent work with them, merge them into %s first; to have it change them, ask on an issue.", s.Base, s.Branch, s.Base),
		Notice: &task.Notice{Code: "restored_from_base", Subject: strings.Join(names, ", ")},
	}
}
