// Package cloud is the seam between the runner and whoever gives it machines.
package cloud

import (
	"context"
	"time"

	"sam/task"
)

// Provider gives machines that run `sam node`, of one account. It is safe for concurrent use, and remembers nothing that
// another process would have to know: what there is it asks.
type Provider interface {
	// Name is the provider's word in configuration and records: local, hetzner.
	Name() string
	// Standing lists the nodes that exist without being created. They are recorded when SAM starts.
	Standing(ctx context.Context) ([]task.Node, error)
	// Ensure makes the machine of the spec's name, or finds the one that was made by a call before: however often it is
	// called, there is one. It returns when the machine has an address, before it has booted. The errors are those of
	// errors.go, as far as they are worth telling a person.
	Ensure(ctx context.Context, s Spec) (Machine, error)
	// Delete lets a machine go. One that is gone already is none to fail over; one without our label is not touched:
	// ForeignError.
	Delete(ctx context.Context, m Machine) error
	// List is every machine with our label, as of that time or later.
	List(ctx context.Context, since time.Time) ([]Machine, error)
	// Leftovers are what outlives machines, with our label, and belongs to none: volumes, addresses, keys. Likewise as of then.
	Leftovers(ctx context.Context, since time.Time) ([]Resource, error)
	// Offers lists what may be had, with its price. It may be up to an hour old.
	Offers(ctx context.Context) ([]Offer, error)
	// Billing says how a machine's time is counted.
	Billing() Billing
}

// Spec is a machine that is wanted.
type Spec struct {
	Name       string      // unique in the installation and the same at every try: lower case letters, digits, dashes; at most 63
	Candidates []Candidate // in the order of preference
	Image      string      // the provider's name of it
	Labels     map[string]string
	// UserData is what the machine is told at its first boot, for its architecture. At most MaxUserData bytes.
	UserData func(Architecture) (string, error)
	SSHKeys  []string // names of the provider's; none: there is no way in but the provider's own console
}

// MaxUserData is how many bytes Hetzner takes of user data.
const MaxUserData = 32 << 10

// Architecture is a machine's, by Go's name of it.
type Architecture string

// The architectures that machines may have.
const (
	AMD64 Architecture = "amd64"
	ARM64 Architecture = "arm64"
)

// Candidate is a type of machine at a location, both by the provider's names.
type Candidate struct {
	Type     string `json:"type"`
	Location string `json:"location"`
}

func (c Candidate) String() string { return c.Type + " in " + c.Location }

// Machine is one that the provider has.
type Machine struct {
	ID      string // the provider's
	Name    string
	Labels  map[string]string
	Created time.Time // by the provider's clock: billing counts from here
	Address []string  // public ones, IPv4 first; IPv6 as a prefix of 64 bits
	Offer             // what it is, at the price of now
	Adopted bool      // it was there already
}

// Offer is a candidate with what it has and costs.
type Offer struct {
	Candidate
	Architecture Architecture
	CPUs         int
	Memory       int64  // bytes
	Disk         int64  // bytes
	Hour         Money  // with taxes and with its IPv4 address
	Month        Money  // the most that a month of it costs; zero: no cap
	Currency     string // of both: EUR
	Sold         bool   // the provider has some left, as far as it says
}

// Resource is something beside machines that costs money or stays.
type Resource struct {
	Kind    string // volume, primary_ip, ssh_key
	ID      string
	Name    string
	Labels  map[string]string
	Created time.Time
	Delete  func(context.Context) error
}

// Billing says how a machine's time is counted: by begun units since its creation, also while it is switched off.
type Billing struct {
	Unit time.Duration // Hetzner: an hour
}
