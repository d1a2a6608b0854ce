package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"sam/redact"
)

// Bounds of the look for secrets in a push, in bytes of what is unpacked.
const (
	maxSearched  = 256 << 20 // all of it: some seconds. What comes after passes
	searchedPart = 4 << 20   // what is held at a time
	searchedBack = 256 << 10 // of the part before, for what begins there
)

// secretFree returns why a pack may not go upstream, "" when no object in it holds the value of one of the project's secrets. It is a
// net for accidents, as redaction is: what a commit took in by git add -A. Whoever has a value and wants to get it out will.
func secretFree(ctx context.Context, pack io.ReadSeeker, hidden *redact.Redactor) (reason string, err error) {
	names, err := packNames(ctx, pack, hidden)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return fmt.Sprintf("this push holds the value of the project's secret %s, and would publish it; find it with git log -p -S\"$%s\", take it out of every commit that is pushed, and push then", names[0], names[0]), nil
}

// packNames are the names of secrets whose values are in a pack. Of a difference to another object what it adds is looked at.
func packNames(ctx context.Context, pack io.ReadSeeker, hidden *redact.Redactor) ([]string, error) {
	scanner := packfile.NewScanner(pack)
	_, count, err := scanner.Header()
	if err != nil {
		return nil, fmt.Errorf("read pack header: %w", err)
	}
	searched := search{hidden: hidden}
	for range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, err := scanner.NextObjectHeader()
		if err != nil {
			return nil, fmt.Errorf("read pack: %w", err)
		}
		if h.Length < 0 || h.Length > maxSearched-searched.all { // it is not even unpacked, which a small pack can make long
			return nil, nil
		}
		var to io.Writer = &searched
		delta := bytes.Buffer{}
		isDelta := h.Type == plumbing.OFSDeltaObject || h.Type == plumbing.REFDeltaObject
		if isDelta && h.Length <= searchedPart { // a larger one is looked at as it is
			to = &delta
		}
		if _, _, err := scanner.NextObject(to); err != nil {
			return nil, fmt.Errorf("read pack: %w", err)
		}
		if delta.Len() > 0 {
			_, _ = searched.Write(added(delta.Bytes()))
		}
		if names := searched.end(); len(names) > 0 || searched.all > maxSearched {
			return names, nil
		}
	}
	return nil, nil
}

// search looks for secrets in what is written to it.
type search struct {
	hidden *redact.Redactor
	held   []byte
	all    int64 // bytes that were written, over all objects
	names  []string
}

// Write never fails.
func (s *search) Write(p []byte) (int, error) {
	if s.all += int64(len(p)); s.all > maxSearched {
		return len(p), nil
	}
	s.held = append(s.held, p...)
	if len(s.held) >= searchedPart+searchedBack {
		s.look()
		s.held = append(s.held[:0], s.held[len(s.held)-searchedBack:]...)
	}
	return len(p), nil
}

func (s *search) look() {
	if len(s.names) == 0 {
		s.names = s.hidden.Names(s.held)
	}
}

// end is called behind each object.
func (s *search) end() []string {
	s.look()
	s.held = s.held[:0]
	return s.names
}

// added is what a delta adds to its base, piece by piece: its copies of the base's parts become an end of a piece.
func added(delta []byte) []byte {
	rest := delta
	for range 2 { // the sizes of base and result
		_, n := binary.Uvarint(rest)
		if n <= 0 {
			return delta
		}
		rest = rest[n:]
	}
	var out []byte
	for len(rest) > 0 {
		op := rest[0]
		rest = rest[1:]
		length := int(op)
		if copies := op&0x80 != 0; copies {
			length = 0
			for bit := byte(1); bit < 0x80; bit <<= 1 {
				if op&bit != 0 {
					length++
				}
			}
			out = append(out, 0)
		}
		if length > len(rest) {
			return out // it is broken, which upstream will say
		}
		if op&0x80 == 0 {
			out = append(out, rest[:length]...)
		}
		rest = rest[length:]
	}
	return out
}

// secretsOf are what a push of the grant's must not hold, nil for nothing.
func (g *Git) secretsOf(ctx context.Context, grant Grant) (*redact.Redactor, error) {
	if g.Hidden == nil {
		return nil, nil //nolint:nilnil // the nil redactor finds nothing
	}
	return g.Hidden(ctx, grant.RepositoryID)
}

// checked returns a held pack, or why it is refused; it is closed then.
func (p *heldPack) checked(ctx context.Context, hidden *redact.Redactor) (*heldPack, string, error) {
	if hidden == nil {
		return p, "", nil
	}
	reason, err := secretFree(ctx, io.NewSectionReader(p.whole, 0, p.whole.Size()), hidden)
	if err != nil || reason != "" {
		return nil, reason, errors.Join(err, p.Close())
	}
	return p, "", nil
}
