package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialer reaches what was admitted, by addresses that it has checked.
type dialer struct {
	resolver Resolver
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	own      func() ([]netip.Prefix, error)
	within   time.Duration // resolving and dialling, all in all
	each     time.Duration // one address, while there are more
}

// reach dials an address of the target's. A *RefusedError says that it resolves to one that must not be dialled: a name with one
// such address is refused whole, for it is no registry's.
func (d *dialer) reach(ctx context.Context, a admitted) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	addresses, err := d.resolve(ctx, a.target)
	if err != nil {
		return nil, err
	}
	own, err := d.own()
	if err != nil {
		return nil, err
	}
	for _, addr := range addresses {
		if what := forbidden(addr, own, a.internal); what != "" {
			return nil, hidden(a, addr, what)
		}
	}
	// IPv4 first: a node without IPv6 hears so at once for the others, and one whose IPv6 leads nowhere is not kept waiting.
	slices.SortStableFunc(addresses, func(x, y netip.Addr) int { return x.BitLen() - y.BitLen() })
	var failed []error
	for i, addr := range addresses {
		conn, err := d.try(ctx, netip.AddrPortFrom(addr, a.target.Port), i == len(addresses)-1)
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failed...)
}

func (d *dialer) try(ctx context.Context, to netip.AddrPort, last bool) (net.Conn, error) {
	if !last {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.each)
		defer cancel()
	}
	conn, err := d.dial(ctx, "tcp", to.String())
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", to, err)
	}
	return conn, nil
}

func (d *dialer) resolve(ctx context.Context, t Target) ([]netip.Addr, error) {
	if t.addr.IsValid() {
		return []netip.Addr{t.addr}, nil
	}
	name := t.Host
	if strings.Contains(name, ".") {
		name += "." // it is whole: no domain of the node's is searched for it
	}
	found, err := d.resolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", t.Host, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("look up %s: it has no address", t.Host)
	}
	addresses := make([]netip.Addr, len(found))
	for i, addr := range found {
		addresses[i] = addr.Unmap()
	}
	return addresses, nil
}

// hidden refuses a target because of an address.
func hidden(a admitted, addr netip.Addr, what string) *RefusedError {
	why := fmt.Sprintf("it has the address %s, which is %s", addr, what)
	if a.target.addr.IsValid() {
		why = "it is " + what
	}
	advice := "If it is a registry of your own, whoever runs the server can add " + allowance(a.target) + " to network.internal."
	if a.internal || never(addr) {
		advice = unreachable
	}
	return &RefusedError{a.target.String(), why, advice}
}
