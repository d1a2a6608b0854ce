package egress

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Target is a host and a port in the one form in which they are compared.
type Target struct {
	Host string // ASCII, lower case, without a dot at the end; or an address
	Port uint16
	addr netip.Addr // what Host is when it is an address
}

// String is the target as host:port.
func (t Target) String() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// ParseTarget reads host:port as a client asks for it. A name may have capitals, letters beyond ASCII and one dot at its
// end. Refused are names that are none, and those that some resolvers take for an address (0x7f.1, 2130706433).
func ParseTarget(hostport string) (Target, error) {
	host, digits, err := net.SplitHostPort(hostport)
	if err != nil {
		return Target{}, errors.New("it is not host:port")
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return Target{}, errors.New("its port is no number from 1 to 65535")
	}
	t := Target{Port: uint16(port)}
	if t.addr, err = netip.ParseAddr(host); err == nil {
		if t.addr.Zone() != "" {
			return Target{}, errors.New("its address has a zone")
		}
		t.addr = t.addr.Unmap()
		t.Host = t.addr.String()
		return t, nil
	}
	if strings.HasPrefix(hostport, "[") {
		return Target{}, errors.New("what is in brackets is no IPv6 address")
	}
	t.Host, err = canonical(host)
	return t, err
}

// names maps a name as browsers do before they look it up. Hyphens are not judged: there are hosts with two in a row.
var names = idna.New(idna.MapForLookup(), idna.StrictDomainName(true), idna.BidiRule(), idna.CheckJoiners(true), idna.CheckHyphens(false))

// canonical is a host name in its one form.
func canonical(name string) (string, error) {
	ascii, err := names.ToASCII(name)
	if err == nil && ascii != name {
		var again string // a form that is not its own is no form to compare by
		if again, err = names.ToASCII(ascii); err == nil && again != ascii {
			err = errors.New("it has no one form")
		}
	}
	if err != nil || !utf8.ValidString(name) {
		return "", fmt.Errorf("its name is none: %w", cmp.Or(err, errors.New("it is not UTF-8")))
	}
	ascii = strings.TrimSuffix(ascii, ".")
	if ascii == "" || len(ascii) > 253 {
		return "", errors.New("its name is empty or too long")
	}
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return "", errors.New("a part of its name is empty or too long, or has a hyphen at an end")
		}
		if strings.ContainsFunc(label, func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
			return "", errors.New("its name holds what no name holds")
		}
	}
	if last := labels[len(labels)-1]; numeric(last) {
		return "", errors.New("its name ends in a number, as an address does")
	}
	return ascii, nil
}

// numeric reports whether inet_aton would take a label for a number.
func numeric(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	return !strings.ContainsFunc(digits, func(r rune) bool {
		return (r < '0' || r > '9') && (!hex || r < 'a' || r > 'f')
	})
}
