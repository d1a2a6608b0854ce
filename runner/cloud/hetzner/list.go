package hetzner

import (
	"context"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
)

// List implements cloud.Provider.
func (p Provider) List(ctx context.Context, since time.Time) ([]cloud.Machine, error) {
	offers, err := p.Offers(ctx)
	if err != nil {
		return nil, err
	}
	servers, err := p.servers.since(since, func() ([]*hcloud.Server, error) {
		return p.client.Server.AllWithOpts(ctx, hcloud.ServerListOpts{ListOpts: p.ours()})
	})
	if err != nil {
		return nil, explained(err)
	}
	machines := make([]cloud.Machine, 0, len(servers))
	for _, server := range servers {
		if p.isMine(server.Labels) && server.Status != hcloud.ServerStatusDeleting {
			machines = append(machines, p.known(server, offers))
		}
	}
	return machines, nil
}

// Leftovers implements cloud.Provider.
func (p Provider) Leftovers(ctx context.Context, since time.Time) ([]cloud.Resource, error) {
	all, err := p.leftovers.since(since, func() ([]cloud.Resource, error) { return p.unused(ctx) })
	if err != nil {
		return nil, err
	}
	var mine []cloud.Resource
	for _, one := range all {
		if p.isMine(one.Labels) {
			mine = append(mine, one)
		}
	}
	return mine, nil
}

// unused are the volumes, addresses and keys of this installation that nothing uses.
func (p *Project) unused(ctx context.Context) ([]cloud.Resource, error) {
	var left []cloud.Resource
	volumes, err := p.client.Volume.AllWithOpts(ctx, hcloud.VolumeListOpts{ListOpts: p.ours()})
	if err != nil {
		return nil, explained(err)
	}
	for _, one := range volumes {
		if one.Server == nil && p.isOurs(one.Labels) {
			left = append(left, cloud.Resource{Kind: "volume", ID: number(one.ID), Name: one.Name, Labels: one.Labels, Created: one.Created,
				Delete: func(ctx context.Context) error { return gone(p.client.Volume.Delete(ctx, one)) }})
		}
	}
	addresses, err := p.client.PrimaryIP.AllWithOpts(ctx, hcloud.PrimaryIPListOpts{ListOpts: p.ours()})
	if err != nil {
		return nil, explained(err)
	}
	for _, one := range addresses {
		if one.AssigneeID == 0 && p.isOurs(one.Labels) {
			left = append(left, cloud.Resource{Kind: "primary_ip", ID: number(one.ID), Name: one.Name, Labels: one.Labels, Created: one.Created,
				Delete: func(ctx context.Context) error { return gone(p.client.PrimaryIP.Delete(ctx, one)) }})
		}
	}
	keys, err := p.client.SSHKey.AllWithOpts(ctx, hcloud.SSHKeyListOpts{ListOpts: p.ours()})
	if err != nil {
		return nil, explained(err)
	}
	for _, one := range keys {
		if p.isOurs(one.Labels) {
			left = append(left, cloud.Resource{Kind: "ssh_key", ID: number(one.ID), Name: one.Name, Labels: one.Labels, Created: one.Created,
				Delete: func(ctx context.Context) error { return gone(p.client.SSHKey.Delete(ctx, one)) }})
		}
	}
	return left, nil
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// gone is the error of a deletion: of what is gone already there is none.
func gone(_ *hcloud.Response, err error) error {
	if hcloud.IsError(err, hcloud.ErrorCodeNotFound) {
		return nil
	}
	return explained(err)
}
