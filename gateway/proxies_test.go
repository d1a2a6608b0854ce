package gateway

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestWhoseARequestIsBehindProxiesIsTheLastAddressThatIsNotTheirs(t *testing.T) {
	t.Parallel()
	from := Behind([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")})
	for _, c := range []struct {
		name, connection string
		forwarded        []string
		want             string
	}{
		{"a machine that connects by itself", "203.0.113.7:40000", nil, "203.0.113.7"},
		{"one that connects by itself and claims to be another", "203.0.113.8:40000", []string{"203.0.113.7"}, "203.0.113.8"},
		{"through a proxy", "10.0.0.2:40000", []string{"203.0.113.7"}, "203.0.113.7"},
		{"through two", "10.0.0.2:40000", []string{"203.0.113.7, 2001:db8:f::1"}, "203.0.113.7"},
		{"through two that each write a line", "10.0.0.2:40000", []string{"203.0.113.7", "10.0.0.3"}, "203.0.113.7"},
		{"a claim before the proxy's word", "10.0.0.2:40000", []string{"203.0.113.7, 203.0.113.8"}, "203.0.113.8"},
		{"a claim in a line of its own", "10.0.0.2:40000", []string{"203.0.113.7", "203.0.113.8"}, "203.0.113.8"},
		{"a claim that a proxy came before", "10.0.0.2:40000", []string{"203.0.113.7, 10.0.0.3, 203.0.113.8"}, "203.0.113.8"},
		{"a proxy that says nothing", "10.0.0.2:40000", nil, "10.0.0.2"},
		{"a proxy's own request", "10.0.0.2:40000", []string{"10.0.0.3"}, "10.0.0.3"},
		{"no address", "10.0.0.2:40000", []string{"203.0.113.7, unknown"}, "10.0.0.2"},
		{"no address further out", "10.0.0.2:40000", []string{"203.0.113.7, _hidden, 10.0.0.3"}, "10.0.0.3"},
		{"nothing at the end", "10.0.0.2:40000", []string{"203.0.113.7,"}, "10.0.0.2"},
		{"nothing at all", "10.0.0.2:40000", []string{""}, "10.0.0.2"},
		{"a quarter of a megabyte of commas", "10.0.0.2:40000", []string{strings.Repeat(",", 1<<18)}, "10.0.0.2"},
		{"many lines", "10.0.0.2:40000", append(strings.Split(strings.Repeat("203.0.113.7 ", 5000), " "), "203.0.113.8"), "203.0.113.8"},
		{"a header's end", "10.0.0.2:40000", []string{"203.0.113.7\r\nX-Forwarded-For: 203.0.113.8"}, "10.0.0.2"},
		{"with a port", "10.0.0.2:40000", []string{"203.0.113.7:4711"}, "203.0.113.7"},
		{"IPv6 with a port", "[2001:db8:f::2]:40000", []string{"[2001:db8:1::17]:4711"}, "2001:db8:1::17"},
		{"IPv6 in brackets", "[2001:db8:f::2]:40000", []string{" [2001:db8:1::17] "}, "2001:db8:1::17"},
		{"IPv6 with a zone", "[2001:db8:f::2%eth0]:40000", []string{"fe80::1%eth0"}, "fe80::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.2]:40000", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"a number with zeros before it", "10.0.0.2:40000", []string{"203.0.113.07"}, "10.0.0.2"},
		{"a connection that has no address", "@", []string{"203.0.113.7"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: c.connection, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := from(r).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	r := &http.Request{RemoteAddr: "10.0.0.2:40000", Header: http.Header{"X-Forwarded-For": {"203.0.113.7"}}}
	if got := Behind(nil)(r).String(); got != "10.0.0.2" {
		t.Errorf("with no proxies it is %s", got)
	}
}
