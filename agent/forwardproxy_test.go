package agent

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/agent/egress"
	"sam/agent/wire"
	"sam/task"
)

// forwarding is a forwarder whose gateway is away.
func forwarding(t *testing.T, out egress.Options) *forward {
	t.Helper()
	return forwardingBy(t, ways{Options: out})
}

func forwardingBy(t *testing.T, out ways) *forward {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	gateway, err := newGatewayClient("http://127.0.0.1:1", nodeToken, client)
	if err != nil {
		t.Fatal(err)
	}
	f, err := startForward(t.Context(), gateway, "tmine", taskToken, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *forward) ask(t *testing.T, request string) *http.Response {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}

func TestTheProxyIsForWhoHasTheTasksToken(t *testing.T) {
	t.Parallel()
	rules, err := egress.NewRules("registries", []string{"pypi.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	dialled := 0
	f := forwarding(t, egress.Options{Rules: rules, Resolver: nowhere{}, Dial: func(context.Context, string, string) (net.Conn, error) {
		dialled++
		return nil, errors.New("away")
	}})
	basic := func(token string) string {
		return "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("sam:"+token)) + "\r\n"
	}
	for _, row := range []struct {
		name, line, header string
		status             int
	}{
		{"a tunnel with the token", "CONNECT pypi.org:443", basic(taskToken), 502},
		{"a tunnel with the token as bearer", "CONNECT pypi.org:443", "Proxy-Authorization: Bearer " + taskToken + "\r\n", 502},
		{"a tunnel without it", "CONNECT pypi.org:443", "", 407},
		{"a tunnel with another one", "CONNECT pypi.org:443", basic("guess"), 407},
		{"a tunnel with it in the wrong place", "CONNECT pypi.org:443", "Authorization: Bearer " + taskToken + "\r\n", 407},
		{"a tunnel to what is not listed", "CONNECT evil.example:443", basic(taskToken), 403},
		{"plain HTTP with the token", "GET http://pypi.org/", basic(taskToken), 502},
		{"plain HTTP without it", "GET http://pypi.org/", "", 407},
		{"the brokers by way of the proxy", "GET http://127.0.0.1:8470/git/tmine/info/refs", basic(taskToken), 403},
		{"the brokers with the proxy's credential", "GET /git/tmine/info/refs", basic(taskToken), 401},
	} {
		before := dialled
		response := f.ask(t, row.line+" HTTP/1.1\r\nHost: pypi.org:443\r\n"+row.header+"\r\n")
		if response.StatusCode != row.status || (response.StatusCode == http.StatusProxyAuthRequired) != (response.Header.Get("Proxy-Authenticate") != "") {
			t.Errorf("%s: %s %v", row.name, response.Status, response.Header)
		}
		if (dialled > before) != (row.status == 502) {
			t.Errorf("%s: dialled %d times", row.name, dialled-before)
		}
	}
}

// nowhere resolves every name to a public address.
type nowhere struct{}

func (nowhere) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, ctx.Err()
}

func TestAServerThatSaysNothingOfTheNetworkLetsNobodyOut(t *testing.T) {
	t.Parallel()
	rules, err := rulesOf(nil)
	if err != nil || rules.Policy != egress.Brokers {
		t.Errorf("got %+v, %v", rules, err)
	}
	if _, err := rulesOf(&wire.Network{Policy: "everything"}); err == nil || !strings.Contains(err.Error(), "everything") {
		t.Errorf("got %v", err)
	}
	for _, n := range []*wire.Network{nil, {}, {Policy: "brokers"}} {
		if env := proxyEnvironment(wire.Start{Network: n, Token: taskToken}, "127.0.0.1:8470"); len(env) > 0 {
			t.Errorf("%+v sets %v", n, env)
		}
	}
	env := proxyEnvironment(wire.Start{Network: &wire.Network{Policy: "registries"}, Token: taskToken}, "127.0.0.1:8470")
	if !slices.Contains(env, "https_proxy=http://sam:"+taskToken+"@127.0.0.1:8470") || !slices.Contains(env, "no_proxy=localhost,127.0.0.1,::1") {
		t.Errorf("registries sets %v", env)
	}
}

func TestEachRefusedHostIsToldOnceInAnAttemptAndNotWithoutEnd(t *testing.T) {
	t.Parallel()
	ref := wire.Ref{Task: "tnote", Epoch: 1}
	dir := t.TempDir()
	set := openTestSpools(t, dir)
	s, err := set.create(ref, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := &workspaces{spools: set}
	note := func() func(*egress.RefusedError) {
		out, err := w.ways(wire.Start{Ref: ref, Network: &wire.Network{Policy: "registries"}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Refused
	}
	first := note()
	for range 3 {
		first(&egress.RefusedError{Target: "evil.example:443", Why: "it is not listed", Advice: "Add it."})
		first(&egress.RefusedError{Target: "a\r\nb\x00\xff", Why: "it is none", Advice: "Ask for a host."})
	}
	if err := s.append(said("work goes on")); err != nil {
		t.Fatal(err)
	}
	again := note() // as after a restart of the node
	for i := range maxRefusals + 20 {
		again(&egress.RefusedError{Target: "evil.example:443", Why: "x", Advice: "y"})
		again(&egress.RefusedError{Target: fmt.Sprintf("h%d.example:443", i), Why: "x", Advice: "y"})
	}
	third := note()
	third(&egress.RefusedError{Target: "late.example:443", Why: "x", Advice: "y"})
	var subjects []string
	for _, e := range take(t, s, 1<<20) {
		if e.Kind == task.Noticed {
			if e.Notice.Code != "host_refused" {
				t.Errorf("the code is %s", e.Notice.Code)
			}
			subjects = append(subjects, e.Notice.Subject)
		}
	}
	if len(subjects) != maxRefusals+1 || subjects[0] != "evil.example:443" || subjects[1] != "a  b \ufffd" || subjects[2] != "h0.example:443" || subjects[maxRefusals] != "" {
		t.Errorf("told are %d: %q", len(subjects), subjects)
	}
	if driver, _, err := s.since(0); err != nil || driver != 1 {
		t.Errorf("%d events are taken for the driver's, %v", driver, err)
	}
	set.close()
	if _, err := filepath.Glob(filepath.Join(dir, "*")); err != nil {
		t.Error(err)
	}
}

func TestAWorkspacesConnectionsAreBoundedAndThoseBeyondWait(t *testing.T) {
	t.Parallel()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLimited(inner, 1)
	accepted, failed := make(chan net.Conn), make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			accepted <- conn
		}
	}()
	for range 3 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("a second one was accepted beside the first")
	case <-time.After(20 * time.Millisecond):
	}
	_ = first.Close()
	_ = first.Close() // which must not free a second place
	second := <-accepted
	select {
	case <-accepted:
		t.Error("a third one was accepted beside the second")
	case <-time.After(20 * time.Millisecond):
	}
	_ = l.Close()
	_ = l.Close()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	_ = second.Close()
}

func TestTheEndOfOneDirectionIsPassedOnByTheForwarder(t *testing.T) {
	t.Parallel()
	origin, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := origin.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		content, _ := io.ReadAll(conn)
		fmt.Fprintf(conn, "%d bytes", len(content))
	}()
	rules, err := egress.NewRules("open", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	f := forwarding(t, egress.Options{Rules: rules, Resolver: nowhere{}, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, origin.Addr().String())
	}})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := "CONNECT origin.example:443 HTTP/1.1\r\nHost: origin.example:443\r\nProxy-Authorization: Bearer " + taskToken + "\r\n\r\n"
	if _, err := io.WriteString(conn, head+strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil { //nolint:errcheck // it was dialled as one
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(got), "\r\n\r\n1048576 bytes") {
		t.Errorf("got %q, %v", got, err)
	}
	<-served
}
