package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// How a balancer learns which replicas to send to.
const (
	lookEvery  = 500 * time.Millisecond
	lookWithin = 2 * time.Second
)

// backend is a replica as the balancer sees it.
type backend struct {
	public string // host:port that connections go to
	ready  string // the URL that says whether it wants any
}

// balancer passes TCP connections on to replicas that say they are ready, by turns. It knows no requests: like a real one
// it cuts what is under way when a replica dies.
type balancer struct {
	listener net.Listener
	backends []backend
	client   *http.Client

	mu    sync.Mutex
	ready []bool
	turn  int
	conns map[net.Conn]struct{}
}

func newBalancer(ctx context.Context, address string, backends []backend) (*balancer, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("open the load balancer's listener: %w", err)
	}
	return &balancer{
		listener: l, backends: backends, ready: make([]bool, len(backends)), conns: map[net.Conn]struct{}{},
		client: &http.Client{Timeout: lookWithin, Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil
}

// run serves until ctx ends and everything is closed.
func (b *balancer) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() {
		_ = b.listener.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		for c := range b.conns {
			_ = c.Close()
		}
	})
	defer stop()
	for i := range b.backends {
		wg.Go(func() { b.look(ctx, i) })
	}
	for {
		client, err := b.listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the load balancer: %w", err)
		}
		wg.Go(func() { b.serve(ctx, client) })
	}
}

// look asks one replica again and again whether it is ready.
func (b *balancer) look(ctx context.Context, i int) {
	for ctx.Err() == nil {
		ready := b.ask(ctx, b.backends[i].ready) == nil
		b.mu.Lock()
		b.ready[i] = ready
		b.mu.Unlock()
		rest(ctx, lookEvery)
	}
}

func (b *balancer) ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := b.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// allReady returns nil when every replica wants connections.
func (b *balancer) allReady() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, ready := range b.ready {
		if !ready {
			return fmt.Errorf("the replica at %s is not ready", b.backends[i].public)
		}
	}
	return nil
}

// pick connects to the next replica that is ready and takes the connection. It comes from the client's own address, which balancers that
// know no requests keep: a replica looks where a machine calls from.
func (b *balancer) pick(ctx context.Context, client net.Addr) (net.Conn, error) {
	dialer := net.Dialer{Timeout: time.Second}
	if from, ok := client.(*net.TCPAddr); ok {
		dialer.LocalAddr = &net.TCPAddr{IP: from.IP}
	}
	for range b.backends {
		b.mu.Lock()
		i := b.turn
		b.turn = (b.turn + 1) % len(b.backends)
		ready := b.ready[i]
		b.mu.Unlock()
		if !ready {
			continue
		}
		if c, err := dialer.DialContext(ctx, "tcp", b.backends[i].public); err == nil {
			return c, nil
		}
	}
	return nil, errors.New("no replica is ready")
}

func (b *balancer) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := b.pick(ctx, client.RemoteAddr())
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !b.keep(ctx, client, server) {
		return
	}
	defer b.forget(client, server)
	var wg sync.WaitGroup
	wg.Go(func() { splice(server, client) })
	splice(client, server)
	wg.Wait()
}

// splice copies one direction until it ends, and tells the other side so.
func splice(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(*net.TCPConn); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
	_ = from.Close()
}

// keep remembers connections that are closed when ctx ends; false when it has.
func (b *balancer) keep(ctx context.Context, conns ...net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		b.conns[c] = struct{}{}
	}
	return ctx.Err() == nil
}

func (b *balancer) forget(conns ...net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range conns {
		delete(b.conns, c)
	}
}
