package egress

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// connect serves a CONNECT. An error means that nothing was answered yet.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) error {
	t, err := ParseTarget(r.RequestURI) // as it was sent: a URL would hide a user in it
	if err != nil {
		return malformed(r.RequestURI, err)
	}
	a, refused := p.rules.admit(t)
	if refused != nil {
		return refused
	}
	if a.named && t.Port == 80 {
		return &RefusedError{t.String(), "a tunnel to port 80 hides which host is asked for in it", "Ask the proxy itself for http:// addresses, as most programs do, or use https://."}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer p.ending(cancel)()
	upstream, err := p.dialer.reach(ctx, a)
	if err != nil {
		return err
	}
	defer upstream.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take the connection over: %w", err)
	}
	defer client.Close()
	defer p.ending(func() { _, _ = client.Close(), upstream.Close() })()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return nil // the client has gone
	}
	said := early(buffered.Reader)
	if a.named {
		if said, err = p.named(ctx, client, said, t); err != nil {
			var refused *RefusedError
			if errors.As(err, &refused) {
				p.refused(refused)
			}
			return nil // it was answered: the client sees the tunnel closed
		}
	}
	if _, err := upstream.Write(said); err == nil {
		p.carry(client, upstream)
	}
	return nil
}

// named reads the client's first words and checks that they open TLS for the target's host. It returns all it has read.
func (p *Proxy) named(ctx context.Context, client net.Conn, said []byte, t Target) ([]byte, error) {
	if err := client.SetReadDeadline(time.Now().Add(helloWithin)); err != nil {
		return nil, err
	}
	name, read, err := serverName(ctx, io.MultiReader(bytes.NewReader(said), client))
	switch {
	case errors.Is(err, errSilent):
		return nil, err
	case err != nil:
		return nil, &RefusedError{t.String(), "what was sent in the tunnel is not TLS, or names no host: " + err.Error(), "Ask for the host by https://."}
	}
	meant, err := canonical(name)
	switch {
	case err != nil:
		return nil, &RefusedError{t.String(), fmt.Sprintf("the TLS in its tunnel is for %.100q, which is no host", name), "Ask for the host that is meant."}
	case meant != t.Host:
		return nil, &RefusedError{Target{Host: meant, Port: t.Port}.String(), "it was asked for within a tunnel to " + t.Host,
			"Ask for it by its own name; if the task needs it and it is not listed, whoever runs the server can add it to network.allow."}
	}
	return read, client.SetReadDeadline(time.Time{})
}

// early is what the client has sent behind its request, without waiting for an answer.
func early(r *bufio.Reader) []byte {
	said := make([]byte, r.Buffered())
	_, _ = io.ReadFull(r, said) // it is all there
	return said
}

// carry copies both ways until both have ended. The end of one way is passed on; a break, or idleness, ends both.
func (p *Proxy) carry(client, upstream net.Conn) {
	var moved atomic.Int64 // of the clock, in nanoseconds since began
	began := time.Now()
	done := make(chan struct{})
	var both sync.WaitGroup
	defer both.Wait()
	defer close(done)
	both.Go(func() {
		timer := time.NewTimer(p.idle)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			still := time.Since(began) - time.Duration(moved.Load())
			if still >= p.idle {
				_, _ = client.Close(), upstream.Close()
				return
			}
			timer.Reset(p.idle - still)
		}
	})
	pass := func(to, from net.Conn) {
		_, err := io.Copy(marking{to, func() { moved.Store(int64(time.Since(began))) }}, from)
		if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
			_ = half.CloseWrite()
			return
		}
		_, _ = to.Close(), from.Close()
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		pass(client, upstream)
	}()
	pass(upstream, client)
	<-back
}

// marking notes each write that went through.
type marking struct {
	to   io.Writer
	mark func()
}

func (m marking) Write(b []byte) (int, error) {
	n, err := m.to.Write(b)
	m.mark()
	return n, err
}
