package simulation

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// half is one direction of a connection in memory. Unlike net.Pipe's it holds any amount: what is written to somebody who
// does not read is in a buffer of the operating system's, and holds up no writer.
type half struct {
	mu     sync.Mutex
	held   []byte
	closed bool
	until  time.Time     // the reader's deadline
	news   chan struct{} // closed and replaced at every change
}

func newHalf() *half { return &half{news: make(chan struct{})} }

// change applies f and wakes the reader.
func (h *half) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.news)
	h.news = make(chan struct{})
}

func (h *half) write(p []byte) (n int, err error) {
	h.change(func() {
		if h.closed {
			err = io.ErrClosedPipe
			return
		}
		h.held = append(h.held, p...)
		n = len(p)
	})
	return n, err
}

func (h *half) read(p []byte) (int, error) {
	for {
		h.mu.Lock()
		n := copy(p, h.held)
		h.held = h.held[n:]
		closed, until, news := h.closed, h.until, h.news
		h.mu.Unlock()
		late := !until.IsZero() && !time.Now().Before(until)
		switch {
		case late && n == 0:
			return 0, os.ErrDeadlineExceeded
		case n > 0 || len(p) == 0:
			return n, nil
		case closed:
			return 0, io.EOF
		}
		if until.IsZero() {
			<-news
			continue
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case <-news:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// conn is one end of a connection in memory.
type conn struct {
	in, out *half
	closing func()
}

// pipe makes both ends of a connection.
func pipe() (a, b *conn) {
	x, y := newHalf(), newHalf()
	return &conn{in: x, out: y}, &conn{in: y, out: x}
}

func (c *conn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close ends both directions, as of a process that was killed.
func (c *conn) Close() error {
	for _, h := range []*half{c.in, c.out} {
		h.change(func() { h.closed = true })
	}
	if c.closing != nil {
		c.closing()
	}
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.change(func() { c.in.until = t })
	return nil
}

func (c *conn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *conn) SetWriteDeadline(time.Time) error { return nil } // a write never waits
func (c *conn) LocalAddr() net.Addr              { return address{} }
func (c *conn) RemoteAddr() net.Addr             { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory:1" }

// listener takes connections in memory.
type listener struct {
	mu       sync.Mutex
	accepted map[*conn]struct{}
	coming   chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newListener() *listener {
	return &listener{accepted: map[*conn]struct{}{}, coming: make(chan net.Conn, 64), closed: make(chan struct{})}
}

// dial connects to whoever serves the listener.
func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := pipe()
	l.mu.Lock()
	l.accepted[theirs] = struct{}{}
	theirs.closing = func() {
		l.mu.Lock()
		delete(l.accepted, theirs)
		l.mu.Unlock()
	}
	l.mu.Unlock()
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	case l.coming <- theirs:
		return ours, nil
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case c := <-l.coming:
		return c, nil
	}
}

// Close takes no more connections and cuts those that there are, hijacked ones too.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	l.cut()
	return nil
}

// cut cuts all connections.
func (l *listener) cut() {
	l.mu.Lock()
	var all []*conn
	for c := range l.accepted {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
}

func (l *listener) Addr() net.Addr { return address{} }
