package agent

import (
	"net"
	"net/url"
	"strings"

	"sam/agent/egress"
	"sam/agent/shim"
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
	env := []string{
		"HTTP_PROXY=" + proxy, "http_proxy=" + proxy, "HTTPS_PROXY=" + proxy, "https_proxy=" + proxy,
		"NO_PROXY=" + without, "no_proxy=" + without,
		// What a project's own configuration, or an image's, may have set for these tools it would prefer to the above.
		"npm_config_proxy=" + proxy, "npm_config_https_proxy=" + proxy, "npm_config_noproxy=" + without,
		"PIP_PROXY=" + proxy, "CARGO_HTTP_PROXY=" + proxy,
		"YARN_HTTP_PROXY=" + proxy, "YARN_HTTPS_PROXY=" + proxy, // since Yarn 2
		"NODE_USE_ENV_PROXY=1", // Node's own fetch, since 24, asks for it
		"SAM_REGISTRIES=" + privateRegistries(address, s.Token),
	}
	if address == shim.Listen { // elsewhere they need no proxy, and it would refuse them
		for _, name := range []string{"MAVEN_OPTS", "GRADLE_OPTS", "SBT_OPTS"} {
			env = append(env, name+"="+javaProxy(address))
		}
	}
	return env
}

// javaProxy are the system properties by which programs in Java find the proxy: their virtual machine reads no variable but
// JAVA_TOOL_OPTIONS, and tells of it on standard error whenever it starts. No property has the proxy's password: see ways.alone.
func javaProxy(address string) string {
	host, port, _ := net.SplitHostPort(address)
	var all []string
	for _, scheme := range []string{"http", "https"} {
		all = append(all, "-D"+scheme+".proxyHost="+host, "-D"+scheme+".proxyPort="+port)
	}
	return strings.Join(append(all, "-Daether.connector.http.useSystemProperties=true"), " ") // Maven heeds them, since 3.9, if told so
}
