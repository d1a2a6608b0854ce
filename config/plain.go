package config

import (
	"net/netip"
	"net/url"
	"strings"
)

// Plain is the address by which nodes on other machines reach the server without TLS, "" when they do not: then whoever is on the way reads
// the secrets and tokens in its frames.
func (p Public) Plain() string {
	address := p.URL
	if address == "" {
		address = "http://" + p.Listen
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || isLoopback(u.Hostname()) {
		return ""
	}
	return address
}

func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
