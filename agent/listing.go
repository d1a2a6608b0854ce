package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// file is what git has at a path: a file, a symbolic link or a submodule.
type file struct{ mode, object string }

// modeLink is the mode of a symbolic link.
const modeLink = "120000"

// Bounds of a tree that is checked out. A few hundred bytes of a repository can name any number of files or folders, by naming
// one folder many times over, and a folder can be any size once it is unpacked.
const (
	maxTreeFiles  = 1_000_000 // and folders
	maxTreePath   = 4096      // bytes, as Linux has it
	maxTreePaths  = 256 << 20 // bytes of all paths together, which git holds when it checks them out
	maxTreeMemory = 512 << 20 // bytes of the git that lists them: the folders on the way to a file, each as a whole
	listWithin    = 2 * time.Minute
)

// A tree is beyond the bounds.
var (
	errTooManyFiles = errors.New("too many files")
	errTooLarge     = errors.New("the files take too much")
)

// entry is something in a commit's tree.
type entry struct {
	file
	kind string // blob, tree or commit
	size int64  // bytes of a blob, where it was asked for
	path string
}

// files calls each for every file of a commit, in git's order. An error of each ends it and is returned.
func (g git) files(ctx context.Context, repository, commit string, each func(path string, f file) error) error {
	return g.list(ctx, repository, commit, nil, func(e entry) error {
		if e.kind == "tree" {
			return nil
		}
		return each(e.path, e.file)
	})
}

// list calls each for every file and folder of a commit but the root, in git's order, with ls-tree's further arguments. It
// takes bounded time and memory, whatever the tree is: folders are listed as well as files, for else git would walk any number
// of empty ones without a word.
func (g git) list(ctx context.Context, repository, commit string, args []string, each func(entry) error) error {
	limited, cancel := context.WithTimeoutCause(ctx, listWithin, fmt.Errorf("%w: they cannot be counted within %s", errTooManyFiles, listWithin))
	defer cancel()
	g.memory = cmp.Or(g.memory, maxTreeMemory)
	l := &listing{each: each}
	err := g.runTo(limited, repository, nil, nil, l, append(append([]string{"ls-tree", "-r", "-t", "-z", "--full-tree"}, args...), commit)...)
	switch {
	case l.err != nil:
		return l.err
	case outOfMemory(err):
		return fmt.Errorf("%w: %w", errTooManyFiles, err)
	case err != nil:
		return err
	case len(l.part) > 0:
		return fmt.Errorf("git ls-tree ended within a line: %.100q", l.part)
	}
	return nil
}

// listing reads what ls-tree -z prints, in whatever pieces it comes.
type listing struct {
	each func(entry) error

	part  []byte
	count int
	bytes int // of paths
	err   error
}

// Write fails with what is wrong with the listing, which ends git.
func (l *listing) Write(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	l.part = append(l.part, p...)
	rest := l.part
	for {
		line, after, whole := bytes.Cut(rest, []byte{0})
		if !whole {
			break
		}
		rest = after
		if l.err = l.line(string(line)); l.err != nil {
			return 0, l.err
		}
	}
	l.part = append(l.part[:0], rest...)
	if len(l.part) > 2*maxTreePath {
		l.err = errTooManyFiles
		return 0, l.err
	}
	return len(p), nil
}

// line is "<mode> <type> <object>\t<path>", with "<size>" after the object where it was asked for.
func (l *listing) line(line string) error {
	head, path, ok := strings.Cut(line, "\t")
	fields := strings.Fields(head)
	if !ok || len(fields) < 3 || len(fields) > 4 {
		return fmt.Errorf("git ls-tree said %.100q", line)
	}
	l.count++
	l.bytes += len(path)
	if l.count > maxTreeFiles || l.bytes > maxTreePaths || len(path) > maxTreePath {
		return errTooManyFiles
	}
	found := entry{file: file{mode: fields[0], object: fields[2]}, kind: fields[1], path: path}
	if len(fields) == 4 && fields[3] != "-" && fields[3] != "BAD" { // BAD: it is missing, which a checkout will say
		size, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil {
			return fmt.Errorf("git ls-tree said %.100q", line)
		}
		found.size = size
	}
	return l.each(found)
}
