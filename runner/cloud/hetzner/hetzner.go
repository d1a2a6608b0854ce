// Package hetzner is the provider that makes machines in a project of Hetzner Cloud.
//
// What is made bears the installation's label, and nothing else is ever changed or deleted. A name is made once however often
// it is asked for: Hetzner refuses a second server of one name, and whoever is refused adopts the first, so neither a reply that is
// lost nor a process that dies in the middle makes two. In its life a machine takes six calls and seldom ten: one to
// create it, some to see its creation through, two to delete it; lists are for all machines of all accounts together.
package hetzner

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
	"sam/task"
)

// Labels of what is made here. A value holds 63 characters of letters, digits, dashes, dots and underscores.
const (
	labelInstallation = "sam-installation"
	labelAccount      = "sam-account"
)

// Options are which project it is, and how Hetzner is asked.
type Options struct {
	Token        string       // of the project, for reading and writing
	Installation string       // SAM's own id of this set of data
	Endpoint     string       // empty: Hetzner's own
	HTTP         *http.Client // nil: the default transport; without a timeout of its own a call may take callTimeout
	Version      string       // of SAM, which it introduces itself with
	// Pause is the shortest between two calls about one thing; not positive: a second. What Hetzner says is locked is tried again
	// after five of them, as it asks for.
	Pause time.Duration
}

// Project is one of Hetzner's, by its token. Accounts may share it: what it has and offers is asked once for all of them, since
// Hetzner counts the calls of a project together, 3,600 an hour.
type Project struct {
	Options
	client *hcloud.Client

	offers    shared[[]cloud.Offer]
	firewall  shared[int64] // of this installation
	servers   shared[[]*hcloud.Server]
	leftovers shared[[]cloud.Resource]
}

// Provider implements cloud.Provider, for one account's machines in a project. Two of one project and account are equal.
type Provider struct {
	*Project
	account int64
}

// callTimeout bounds one call. Tries are hcloud-go's: of what timed out or was refused for the rate limit, with the same name.
const (
	callTimeout = 30 * time.Second
	callTries   = 2
)

// NewProject returns a project. It asks nothing yet.
func NewProject(o Options) *Project {
	o.Pause = cmp.Or(max(o.Pause, 0), time.Second)
	client := http.Client{}
	if o.HTTP != nil {
		client = *o.HTTP
	}
	client.Timeout = cmp.Or(client.Timeout, callTimeout)
	o.HTTP = &client
	options := []hcloud.ClientOption{
		hcloud.WithToken(o.Token), hcloud.WithApplication("sam", o.Version), hcloud.WithHTTPClient(o.HTTP),
		hcloud.WithRetryOpts(hcloud.RetryOpts{MaxRetries: callTries, BackoffFunc: hcloud.ExponentialBackoffWithOpts(hcloud.ExponentialBackoffOpts{
			Base: o.Pause, Multiplier: 2, Cap: 10 * o.Pause, Jitter: true,
		})}),
		// A server takes about 10 s to be created: it is asked four times and not twenty.
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ExponentialBackoffWithOpts(hcloud.ExponentialBackoffOpts{
			Base: o.Pause, Multiplier: 2, Cap: 8 * o.Pause,
		})}),
	}
	if o.Endpoint != "" {
		options = append(options, hcloud.WithEndpoint(o.Endpoint))
	}
	return &Project{Options: o, client: hcloud.NewClient(options...)}
}

// Account is the provider of an account's machines.
func (p *Project) Account(id int64) Provider { return Provider{p, id} }

// Name implements cloud.Provider.
func (Provider) Name() string { return "hetzner" }

// Standing implements cloud.Provider: every machine is made.
func (Provider) Standing(context.Context) ([]task.Node, error) { return nil, nil }

// Billing implements cloud.Provider: begun hours, since the creation, also while a server is off.
// https://docs.hetzner.com/cloud/billing/faq
func (Provider) Billing() cloud.Billing { return cloud.Billing{Unit: time.Hour} }

// Check asks whether the token may read, and write, without changing anything: it asks for a server that cannot be, whose
// refusal says which. CredentialError.
func (p *Project) Check(ctx context.Context) error {
	if _, err := p.client.Server.AllWithOpts(ctx, hcloud.ServerListOpts{ListOpts: p.ours()}); err != nil {
		return explained(err)
	}
	_, _, err := p.client.Firewall.Create(ctx, hcloud.FirewallCreateOpts{Name: "sam-check", Rules: []hcloud.FirewallRule{{Direction: "none", Protocol: "none"}}})
	if hcloud.IsError(err, hcloud.ErrorCodeInvalidInput) {
		return nil // it may write, and would have
	}
	return explained(err)
}

// labels are what something of ours bears.
func (p Provider) labels(more map[string]string) map[string]string {
	all := map[string]string{labelInstallation: p.Installation, labelAccount: strconv.FormatInt(p.account, 10)}
	for name, value := range more {
		if _, taken := all[name]; !taken {
			all[name] = value
		}
	}
	return all
}

// isOurs reports whether labels are of this installation, exactly.
func (p *Project) isOurs(labels map[string]string) bool {
	return p.Installation != "" && labels[labelInstallation] == p.Installation
}

// isMine reports whether labels are of this installation and of the provider's account: two accounts may have one project.
func (p Provider) isMine(labels map[string]string) bool {
	return p.isOurs(labels) && labels[labelAccount] == strconv.FormatInt(p.account, 10)
}

// ours selects what bears this installation's label.
func (p *Project) ours() hcloud.ListOpts {
	return hcloud.ListOpts{LabelSelector: labelInstallation + "==" + p.Installation, PerPage: 50}
}
