package shim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// errTooMuch: a program printed more than is kept.
var errTooMuch = errors.New("too much output")

// output is what a program printed, as frames in a file that has no name. Whoever writes never waits for a reader.
type output struct {
	limit int64 // of what is printed, in bytes

	mu      sync.Mutex
	file    *os.File
	size    int64         // of the file
	printed int64         // without the frames' heads
	changed chan struct{} // closed and replaced at every change
	ended   bool
}

func newOutput(dir string, limit int64) (*output, error) {
	file, err := os.CreateTemp(dir, "output-")
	if err != nil {
		return nil, fmt.Errorf("keep its output: %w", err)
	}
	// Without a name no other process of the container's user can change it.
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("keep its output: %w", err)
	}
	return &output{limit: limit, file: file, changed: make(chan struct{})}, nil
}

// add appends a frame. Its content, at most MaxFrame bytes, stands in frame behind room for its head. It returns errTooMuch
// at the limit, and keeps what is below it.
func (o *output) add(kind Kind, frame []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return nil // said too late
	}
	length := int64(len(frame) - FrameHead)
	var tooMuch error
	if kind != Ended {
		if room := o.limit - o.printed; length > room {
			length, tooMuch = max(0, room), errTooMuch
		}
		o.printed += length
		if length == 0 {
			return tooMuch
		}
	}
	frame = frame[:FrameHead+length]
	frame[0] = byte(kind)
	binary.BigEndian.PutUint32(frame[1:], uint32(length)) //nolint:gosec // at most MaxFrame
	if _, err := o.file.WriteAt(frame, o.size); err != nil {
		return fmt.Errorf("keep its output: %w", err)
	}
	o.size += int64(len(frame))
	o.ended = kind == Ended
	close(o.changed)
	o.changed = make(chan struct{})
	return tooMuch
}

// copy writes what is there from an offset on, and what comes, until the last frame is written, ctx ends or w fails.
// flush is called whenever w has all there is.
func (o *output) copy(ctx context.Context, w io.Writer, from int64, flush func() error) error {
	for {
		o.mu.Lock()
		size, ended, changed := o.size, o.ended, o.changed
		o.mu.Unlock()
		if from > size {
			return fmt.Errorf("the output has %d bytes, not %d", size, from)
		}
		if from < size {
			n, err := io.Copy(w, io.NewSectionReader(o.file, from, size-from))
			from += n
			if err != nil {
				return err
			}
		}
		if err := flush(); err != nil {
			return err
		}
		if ended {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (o *output) close() { _ = o.file.Close() }
