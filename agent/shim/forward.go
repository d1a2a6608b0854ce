package shim

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// forward carries connections of the container's loopback to sam node. Each is dialled anew and waits a while for a node
// that restarts, so that a program sees a pause and no refusal.
type forward struct {
	to       string // path of the node's socket
	patience time.Duration
}

// nodeWithin is how long a connection waits for sam node.
const nodeWithin = 30 * time.Second

// serve carries until the listener is closed, and returns when every connection has ended.
func (f *forward) serve(ctx context.Context, listener net.Listener) error {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			// Out of descriptors, say: the next may do better.
			if !pause(ctx, 50*time.Millisecond) {
				return nil
			}
			continue
		}
		open.Go(func() { f.carry(ctx, conn) })
	}
}

func (f *forward) carry(ctx context.Context, from net.Conn) {
	defer from.Close()
	to, err := f.dial(ctx)
	if err != nil {
		return // the program sees its connection closed
	}
	defer to.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = from.Close(), to.Close() })
	defer stop()
	var back sync.WaitGroup
	back.Go(func() { pass(from, to) })
	pass(to, from)
	back.Wait()
}

// pass copies one way; its end is passed on, and so is a break, as an end.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_, _ = to.Close(), from.Close()
}

func (f *forward) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", f.to)
		if err == nil {
			return conn, nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, err
		}
	}
}

// pause waits; false means that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
