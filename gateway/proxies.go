package gateway

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Behind returns how to tell whose a request is, when the server stands behind reverse proxies of these addresses: for
// Options.From. It goes from the connection outwards, through what each proxy has appended to X-Forwarded-For, and stops at the
// first address that is no proxy's: what stands further to the left is what that one claims, and it may claim anything. What is
// no address ends the way too.
func Behind(proxies []netip.Prefix) func(*http.Request) netip.Addr {
	isProxy := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return func(r *http.Request) netip.Addr {
		at := connected(r)
		lines := r.Header.Values("X-Forwarded-For")
		for _, line := range slices.Backward(lines) {
			for more := true; more; {
				if !isProxy(at) {
					return at
				}
				var entry string
				line, entry, more = cutLast(line)
				said, ok := parseAddress(entry)
				if !ok {
					return at
				}
				at = said
			}
		}
		return at
	}
}

// cutLast cuts the last entry off a list. more says that there are others before it.
func cutLast(list string) (before, last string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return "", list, false
}

// parseAddress reads an address as proxies write it: bare, or with a port, an IPv6 in brackets or not.
func parseAddress(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if inner, ok := strings.CutSuffix(inner, "]"); ok {
			text = inner
		}
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		with, err := netip.ParseAddrPort(text)
		if err != nil {
			return netip.Addr{}, false
		}
		address = with.Addr()
	}
	return address.Unmap().WithZone(""), true
}

// connected is the address that a request's connection came from, the zero one for what is none.
func connected(r *http.Request) netip.Addr {
	address, _ := parseAddress(r.RemoteAddr)
	return address
}
