package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
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
		err = m.git.files(ctx, from.mirror, cmp.Or(from.branch, from.base), func(name string, f file) error {
			aside.see(name, f)
			return nil
		})
	} else {
		plan, err = m.compare(ctx, from, aside)
	}
	if err == nil {
		err = aside.read(ctx, m.git, from.mirror)
	}
	return plan, aside, surveyed(err, s)
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
	err = m.git.files(ctx, from.mirror, from.branch, func(name string, f file) error {
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
func surveyed(err error, s wire.Start) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooManyFiles):
		return gaveUpError(fmt.Sprintf("The repository %s has more than %d files and folders on the branch, more than %d of those that agents obey by themselves, one whose path is longer than %d bytes, or folders that cannot be listed within %d MB of memory and %s: SAM does not check that out. Ask on a branch with fewer.",
			s.FullName, maxTreeFiles, maxRestored, maxTreePath, maxTreeMemory>>20, listWithin))
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

// followed is where the links lead that base has among what is restored, and those on the way.
func (m *mirrors) followed(ctx context.Context, mirror string, links map[string]string) (map[string]bool, error) {
	if len(links) == 0 {
		return nil, nil
	}
	targets, err := m.git.targets(ctx, mirror, links)
	if err != nil {
		return nil, err
	}
	more := map[string]bool{}
	for before := -1; before < len(more) && len(more) < maxLinks; {
		before = len(more)
		for link, target := range targets {
			follow(link, target, more)
		}
	}
	return more, nil
}

// follow adds where a link leads, when it is restored itself, or is a folder on the way to something that is. A link that is
// only on the way is false in more: what else lies behind it is the branch's own.
func follow(link, target string, more map[string]bool) {
	to, ok := linked(link, target)
	if !ok {
		return
	}
	if whole, known := more[link]; (whole || !known) && restoredAt(link, more) > 0 {
		more[to] = true
	}
	for through, whole := range maps.Clone(more) {
		if rest, ok := strings.CutPrefix(through, link+"/"); ok {
			add(more, link, false)
			add(more, path.Join(to, rest), whole)
		}
	}
}

func add(more map[string]bool, name string, whole bool) { more[name] = more[name] || whole }

// targets reads where symbolic links lead, by their objects.
func (g git) targets(ctx context.Context, repository string, links map[string]string) (map[string]string, error) {
	names := slices.Sorted(maps.Keys(links))
	var asked, out bytes.Buffer
	for _, name := range names {
		asked.WriteString(links[name] + "\n")
	}
	if err := g.runTo(ctx, repository, nil, &asked, &out, "cat-file", "--batch"); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, name := range names { // each is "<object> blob <size>\n<content>\n"
		head, err := out.ReadString('\n')
		fields := strings.Fields(head)
		if err != nil || len(fields) != 3 {
			return nil, fmt.Errorf("git cat-file said %.100q", head)
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size < 0 || size >= out.Len() {
			return nil, fmt.Errorf("git cat-file said %.100q", head)
		}
		content := out.Next(size + 1)[:size]
		if size <= maxTreePath {
			found[name] = string(content)
		}
	}
	return found, nil
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
