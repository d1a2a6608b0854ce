package agent

import (
	"net"
	"net/url"

	"sam/agent/egress"
	"sam/agent/wire"
)

// proxyEnvironment makes the common tools use the proxy at an address, none where it admits nothing. Both cases of a name
// are in use: curl reads http_proxy in lower case only. The address itself, where git and the model are, is asked without it.
func proxyEnvironment(s wire.Start, address string) []string {
	if s.Network == nil || s.Network.Policy == "" || s.Network.Policy == string(egress.Brokers) {
		return nil
	}
	proxy := (&url.URL{Scheme: "http", User: url.UserPassword("sam", s.Token), Host: address}).String()
	host, _, _ := net.SplitHostPort(address)
	without := "localhost,127.0.0.1,::1"
	if host != "127.0.0.1" {
		without += "," + host
	}
	return []string{
		"HTTP_PROXY=" + proxy, "http_proxy=" + proxy, "HTTPS_PROXY=" + proxy, "https_proxy=" + proxy,
		"NO_PROXY=" + without, "no_proxy=" + without,
		// What a project's own configuration, or an image's, may have set for these tools it would prefer to the above.
		"npm_config_proxy=" + proxy, "npm_config_https_proxy=" + proxy, "npm_config_noproxy=" + without,
		"PIP_PROXY=" + proxy, "CARGO_HTTP_PROXY=" + proxy,
		"NODE_USE_ENV_PROXY=1", // Node's own fetch, since 24, asks for it
		"SAM_REGISTRIES=" + privateRegistries(address, s.Token),
	}
}
