package egress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// internet is a resolver and a network in which public addresses lead to servers on this machine.
type internet struct {
	t testing.TB

	mu     sync.Mutex
	names  map[string][][]netip.Addr // by name: the answers, one after the other; the last one stays
	at     map[string]string         // by address and port: where it leads
	dialed []netip.AddrPort
	told   []*RefusedError
}

func newInternet(t testing.TB) *internet {
	return &internet{t: t, names: map[string][][]netip.Addr{}, at: map[string]string{}}
}

// LookupNetIP implements Resolver.
func (i *internet) LookupNetIP(_ context.Context, _, name string) ([]netip.Addr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	answers := i.names[name]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	if len(answers) > 1 {
		i.names[name] = answers[1:]
	}
	return append([]netip.Addr{}, answers[0]...), nil
}

func (i *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		i.t.Errorf("%q was dialled, which is no address: a name would be looked up again", address)
		return nil, err
	}
	i.mu.Lock()
	i.dialed = append(i.dialed, to)
	there, ok := i.at[address]
	i.mu.Unlock()
	if !ok {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, network, there)
}

func (i *internet) answers(name string, each ...string) {
	for _, one := range each {
		i.names[name+"."] = append(i.names[name+"."], []netip.Addr{netip.MustParseAddr(one)})
	}
}

// dialled is what was dialled since it was last asked.
func (i *internet) dialled() []netip.AddrPort {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.dialed
	i.dialed = nil
	return all
}

// refusals is what was told since it was last asked.
func (i *internet) refusals() []*RefusedError {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.told
	i.told = nil
	return all
}

// proxy serves one with these rules and returns its address. What it needs more is set by options.
func (i *internet) proxy(policy string, hosts, internal []string, options ...func(*Options)) (p *Proxy, address string) {
	i.t.Helper()
	rules, err := NewRules(policy, hosts, internal)
	if err != nil {
		i.t.Fatal(err)
	}
	o := Options{
		Rules: rules, Resolver: i, Dial: i.dial, Own: func() ([]netip.Prefix, error) { return nil, nil },
		Refused: func(r *RefusedError) {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.told = append(i.told, r)
		},
	}
	for _, one := range options {
		one(&o)
	}
	p = New(o)
	server := httptest.NewServer(p)
	i.t.Cleanup(func() {
		p.Close()
		server.Close()
	})
	return p, server.Listener.Addr().String()
}

// serve runs a server of raw connections at a public address until the test's end.
func (i *internet) serve(address string, handle func(net.Conn)) {
	i.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		i.t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	i.t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	i.at[address] = listener.Addr().String()
}

// dialing opens a connection to a proxy that breaks when it waits for too long.
func dialing(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn) //nolint:errcheck // it was dialled as one
}

// asked sends a request as it stands and returns the status and the body of a refusal.
func asked(t testing.TB, conn net.Conn, request string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	// Byte by byte: what comes behind the answer is the tunnel's.
	response, err := http.ReadResponse(bufio.NewReader(iotest.OneByteReader(conn)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK {
		return response.StatusCode, ""
	}
	body := make([]byte, max(0, response.ContentLength))
	_, _ = io.ReadFull(response.Body, body)
	_ = response.Body.Close()
	return response.StatusCode, string(body)
}

func tunnelTo(target string) string {
	return fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target)
}

// answered reads an answer to a GET.
func answered(t testing.TB, conn net.Conn) (int, string) {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
