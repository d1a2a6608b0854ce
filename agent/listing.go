package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// file is what git has at a path: a file, a symbolic link or a submodule.
type file struct{ mode, object string }

// modeLink is the mode of a symbolic link.
const modeLink = "120000"

// Bounds of a tree that is checked out. A few hundred bytes of a repository can name any number of files, by naming one
// folder many times over.
const (
	maxTreeFiles = 1_000_000
	maxTreePath  = 4096 // bytes, as Linux has it
)

// errTooManyFiles: a tree is beyond the bounds.
var errTooManyFiles = errors.New("too many files")

// files calls each for every file of a commit, in git's order. An error of each ends it and is returned.
func (g git) files(ctx context.Context, repository, commit string, each func(path string, f file) error) error {
	l := &listing{each: each}
	err := g.runTo(ctx, repository, nil, nil, l, "ls-tree", "-r", "-z", "--full-tree", commit)
	switch {
	case l.err != nil:
		return l.err
	case err != nil:
		return err
	case len(l.part) > 0:
		return fmt.Errorf("git ls-tree ended within a line: %.100q", l.part)
	}
	return nil
}

// listing reads what ls-tree -z prints, in whatever pieces it comes.
type listing struct {
	each func(path string, f file) error

	part  []byte
	count int
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

// line is "<mode> <type> <object>\t<path>".
func (l *listing) line(line string) error {
	head, path, ok := strings.Cut(line, "\t")
	fields := strings.Fields(head)
	if !ok || len(fields) != 3 {
		return fmt.Errorf("git ls-tree said %.100q", line)
	}
	if l.count++; l.count > maxTreeFiles || len(path) > maxTreePath {
		return errTooManyFiles
	}
	return l.each(path, file{mode: fields[0], object: fields[2]})
}
