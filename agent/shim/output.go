package shim

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// output is what is kept of what a program printed, as frames in a file that has no name. Whoever writes never waits for a
// reader.
type output struct {
	mu      sync.Mutex
	file    *os.File
	size    int64         // of the file
	changed chan struct{} // closed and replaced at every change
	ended   bool
}

func newOutput(dir string) (*output, error) {
	file, err := os.CreateTemp(dir, "output-")
	if err != nil {
		return nil, fmt.Errorf("keep its output: %w", err)
	}
	// Without a name no other process of the container's user can change it.
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("keep its output: %w", err)
	}
	return &output{file: file, changed: make(chan struct{})}, nil
}

// add appends frames.
func (o *output) add(frames []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return nil // said too late
	}
	if _, err := o.file.WriteAt(frames, o.size); err != nil {
		return fmt.Errorf("keep its output: %w", err)
	}
	o.size += int64(len(frames))
	close(o.changed)
	o.changed = make(chan struct{})
	return nil
}

// end appends the last frame.
func (o *output) end(exit []byte) error {
	err := o.add(append(appendHead(nil, Ended, len(exit)), exit...))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	close(o.changed)
	o.changed = make(chan struct{})
	return err
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
