package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Pattern is one entry of a list of hosts: host, *.host for every host below it, either with :port, or an address. Without a port it
// is for 80 and 443.
type Pattern struct {
	host  string // as in Target
	below bool   // what is below host, and not host itself
	port  uint16 // 0: 80 and 443
}

// ParsePattern reads an entry. A wildcard stands at the beginning only, before a name of at least two parts.
func ParsePattern(entry string) (Pattern, error) {
	var p Pattern
	host, wild := strings.CutPrefix(entry, "*.")
	p.below = wild
	if name, digits, err := net.SplitHostPort(host); err == nil {
		port, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || port == 0 {
			return Pattern{}, fmt.Errorf("%q has a port that is none", entry)
		}
		host, p.port = name, uint16(port)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if wild || addr.Zone() != "" {
			return Pattern{}, fmt.Errorf("%q is neither a host nor an address", entry)
		}
		p.host = addr.Unmap().String()
		return p, nil
	}
	name, err := canonical(host)
	if err != nil {
		return Pattern{}, fmt.Errorf("%q is no host: %w", entry, err)
	}
	if wild && !strings.Contains(name, ".") {
		return Pattern{}, fmt.Errorf("%q would be for a whole top-level domain", entry)
	}
	p.host = name
	return p, nil
}

// ParsePatterns reads a list.
func ParsePatterns(entries []string) ([]Pattern, error) {
	var all []Pattern
	var wrong []error
	for _, entry := range entries {
		p, err := ParsePattern(entry)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		all = append(all, p)
	}
	return all, errors.Join(wrong...)
}

// names reports whether the pattern is for the target's host, whatever the port.
func (p Pattern) names(t Target) bool {
	if p.below {
		return !t.addr.IsValid() && strings.HasSuffix(t.Host, "."+p.host)
	}
	return t.Host == p.host
}

// admits reports whether it is for the target.
func (p Pattern) admits(t Target) bool {
	if p.port != 0 {
		return p.names(t) && t.Port == p.port
	}
	return p.names(t) && usual(t.Port)
}

// usual ports are those of HTTPS and HTTP.
func usual(port uint16) bool { return port == 443 || port == 80 }
