package egress

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func parsed(all []string) []netip.Addr {
	addresses := make([]netip.Addr, len(all))
	for i, one := range all {
		addresses[i] = netip.MustParseAddr(one).Unmap()
	}
	return addresses
}

func bracketed(all []string) []string {
	hosts := make([]string, len(all))
	for i, one := range all {
		if hosts[i] = one; strings.Contains(one, ":") {
			hosts[i] = "[" + one + "]"
		}
	}
	return hosts
}

func netip4(t *testing.T, prefix string) func() ([]netip.Prefix, error) {
	t.Helper()
	p, err := netip.ParsePrefix(prefix)
	return func() ([]netip.Prefix, error) { return []netip.Prefix{p}, err }
}

func TestWhatIsNotAdmittedIsRefusedWithTheReasonAndTold(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	for _, name := range []string{"listed.example", "a.wide.example", "other.example"} {
		i.answers(name, public)
	}
	i.answers("inner.example", "10.0.0.5")
	i.answers("own.example", "10.0.0.5")
	i.answers("metadata.example", "169.254.169.254")
	proxies := map[string]string{}
	for _, policy := range []string{"", "brokers", "registries", "open"} {
		_, proxies[policy] = i.proxy(policy, []string{"listed.example", "*.wide.example", "ported.example:8443"}, []string{"own.example:8081", "metadata.example", "10.0.0.6"})
	}
	for _, row := range []struct {
		policy, target, why string // why is "" for what is dialled
	}{
		{"", "listed.example:443", "policy is brokers"},
		{"brokers", "listed.example:443", "policy is brokers"},
		{"brokers", "own.example:8081", "policy is brokers"},
		{"registries", "a.wide.example:443", ""},
		{"registries", "wide.example:443", "not listed"},
		{"registries", "other.example:443", "not listed"},
		{"registries", "listed.example.:443", ""},
		{"registries", "LISTED.example:443", ""},
		{"registries", "listed.example:22", "port 22"},
		{"registries", "ported.example:443", "port 443"},
		{"registries", "93.184.216.34:443", "only hosts with a name"},
		{"registries", "[2606:4700::1]:443", "only hosts with a name"},
		{"registries", "own.example:8081", ""},
		{"registries", "own.example:443", "port 443"},
		{"registries", "10.0.0.6:443", ""},
		{"registries", "10.0.0.5:443", "only hosts with a name"},
		{"registries", "metadata.example:443", "never reached"},
		{"registries", "169.254.169.254:80", "never reached"},
		{"open", "other.example:443", ""},
		{"open", "93.184.216.34:443", ""},
		{"open", "other.example:22", "port 22"},
		{"open", "inner.example:443", "10.0.0.5, which is a private address"},
		{"open", "10.0.0.5:443", "it is a private address"},
		{"open", "127.0.0.1:443", "it is a loopback address"},
		{"open", "[::ffff:127.0.0.1]:443", "it is a loopback address"},
		{"open", "169.254.169.254:80", "metadata"},
		{"open", "2130706433:443", "ends in a number"},
	} {
		i.dialled()
		i.refusals()
		status, body := asked(t, dialing(t, proxies[row.policy]), tunnelTo(row.target))
		told, dialled := i.refusals(), i.dialled()
		if row.why == "" {
			if status != http.StatusBadGateway || len(dialled) == 0 || len(told) > 0 { // nobody listens there
				t.Errorf("%s, %s: %d %s", row.policy, row.target, status, body)
			}
			continue
		}
		if status != http.StatusForbidden || !strings.Contains(body, row.why) || len(dialled) > 0 || len(told) != 1 || told[0].Error() != strings.TrimSpace(body) {
			t.Errorf("%s, %s: %d %q, want %q; told is %v, dialled %v", row.policy, row.target, status, body, row.why, told, dialled)
		}
	}
}

func TestPlainHTTPGoesToTheHostThatWasAdmittedWhateverItsHeadersSay(t *testing.T) {
	t.Parallel()
	i := newInternet(t)
	i.answers("deb.example", public)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://other.example/", http.StatusFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		for _, name := range []string{"Proxy-Authorization", "X-Forwarded-For", "Upgrade"} {
			if r.Header.Get(name) != "" {
				t.Errorf("the origin is told %s: %s", name, r.Header.Get(name))
			}
		}
		fmt.Fprintf(w, "%s %s %s with %d", r.Method, r.Host, r.URL.RequestURI(), len(body))
	}))
	t.Cleanup(origin.Close)
	i.at[public+":80"] = origin.Listener.Addr().String()
	_, address := i.proxy("registries", []string{"deb.example"}, nil)
	for _, row := range []struct {
		name, request string
		status        int
		body          string
	}{
		{"as apt asks", "GET http://deb.example/dists/InRelease?x=1 HTTP/1.1\r\nHost: deb.example\r\n", 200, "GET deb.example /dists/InRelease?x=1 with 0"},
		{"another Host", "GET http://deb.example/x HTTP/1.1\r\nHost: other.example\r\n", 200, "GET deb.example /x with 0"},
		{"capitals and a dot", "GET http://DEB.example.:80/x HTTP/1.1\r\nHost: x\r\n", 200, "GET deb.example /x with 0"},
		{"its credential", "GET http://deb.example/x HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic c2FtOng=\r\n", 200, "GET deb.example /x with 0"},
		{"an upgrade", "GET http://deb.example/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", 200, "GET deb.example /x with 0"},
		{"a redirect is the client's to follow", "GET http://deb.example/away HTTP/1.1\r\nHost: x\r\n", 302, ""},
		{"a body", "GET http://deb.example/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nsecret", 200, "GET deb.example /x with 0"},
		{"POST", "POST http://deb.example/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n", 403, "only GET and HEAD"},
		{"unlisted", "GET http://other.example/x HTTP/1.1\r\nHost: deb.example\r\n", 403, "not listed"},
		{"another port", "GET http://deb.example:8080/x HTTP/1.1\r\nHost: deb.example\r\n", 403, "port 8080"},
		{"a user before the host", "GET http://deb.example@other.example/x HTTP/1.1\r\nHost: x\r\n", 403, "user before the host"},
		{"the node", "GET http://127.0.0.1/x HTTP/1.1\r\nHost: deb.example\r\n", 403, "address"},
		{"https in it", "GET https://deb.example/x HTTP/1.1\r\nHost: x\r\n", 403, "tunnel"},
		{"another scheme", "GET ftp://deb.example/x HTTP/1.1\r\nHost: x\r\n", 403, "tunnel"},
	} {
		conn := dialing(t, address)
		request := row.request
		if !strings.Contains(request, "\r\n\r\n") {
			request += "Connection: close\r\n\r\n"
			if strings.Contains(request, "Upgrade: ") {
				request = row.request + "\r\n"
			}
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		status, body := answered(t, conn)
		if status != row.status || !strings.Contains(body, row.body) {
			t.Errorf("%s: %d %q, want %d %q", row.name, status, body, row.status, row.body)
		}
	}
	for _, to := range i.dialled() {
		if to.String() != public+":80" {
			t.Errorf("%s was dialled", to)
		}
	}
}
