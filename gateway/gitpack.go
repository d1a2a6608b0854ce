package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// packHeader is how a pack begins: its name, its version, and how many objects it holds. Whoever unpacks it reads that many
// and wants the checksum then, so a pack that understates them is refused upstream.
const packHeader = 12

// heldPack is a push's pack on its way upstream. It is checked before the first byte of it goes there, and can be sent again
// when it was small or had to be read whole.
type heldPack struct {
	whole *io.SectionReader // nil: it is streamed
	file  io.Closer         // what whole is read from; nil: memory
	rest  io.ReadCloser     // what is streamed, its beginning included
}

func (p *heldPack) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// reader is what to send. A transport may go on reading it after upstream has answered, so each sending of a whole one has its
// own. Closing a streamed one tells its upload that nobody reads any more.
func (p *heldPack) reader() io.ReadCloser {
	if p.whole == nil {
		return p.rest
	}
	return io.NopCloser(io.NewSectionReader(p.whole, 0, p.whole.Size()))
}

// again reports whether the pack can be sent once more.
func (p *heldPack) again() bool { return p.whole != nil }

// admitPack checks what is pushed against the limits, and, where the branch is somebody else's, that it is a fast-forward.
// It returns the pack to send, or the reason for which it is refused. An error says that the pack could not be read.
//
// What is counted are the pack's objects, by its own header: commits, folders and files with new content. Counting the paths
// that a checkout would have takes the folders that only upstream has as well, for a pack says nothing of those that did not
// change and may hold the others as differences to them.
func (g *Git) admitPack(r *gitRequest, pack *upload, c gitCommand) (*heldPack, string, error) {
	var head bytes.Buffer
	if _, err := io.CopyN(&head, pack, packHeader); err != nil {
		return nil, "", fmt.Errorf("read the pack's header: %w", err)
	}
	objects, err := packObjects(head.Bytes())
	if err != nil {
		return nil, "", err
	}
	if objects > r.limits.Objects {
		return nil, fmt.Sprintf("this push has %d commits, folders and files, and SAM's limit is %d; leave generated and vendored files out of the history, or ask whoever runs SAM to raise git.max_objects", objects, r.limits.Objects), nil
	}
	hidden, err := g.secretsOf(r.Context(), r.grant)
	if err != nil {
		return nil, "", err
	}
	_, err = io.CopyN(&head, pack, maxResent-packHeader)
	var held *heldPack
	switch {
	case errors.Is(err, io.EOF):
		held = &heldPack{whole: io.NewSectionReader(bytes.NewReader(head.Bytes()), 0, int64(head.Len()))}
	case err != nil:
		return nil, "", fmt.Errorf("read the pack: %w", err)
	case r.grant.Rewrite && hidden == nil:
		return &heldPack{rest: struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&head, pack), pack}}, "", nil
	default:
		if held, err = spoolPack(g.SpoolDir, io.MultiReader(&head, pack)); err != nil {
			return nil, "", err
		}
	}
	if r.grant.Rewrite {
		return held.checked(r.Context(), hidden)
	}
	reason, err := provesFastForward(r.Context(), held.whole, c)
	if err != nil || reason != "" {
		return nil, reason, errors.Join(err, held.Close())
	}
	return held.checked(r.Context(), hidden)
}

func packObjects(header []byte) (int64, error) {
	version := binary.BigEndian.Uint32(header[4:])
	if string(header[:4]) != "PACK" || version != 2 && version != 3 {
		return 0, errors.New("what was pushed is no pack")
	}
	return int64(binary.BigEndian.Uint32(header[8:])), nil
}

// spoolPack reads a pack to a file that has no name any more: closing it frees it.
func spoolPack(dir string, pack io.Reader) (_ *heldPack, err error) {
	f, err := os.CreateTemp(dir, "sam-push-*.pack")
	if err != nil {
		return nil, fmt.Errorf("create spool file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close() // the error at hand is the one to tell
		}
	}()
	if err := os.Remove(f.Name()); err != nil {
		return nil, fmt.Errorf("unlink spool file: %w", err)
	}
	size, err := io.Copy(f, pack)
	if err != nil {
		return nil, fmt.Errorf("spool pack: %w", err)
	}
	return &heldPack{whole: io.NewSectionReader(f, 0, size), file: f}, nil
}
