package egress

import (
	"fmt"
	"net/netip"
	"slices"
)

// Policy says how far a workspace may reach.
type Policy string

// The policies. The empty one is Brokers.
const (
	Brokers    Policy = "brokers"    // nothing beside the node's brokers
	Registries Policy = "registries" // listed hosts
	Open       Policy = "open"       // every public host, on ports 80 and 443; listed hosts on theirs
)

// Rules say what is admitted. In every policy the addresses that forbidden names are refused; but to hosts of Internal,
// which an operator has named one by one.
type Rules struct {
	Policy   Policy
	Hosts    []Pattern
	Internal []Pattern // hosts and addresses that may be private ones; no wildcards
}

// NewRules reads lists as they stand in a configuration. The error names every entry that is wrong.
func NewRules(policy string, hosts, internal []string) (Rules, error) {
	r := Rules{Policy: Policy(policy)}
	switch r.Policy {
	case "", Brokers, Registries, Open:
	default:
		return Rules{}, fmt.Errorf("there is no network policy %q: it is %s, %s or %s", policy, Brokers, Registries, Open)
	}
	var err error
	if r.Hosts, err = ParsePatterns(hosts); err != nil {
		return Rules{}, fmt.Errorf("the hosts of the network's policy: %w", err)
	}
	if r.Internal, err = ParsePatterns(internal); err != nil {
		return Rules{}, fmt.Errorf("the internal hosts of the network's policy: %w", err)
	}
	for i, p := range r.Hosts {
		if _, err := netip.ParseAddr(p.host); err == nil {
			return Rules{}, fmt.Errorf("%q is an address: hosts are admitted by name, and an address only as an internal one", hosts[i])
		}
	}
	for i, p := range r.Internal {
		if p.below {
			return Rules{}, fmt.Errorf("internal hosts are named one by one, and %q is a wildcard", internal[i])
		}
	}
	return r, nil
}

// RefusedError is why something is not reached. Why is a clause, Advice a sentence on what a person can do about it.
type RefusedError struct {
	Target string // host:port, or what the client said in its place
	Why    string
	Advice string
}

// Error implements error.
func (r *RefusedError) Error() string { return r.Target + " was refused: " + r.Why + ". " + r.Advice }

// admitted is how a target is to be reached.
type admitted struct {
	target   Target
	internal bool // it may have a private address
	named    bool // a tunnel to it must be TLS for its name
}

// admit judges a target by its name and port alone.
func (r Rules) admit(t Target) (admitted, *RefusedError) {
	is := func(p Pattern) bool { return p.admits(t) }
	switch {
	case r.Policy != Registries && r.Policy != Open:
		return admitted{}, &RefusedError{t.String(), "this task's network policy is brokers: it reaches its own repository and its model, and nothing else",
			"The project may have chosen that in .github/sam.yml; else whoever runs the server can set network.policy."}
	case slices.ContainsFunc(r.Internal, is):
		return admitted{target: t, internal: true}, nil
	case slices.ContainsFunc(r.Hosts, is):
		return admitted{target: t, named: r.Policy == Registries && usual(t.Port)}, nil
	case r.Policy == Open && usual(t.Port):
		return admitted{target: t}, nil
	}
	names := func(p Pattern) bool { return p.names(t) }
	refused := &RefusedError{Target: t.String()}
	switch {
	case slices.ContainsFunc(r.Hosts, names) || slices.ContainsFunc(r.Internal, names) || r.Policy == Open:
		refused.Why = fmt.Sprintf("port %d is not open to workspaces", t.Port)
		refused.Advice = fmt.Sprintf("If the task needs it, whoever runs the server can add %s to network.allow.", t)
	case t.addr.IsValid() && never(t.addr):
		refused.Why, refused.Advice = "it is "+forbidden(t.addr, nil, true), unreachable
	case t.addr.IsValid():
		refused.Why = "it is an address, and only hosts with a name are admitted"
		refused.Advice = "Ask for it by its name. Whoever runs the server can add an address of their own to network.internal."
	default:
		refused.Why = "the host is not listed, and this task's network policy admits listed ones only"
		refused.Advice = fmt.Sprintf("If the task needs it, whoever runs the server can add %s to network.allow.", allowance(t))
	}
	return admitted{}, refused
}

// allowance is what stands in a list for a target.
func allowance(t Target) string {
	if usual(t.Port) {
		return t.Host
	}
	return t.String()
}
