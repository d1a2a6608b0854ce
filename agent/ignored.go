package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"sam/task"
)

// repositoryIgnored is the code of the notice of what a repository holds for git itself that SAM does not do.
const repositoryIgnored = "repository_ignored"

// ignored is what a repository holds for git, or for whoever follows links, that SAM leaves where it is, by name and in git's
// order. A person who counts on it is to know; so is one whose repository somebody else has changed.
type ignored struct {
	configs    []string // files of git's configuration
	hooks      []string // folders with hooks
	submodules []string
	filters    []string // that attributes name, Git LFS's apart
	lfs        []string // patterns of what Git LFS keeps
	links      []string // symbolic links out of the repository, or into .git

	attributes, targets objects // to be read
}

// Bounds of what is read for it: files of attributes, links, and bytes of all of them; and of how many of a kind are held.
const (
	maxAttributes   = 100
	maxIgnoredBytes = 4 << 20
	maxIgnored      = 1000
)

// modeSubmodule is the mode of a submodule.
const modeSubmodule = "160000"

// hookNames are the hooks that a working tree can hold for a client's git.
var hookNames = []string{ //nolint:gochecknoglobals // a table
	"applypatch-msg", "pre-applypatch", "post-applypatch", "pre-commit", "pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-commit",
	"pre-rebase", "post-checkout", "post-merge", "pre-push", "reference-transaction", "post-rewrite", "sendemail-validate", "fsmonitor-watchman", "post-index-change",
}

// objects are names of files with the IDs of their contents.
type objects []struct{ name, object string }

func (o *objects) add(name, object string, most int) {
	if len(*o) < most {
		*o = append(*o, struct{ name, object string }{name, object})
	}
}

// see notes one file of what is checked out.
func (i *ignored) see(name string, f file) {
	folder, base := path.Split(name)
	folder = strings.TrimSuffix(folder, "/")
	switch {
	case f.mode == modeSubmodule:
		i.submodules = held(i.submodules, name)
	case f.mode == modeLink:
		i.targets.add(name, f.object, maxLinks)
	case base == ".gitattributes":
		i.attributes.add(name, f.object, maxAttributes)
	case name == ".gitconfig", name == ".lfsconfig":
		i.configs = held(i.configs, name)
	case slices.Contains([]string{".githooks", ".git-hooks", ".husky", "hooks"}, path.Base(folder)) && slices.Contains(hookNames, base):
		i.hooks = held(i.hooks, folder)
	}
}

// held adds a name that is not there yet, while there is room.
func held(all []string, name string) []string {
	if len(all) >= maxIgnored || slices.Contains(all, name) {
		return all
	}
	return append(all, name)
}

// read reads in the mirror where links lead and what attributes name. What is beyond the bounds is left out: git obeys none
// of it either way.
func (i *ignored) read(ctx context.Context, g git, mirror string) error {
	all := slices.Concat(i.targets, i.attributes)
	if len(all) == 0 {
		return nil
	}
	contents, err := g.contents(ctx, mirror, all)
	if err != nil {
		return err
	}
	for n, content := range contents {
		name := all[n].name
		if n >= len(i.targets) {
			i.attribute(content)
			continue
		}
		if to, inside := linked(name, string(content)); !inside || to == ".git" || strings.HasPrefix(to, ".git/") {
			i.links = append(i.links, name)
		}
	}
	return nil
}

// attribute notes what lines of attributes have filtered.
func (i *ignored) attribute(lines []byte) {
	for line := range strings.Lines(string(lines)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		for _, one := range fields[1:] {
			name, ok := strings.CutPrefix(one, "filter=")
			switch {
			case !ok:
			case name == "lfs":
				i.lfs = held(i.lfs, fields[0])
			default:
				i.filters = held(i.filters, name)
			}
		}
	}
}

// contents reads objects, as many as there is room for.
func (g git) contents(ctx context.Context, repository string, all objects) ([][]byte, error) {
	var asked bytes.Buffer
	for _, one := range all {
		asked.WriteString(one.object + "\n")
	}
	out := &brimming{left: maxIgnoredBytes}
	if err := g.runTo(ctx, repository, nil, &asked, out, "cat-file", "--batch"); err != nil && !out.full {
		return nil, err
	}
	var found [][]byte
	for range all { // each is "<object> blob <size>\n<content>\n"
		head, err := out.held.ReadString('\n')
		fields := strings.Fields(head)
		if err != nil || len(fields) != 3 {
			break
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size < 0 || size >= out.held.Len() {
			break
		}
		found = append(found, out.held.Next(size + 1)[:size])
	}
	if len(found) < len(all) && !out.full {
		return nil, fmt.Errorf("git cat-file told %d of %d objects", len(found), len(all))
	}
	return found, nil
}

// brimming holds as much as it may and fails then, which ends whoever writes. It is no bytes.Buffer, for that reads by itself
// whatever there is.
type brimming struct {
	held bytes.Buffer
	left int
	full bool
}

func (b *brimming) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.full = true
		return 0, io.ErrShortWrite
	}
	b.left -= len(p)
	return b.held.Write(p)
}

// notice tells the person, in one event that names it all; false when there is nothing.
func (i *ignored) notice() (task.Event, bool) {
	var names, words []string
	note := func(all []string, format string) {
		if len(all) > 0 {
			names = append(names, all...)
			words = append(words, fmt.Sprintf(format, strings.Join(quotedNames(all), ", ")))
		}
	}
	note(i.configs, "git is configured by SAM alone and not by %s")
	note(i.hooks, "no hook of %s is installed")
	note(i.filters, "no filter %s is run")
	note(i.lfs, "files that Git LFS keeps (%s) are its pointers to them")
	note(i.submodules, "no submodule is fetched (%s)")
	note(i.links, "links that lead out of the repository (%s) are left as they are, and nothing of the node's is behind them")
	if len(words) == 0 {
		return task.Event{}, false
	}
	return task.Event{
		Kind: task.Noticed,
		Text: "Of what the repository holds for git itself SAM does nothing: " + strings.Join(words, "; ") +
			". An agent that needs submodules or files of Git LFS fetches them in its workspace, from this repository and those that its account lists.",
		Notice: &task.Notice{Code: repositoryIgnored, Subject: strings.Join(quotedNames(names), ", ")},
	}, true
}

// maxNamed is how many files a notice names.
const maxNamed = 20

// quotedNames are a repository's names for one line, quoted where they hold anything odd, and as many as there is room for.
func quotedNames(all []string) []string {
	var names []string
	for n, name := range all {
		if n == maxNamed {
			more := "and %d more"
			if len(all) == maxIgnored {
				more = "and at least %d more"
			}
			return append(names, fmt.Sprintf(more, len(all)-maxNamed))
		}
		if quoted := strconv.Quote(name); quoted != `"`+name+`"` || strings.Contains(name, ",") {
			name = quoted
		}
		names = append(names, keepHead(name, 200))
	}
	return names
}
