package egress

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const public = "93.184.216.34"

func TestATunnelIsStreamedBothWaysAndItsEndsArePassedOn(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("origin.example", public)
	i.serve(public+":443", func(conn net.Conn) {
		sum := sha256.New()
		if _, err := io.Copy(sum, conn); err != nil { // until the client has ended its half
			return
		}
		_, _ = conn.Write(sum.Sum(nil))
	})
	_, address := i.proxy("open", nil, nil)
	conn := dialing(t, address)
	content := make([]byte, 8<<20)
	_, _ = rand.Read(content)
	// The first bytes come with the request, before the answer to it.
	if status, why := asked(t, conn, tunnelTo("origin.example:443")+string(content[:100])); status != http.StatusOK {
		t.Fatal(status, why)
	}
	if _, err := conn.Write(content[100:]); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if want := sha256.Sum256(content); err != nil || !bytes.Equal(got, want[:]) {
		t.Errorf("what arrived is %x, %v, want %x", got, err, want)
	}
}

// origin is a real HTTPS server, and a client that reaches it through a proxy.
func origin(t *testing.T, i *internet, address string) (client *http.Client, heard func() int) {
	t.Helper()
	hits := make(chan struct{}, 100)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits <- struct{}{}
		_, _ = io.WriteString(w, "from "+r.Host)
	}))
	t.Cleanup(server.Close)
	i.at[public+":443"] = server.Listener.Addr().String()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate()) // of example.com
	transport := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: address}),
		TLSClientConfig: &tls.Config{RootCAs: trusted},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}, func() int { return len(hits) }
}

func TestAListedHostIsReachedByHTTPSAndAnotherOneBehindTheSameAddressIsNot(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("example.com", public)
	i.answers("www.example.com", public)
	_, address := i.proxy("registries", []string{"example.com"}, nil)
	client, heard := origin(t, i, address)
	response, err := client.Get("https://example.com/package")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "from example.com" || len(i.refusals()) > 0 {
		t.Errorf("got %q, %v, and %v was told", body, err, i.refusals())
	}
	if response, err := client.Get("https://www.example.com/"); err == nil {
		response.Body.Close()
		t.Error("an unlisted host was reached")
	}
	if told := i.refusals(); len(told) != 1 || told[0].Target != "www.example.com:443" || !strings.Contains(told[0].Error(), "network.allow") {
		t.Errorf("told is %v", told)
	}
	// A tunnel to the listed host, in which another one is asked for: both have the address.
	conn := dialing(t, address)
	if status, why := asked(t, conn, tunnelTo("example.com:443")); status != http.StatusOK {
		t.Fatal(status, why)
	}
	before := heard()
	fronted := tls.Client(conn, &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true})
	if err := fronted.HandshakeContext(t.Context()); err == nil {
		t.Error("TLS for an unlisted host went through a listed one's tunnel")
	}
	if told := i.refusals(); len(told) != 1 || told[0].Target != "www.example.com:443" || !strings.Contains(told[0].Why, "within a tunnel to example.com") || heard() != before {
		t.Errorf("told is %v, and %d requests arrived", told, heard()-before)
	}
}

func TestATunnelUnderRegistriesIsTLSForItsHostOrNothing(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("example.com", public)
	got := make(chan int64, 10)
	i.serve(public+":443", func(conn net.Conn) {
		n, _ := io.Copy(io.Discard, conn)
		got <- n
	})
	i.serve(public+":2222", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	_, address := i.proxy("registries", []string{"example.com", "example.com:2222"}, nil)
	nameless := func(conn net.Conn) {
		_ = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context())
	}
	for name, speak := range map[string]func(net.Conn){
		"another protocol":   func(conn net.Conn) { _, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.2\r\n") },
		"plain HTTP":         func(conn net.Conn) { _, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n") },
		"TLS without a name": nameless,
	} {
		conn := dialing(t, address)
		if status, why := asked(t, conn, tunnelTo("example.com:443")); status != http.StatusOK {
			t.Fatal(status, why)
		}
		speak(conn)
		if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
		if n := <-got; n != 0 {
			t.Errorf("%s: %d bytes went through", name, n)
		}
		if told := i.refusals(); len(told) != 1 || !strings.Contains(told[0].Why, "not TLS, or names no host") {
			t.Errorf("%s: told is %v", name, told)
		}
	}
	conn := dialing(t, address)
	if status, why := asked(t, conn, tunnelTo("example.com:80")); status != http.StatusForbidden || !strings.Contains(why, "tunnel to port 80") {
		t.Errorf("a tunnel to port 80 got %d %s", status, why)
	}
	// An operator who names a port means what is spoken there.
	conn = dialing(t, address)
	if status, why := asked(t, conn, tunnelTo("example.com:2222")+"hello\n"); status != http.StatusOK {
		t.Fatal(status, why)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if back, err := io.ReadAll(conn); err != nil || string(back) != "hello\n" {
		t.Errorf("got %q, %v", back, err)
	}
}

func TestANameThatComesToMeanAnotherAddressGainsNothing(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("rebind.example", public, "127.0.0.1", "169.254.169.254", "10.0.0.1")
	i.serve(public+":443", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	_, address := i.proxy("open", nil, nil)
	if status, why := asked(t, dialing(t, address), tunnelTo("rebind.example:443")); status != http.StatusOK {
		t.Fatal(status, why)
	}
	// What no setting admits is not said to be admitted by one.
	for _, row := range []struct{ what, advice string }{{"loopback", "network.internal"}, {"link-local", "never reached"}, {"private", "network.internal"}} {
		status, why := asked(t, dialing(t, address), tunnelTo("rebind.example:443"))
		if status != http.StatusForbidden || !strings.Contains(why, row.what) || !strings.Contains(why, row.advice) {
			t.Errorf("got %d %s, want %s and %s", status, why, row.what, row.advice)
		}
	}
	for _, to := range i.dialled() {
		if to.String() != public+":443" {
			t.Errorf("%s was dialled", to)
		}
	}
}

func TestWhatIsForbiddenIsNeverDialled(t *testing.T) {
	t.Parallel()
	addresses := []string{public, "8.8.4.4", "2606:4700::1", "64:ff9b::808:808", "127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:192.168.0.1",
		"64:ff9b::a9fe:a9fe", "100.64.3.4", "0.0.0.0", "224.0.0.1", "172.17.0.1", "88.99.1.2"}
	own := netip4(t, "88.99.1.2/32")
	i := newInternet(t)
	_, address := i.proxy("open", nil, []string{"nexus.example"}, func(o *Options) { o.Own = own })
	rapid.Check(t, func(r *rapid.T) {
		i.mu.Lock()
		clear(i.names)
		clear(i.at)
		var named [][]string
		for _, name := range []string{"a.example", "nexus.example"} {
			set := rapid.SliceOfN(rapid.SampledFrom(addresses), 1, 4).Draw(r, name)
			named = append(named, set)
			i.names[name+"."] = append(i.names[name+"."], parsed(set))
		}
		i.mu.Unlock()
		i.dialled()
		target := rapid.SampledFrom(append([]string{"a.example", "nexus.example"}, bracketed(addresses)...)).Draw(r, "target")
		status, _ := asked(t, dialing(t, address), tunnelTo(target+":443"))
		// Nobody listens there: what was dialled is 502, what was not is 403.
		dialled := i.dialled()
		prefixes, _ := own()
		for _, to := range dialled {
			internal := target == "nexus.example"
			if what := forbidden(to.Addr(), prefixes, internal); what != "" {
				r.Fatalf("%s was dialled for %s: %s", to, target, what)
			}
			if target == "a.example" && !slices.Contains(parsed(named[0]), to.Addr()) {
				r.Fatalf("%s was dialled, which %s is not at", to, target)
			}
		}
		if refused := status == http.StatusForbidden; refused == (len(dialled) > 0) {
			r.Fatalf("%s: %d, and dialled were %v", target, status, dialled)
		}
	})
}

func TestATunnelThatIsIdleEndsAndSoDoAllWhenTheProxyIsClosed(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("origin.example", public)
	i.serve(public+":443", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	_, address := i.proxy("open", nil, nil, func(o *Options) { o.Idle = 50 * time.Millisecond })
	conn := dialing(t, address)
	if status, why := asked(t, conn, tunnelTo("origin.example:443")); status != http.StatusOK {
		t.Fatal(status, why)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("an idle tunnel: %v", err)
	}
	p, address := i.proxy("open", nil, nil)
	conn = dialing(t, address)
	if status, why := asked(t, conn, tunnelTo("origin.example:443")); status != http.StatusOK {
		t.Fatal(status, why)
	}
	p.Close() // returns when all have ended
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a tunnel of a proxy that is closed: %v", err)
	}
	if status, _ := asked(t, dialing(t, address), tunnelTo("origin.example:443")); status != http.StatusServiceUnavailable {
		t.Errorf("a closed proxy answers %d", status)
	}
}

func TestATaskHasSoManyConnectionsAndNoMore(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("origin.example", public)
	i.serve(public+":443", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
	_, address := i.proxy("open", nil, nil)
	var open []*net.TCPConn
	for range MaxConnections {
		conn := dialing(t, address)
		if status, why := asked(t, conn, tunnelTo("origin.example:443")); status != http.StatusOK {
			t.Fatal(status, why)
		}
		open = append(open, conn)
	}
	if status, why := asked(t, dialing(t, address), tunnelTo("origin.example:443")); status != http.StatusServiceUnavailable || !strings.Contains(why, "64 connections") {
		t.Errorf("one more got %d %s", status, why)
	}
	if err := open[0].CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(open[0]); err != nil {
		t.Fatal(err)
	}
	// Its place is free a moment after its end is seen.
	for deadline := time.Now().Add(20 * time.Second); ; {
		status, _ := asked(t, dialing(t, address), tunnelTo("origin.example:443"))
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one has ended another gets %d", status)
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // as it comes from Read
	return ok && timeout.Timeout()
}

func TestAHostThatIsAwayIsSaidToBeAway(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("away.example", public)
	i.names["slow.example."] = nil
	_, address := i.proxy("open", nil, nil)
	if status, why := asked(t, dialing(t, address), tunnelTo("away.example:443")); status != http.StatusBadGateway || !strings.Contains(why, "refused") {
		t.Errorf("got %d %s", status, why)
	}
	if status, why := asked(t, dialing(t, address), tunnelTo("nowhere.example:443")); status != http.StatusBadGateway || !strings.Contains(why, "no such host") {
		t.Errorf("got %d %s", status, why)
	}
	_, address = i.proxy("open", nil, nil, func(o *Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, context.DeadlineExceeded }
	})
	if status, why := asked(t, dialing(t, address), tunnelTo("away.example:443")); status != http.StatusGatewayTimeout {
		t.Errorf("got %d %s", status, why)
	}
	if told := i.refusals(); len(told) > 0 {
		t.Errorf("told is %v: nothing was refused", told)
	}
}
