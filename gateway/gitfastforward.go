package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

const (
	maxCommitBytes  = 1 << 20   // one commit object; a push with a larger one cannot be shown to be a fast-forward
	maxCommitsBytes = 256 << 20 // all of a push's commits: a small pack can inflate to a thousand times its size
	maxInflated     = 8 << 30   // all of a pack's objects, which cost time to skip
	fastForwardHint = "fetch, build on top of %s and push again; SAM does not rewrite a branch that it did not create"
)

// provesFastForward looks whether a pack shows c to be a fast-forward, and returns the reason to tell if not. An error says
// that it could not look.
//
// Nothing in the push protocol asks a server to refuse a rewrite, so the proof must be here. A commit's id is the hash
// of its parents' ids among others: if a walk from the new commit over commits in the pack names the old one as a
// parent, the old one is an ancestor, whatever else the pack may hold. That the branch is still at the old one is
// compared by upstream, atomically.
func provesFastForward(ctx context.Context, pack io.ReadSeeker, c gitCommand) (reason string, err error) {
	found, err := packShowsAncestor(ctx, pack, plumbing.NewHash(c.Old), plumbing.NewHash(c.New))
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err == nil && found {
		return "", nil
	}
	what := "this is not a fast-forward, or not one that its own commits show"
	if err != nil {
		what = "this push cannot be shown to be a fast-forward: " + err.Error()
	}
	return fmt.Sprintf("non-fast-forward: "+what+"; "+fastForwardHint, short(c.Old)), nil
}

func short(id string) string { return id[:10] }

// packShowsAncestor walks from a commit to its parents as far as the pack has them and says whether it met ancestor.
// False means that the pack does not show it: the way may lead over commits that only upstream has.
func packShowsAncestor(ctx context.Context, pack io.ReadSeeker, ancestor, from plumbing.Hash) (bool, error) {
	index := packIndex{
		scanner:  packfile.NewScanner(pack),
		commits:  map[plumbing.Hash][]plumbing.Hash{},
		onOffset: map[int64][]int64{},
		onHash:   map[plumbing.Hash][]int64{},
	}
	if err := index.read(ctx); err != nil {
		return false, err
	}
	seen := map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{from}; len(todo) > 0; {
		commit := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, parent := range index.commits[commit] {
			if parent == ancestor {
				return true, nil
			}
			if !seen[parent] {
				seen[parent] = true
				todo = append(todo, parent)
			}
		}
	}
	return false, nil
}

// packIndex finds the commits of a pack. Trees and blobs are skipped over; a pack's deltas do not say what they
// make, so those that stand on a commit are worked out once the commits are known.
type packIndex struct {
	scanner  *packfile.Scanner
	commits  map[plumbing.Hash][]plumbing.Hash // a commit's parents
	bytes    int                               // of all commits
	found    []packedCommit                    // those whose deltas are still to be looked at
	onOffset map[int64][]int64                 // deltas by where their base is
	onHash   map[plumbing.Hash][]int64         // deltas by what their base is
}

// packedCommit is where a commit was found and, if it came from a delta, what it is.
type packedCommit struct {
	offset int64
	hash   plumbing.Hash
	data   []byte // nil: to be read from the pack
}

func (x *packIndex) read(ctx context.Context) error {
	_, count, err := x.scanner.Header()
	if err != nil {
		return fmt.Errorf("read pack header: %w", err)
	}
	var inflated int64
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := x.scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("read pack: %w", err)
		}
		// Lengths come from the pack: negative ones are overflows. The scanner does not inflate more than is declared.
		if inflated += max(h.Length, 0); h.Length < 0 || inflated > maxInflated || inflated < 0 {
			return errors.New("its objects are too large to read")
		}
		switch h.Type {
		case plumbing.CommitObject:
			data, err := x.content(h)
			if err != nil {
				return err
			}
			if err := x.add(packedCommit{offset: h.Offset}, data); err != nil {
				return err
			}
		case plumbing.OFSDeltaObject:
			x.onOffset[h.OffsetReference] = append(x.onOffset[h.OffsetReference], h.Offset)
		case plumbing.REFDeltaObject:
			x.onHash[h.Reference] = append(x.onHash[h.Reference], h.Offset)
		}
	}
	return x.resolve(ctx)
}

// resolve works out the deltas that stand on commits, and those that stand on these in turn. A delta is taken once.
func (x *packIndex) resolve(ctx context.Context) error {
	for len(x.found) > 0 {
		base := x.found[len(x.found)-1]
		x.found = x.found[:len(x.found)-1]
		deltas := slices.Concat(x.onOffset[base.offset], x.onHash[base.hash])
		delete(x.onOffset, base.offset)
		delete(x.onHash, base.hash)
		if len(deltas) > 0 && base.data == nil {
			h, err := x.scanner.SeekObjectHeader(base.offset)
			if err != nil {
				return fmt.Errorf("read pack: %w", err)
			}
			if base.data, err = x.content(h); err != nil {
				return err
			}
		}
		for _, offset := range deltas {
			if err := ctx.Err(); err != nil {
				return err
			}
			h, err := x.scanner.SeekObjectHeader(offset)
			if err != nil {
				return fmt.Errorf("read pack: %w", err)
			}
			delta, err := x.content(h)
			if err != nil {
				return err
			}
			data, err := applyDelta(base.data, delta)
			if err != nil {
				return err
			}
			if err := x.add(packedCommit{offset: offset, data: data}, data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *packIndex) add(c packedCommit, data []byte) error {
	if x.bytes += len(data); x.bytes > maxCommitsBytes {
		return fmt.Errorf("its commits are larger than %d bytes together", maxCommitsBytes)
	}
	c.hash = plumbing.ComputeHash(plumbing.CommitObject, data)
	x.commits[c.hash] = commitParents(data)
	x.found = append(x.found, c)
	return nil
}

// content inflates the object whose header the scanner has just read.
func (x *packIndex) content(h *packfile.ObjectHeader) ([]byte, error) {
	if h.Length > maxCommitBytes {
		return nil, fmt.Errorf("one of its commits is larger than %d bytes", maxCommitBytes)
	}
	var out bytes.Buffer
	if _, _, err := x.scanner.NextObject(&out); err != nil {
		return nil, fmt.Errorf("read pack: %w", err)
	}
	return out.Bytes(), nil
}

// applyDelta makes an object from its base, if the result is no larger than a commit may be.
func applyDelta(base, delta []byte) ([]byte, error) {
	_, n := binary.Uvarint(delta) // the base's size, which PatchDelta compares
	if n <= 0 {
		return nil, packfile.ErrInvalidDelta
	}
	size, m := binary.Uvarint(delta[n:])
	if m <= 0 {
		return nil, packfile.ErrInvalidDelta
	}
	if size > maxCommitBytes {
		return nil, fmt.Errorf("one of its commits is larger than %d bytes", maxCommitBytes)
	}
	data, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, fmt.Errorf("apply delta: %w", err)
	}
	return data, nil
}

// commitParents reads a commit the way git does: the parents stand right after the tree and nowhere else. A line that
// looks like one further down, in a message say, is none.
func commitParents(data []byte) []plumbing.Hash {
	head, rest, _ := strings.Cut(string(data), "\n")
	if tree, ok := strings.CutPrefix(head, "tree "); !ok || !isSHA1(tree) {
		return nil
	}
	var parents []plumbing.Hash
	for {
		line, after, more := strings.Cut(rest, "\n")
		id, ok := strings.CutPrefix(line, "parent ")
		if !more || !ok || !isSHA1(id) {
			return parents
		}
		parents = append(parents, plumbing.NewHash(id))
		rest = after
	}
}
