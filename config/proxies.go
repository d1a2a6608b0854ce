package config

import (
	"fmt"
	"net/netip"
)

// TrustedProxies are the reverse proxies before the public listener, whose word for where a request comes from is taken.
func (p Public) TrustedProxies() []netip.Prefix {
	var all []netip.Prefix
	for _, entry := range p.Proxies {
		if prefix, why := parseProxies(entry); why == "" {
			all = append(all, prefix)
		}
	}
	return all
}

// parseProxies reads an address or a range of them; why says what is wrong with it, "" when nothing is.
func parseProxies(entry string) (_ netip.Prefix, why string) {
	prefix, err := netip.ParsePrefix(entry)
	if err != nil {
		address, err := netip.ParseAddr(entry)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, fmt.Sprintf("%q is neither an address nor a range of them: write 10.0.0.2, 10.0.0.0/24 or fd00:1::/64", entry)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	least := 8
	if prefix.Addr().Is6() {
		least = 16
	}
	switch {
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Sprintf("%q is an IPv4 address in IPv6's clothes: write it as IPv4", entry)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Sprintf("%q has more digits than its length says: it would be %s, if that is what you mean", entry, prefix.Masked())
	case prefix.Bits() < least:
		return netip.Prefix{}, fmt.Sprintf("%q is too wide: whoever connects from there is believed to be whom they say, so name your proxies alone", entry)
	}
	return prefix, ""
}
