package egress

import (
	"fmt"
	"net"
	"net/netip"
)

// special are the ranges that are no public host's, by what they are. From the registries of special-purpose addresses
// (RFC 6890 and its successors), and the two public addresses behind which clouds keep their instances' metadata.
var special = []struct {
	prefix netip.Prefix
	what   string
	never  bool // not for an internal host either
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this network", true},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address", false},
	{netip.MustParsePrefix("100.64.0.0/10"), "a provider's shared address", false},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address", false},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata service", true},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address, as a cloud's metadata service has", true},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address", false},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved address", true},
	{netip.MustParsePrefix("192.0.2.0/24"), "an address for documentation", true},
	{netip.MustParsePrefix("192.88.99.0/24"), "a reserved address", true},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address", false},
	{netip.MustParsePrefix("198.18.0.0/15"), "an address for benchmarks", false},
	{netip.MustParsePrefix("198.51.100.0/24"), "an address for documentation", true},
	{netip.MustParsePrefix("203.0.113.0/24"), "an address for documentation", true},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address", true},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address", true},
	{netip.MustParsePrefix("::/128"), "the unspecified address", true},
	{netip.MustParsePrefix("::1/128"), "a loopback address", false},
	{netip.MustParsePrefix("fd00:ec2::/32"), "a cloud's metadata service", true},
	{netip.MustParsePrefix("fc00::/7"), "a private address", false},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address", true},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address", true},
	{netip.MustParsePrefix("2001::/23"), "a reserved address", true}, // Teredo's among them, which carry an IPv4 address
	{netip.MustParsePrefix("2001:db8::/32"), "an address for documentation", true},
	{netip.MustParsePrefix("2002::/16"), "an address that carries another one", true},
	{netip.MustParsePrefix("3fff::/20"), "an address for documentation", true},
}

var (
	global6 = netip.MustParsePrefix("2000::/3")     // all that is given to public hosts so far
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // a public IPv4 host as a node without IPv4 sees it (RFC 6052)
)

// unreachable is the advice on an address that no setting admits.
const unreachable = "Such an address is never reached from a workspace."

// never reports whether an address is one that is not dialled for an internal host either.
func never(addr netip.Addr) bool { return forbidden(addr, nil, true) != "" }

// forbidden says what an address is when it must not be dialled, "" when it may. own are the node's addresses with the
// networks that they are on. For an internal host only what can never be a registry is forbidden.
func forbidden(addr netip.Addr, own []netip.Prefix, internal bool) string {
	if !addr.IsValid() || addr.Zone() != "" {
		return "no address"
	}
	addr = addr.Unmap()
	if nat64.Contains(addr) {
		bytes := addr.As16()
		if what := forbidden(netip.AddrFrom4([4]byte(bytes[12:])), own, internal); what != "" {
			return what + " behind NAT64"
		}
		return ""
	}
	for _, known := range special {
		if known.prefix.Contains(addr) && (known.never || !internal) {
			return known.what
		}
		if known.prefix.Contains(addr) {
			return ""
		}
	}
	if addr.Is6() && !global6.Contains(addr) {
		return "no public address"
	}
	for _, network := range own {
		switch {
		case internal:
		case network.Addr().Unmap() == addr:
			return "the node's own address"
		case network.Bits() > 0 && network.Contains(addr):
			return "an address of the node's own network"
		}
	}
	return ""
}

// interfaces are the node's addresses, each with the network that it is on. They are asked for anew before each dial: it
// takes microseconds, and containers come and go with theirs.
func interfaces() ([]netip.Prefix, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("ask for the node's own addresses: %w", err)
	}
	var own []netip.Prefix
	for _, one := range all {
		if p, err := netip.ParsePrefix(one.String()); err == nil {
			own = append(own, netip.PrefixFrom(p.Addr().Unmap().WithZone(""), p.Bits()))
		}
	}
	return own, nil
}
