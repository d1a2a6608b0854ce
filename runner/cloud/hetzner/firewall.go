package hetzner

import (
	"context"
	"fmt"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
)

// closedFor is for how long the firewall is taken to be as it was found, or made.
const closedFor = time.Hour

// closed is the firewall of this installation, which lets nothing in: it has no rule for what comes in, and whatever no rule
// allows is dropped. It is made when there is none, and closed again when somebody has opened it.
func (p Provider) closed(ctx context.Context) (int64, error) {
	return p.firewall.since(time.Now().Add(-closedFor), func() (int64, error) { return p.close(ctx) })
}

func (p Provider) close(ctx context.Context) (int64, error) {
	name := "sam-" + p.Installation
	found, _, err := p.client.Firewall.GetByName(ctx, name)
	if err != nil {
		return 0, err
	}
	if found == nil {
		made, _, err := p.client.Firewall.Create(ctx, hcloud.FirewallCreateOpts{Name: name, Labels: p.labels(nil)})
		switch what, _ := faultOf(err); {
		case what == taken: // by another process, just now
			if found, _, err = p.client.Firewall.GetByName(ctx, name); err != nil || found == nil {
				return 0, fmt.Errorf("find the firewall %s that was just made: %w", name, err)
			}
		case err != nil:
			return 0, err
		default:
			found = made.Firewall
		}
	}
	if !p.isOurs(found.Labels) {
		return 0, cloud.ForeignError{What: "firewall", Name: name}
	}
	if len(found.Rules) > 0 {
		actions, _, err := p.client.Firewall.SetRules(ctx, found, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{}})
		if err != nil {
			return 0, err
		}
		if err := p.client.Action.WaitFor(ctx, actions...); err != nil {
			return 0, err
		}
	}
	return found.ID, nil
}
