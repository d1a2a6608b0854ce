package hetzner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
)

// lockedTries is how often what Hetzner says is locked is tried.
const lockedTries = 4

// Ensure implements cloud.Provider: it walks the candidates, those that Hetzner says it has left first, until one is to be had.
func (p Provider) Ensure(ctx context.Context, s cloud.Spec) (cloud.Machine, error) {
	offers, err := p.Offers(ctx)
	if err != nil {
		return cloud.Machine{}, err
	}
	var tried, absent []cloud.Refusal
	for _, c := range s.Candidates {
		if _, ok := find(offers, c); !ok {
			absent = append(absent, cloud.Refusal{Candidate: c, Why: "Hetzner does not offer it"})
		}
	}
	for _, offer := range inOrder(s.Candidates, offers) {
		m, err := p.create(ctx, s, offer)
		if err == nil {
			return m, nil
		}
		switch what, why := faultOf(err); what {
		case capacity:
			tried = append(tried, cloud.Refusal{Candidate: offer.Candidate, Why: why})
		case unknown:
			absent = append(absent, cloud.Refusal{Candidate: offer.Candidate, Why: why})
			p.offers.forget() // they are out of date
		default:
			return m, explained(err)
		}
	}
	// A call before this one may have made it, when there was some left.
	if m, err := p.adopt(ctx, s.Name); err == nil || !errors.Is(err, errNoServer) {
		return m, explained(err)
	}
	if len(tried) == 0 {
		return cloud.Machine{}, cloud.NoCandidateError{Tried: absent}
	}
	return cloud.Machine{}, cloud.CapacityError{Tried: append(tried, absent...)}
}

// create makes one server, or adopts the one that has its name, and sees its creation through.
func (p Provider) create(ctx context.Context, s cloud.Spec, offer cloud.Offer) (cloud.Machine, error) {
	data, err := s.UserData(offer.Architecture)
	if err != nil {
		return cloud.Machine{}, err
	}
	if len(data) > cloud.MaxUserData {
		return cloud.Machine{}, cloud.UserDataError{Bytes: len(data)}
	}
	for try := 1; ; try++ {
		firewall, err := p.closed(ctx)
		if err != nil {
			return cloud.Machine{}, err
		}
		m, err := p.createOnce(ctx, s, offer, data, firewall)
		what, _ := faultOf(err)
		if err == nil || what != busy && what != unwalled && !errors.Is(err, errNoServer) || try == lockedTries {
			return m, err
		}
		if what == unwalled {
			p.firewall.forget()
			continue
		}
		if err := pause(ctx, 5*p.Pause); err != nil {
			return cloud.Machine{}, err
		}
	}
}

func (p Provider) createOnce(ctx context.Context, s cloud.Spec, offer cloud.Offer, data string, firewall int64) (cloud.Machine, error) {
	keys := make([]*hcloud.SSHKey, len(s.SSHKeys))
	for i, name := range s.SSHKeys {
		keys[i] = &hcloud.SSHKey{Name: name}
	}
	made, _, err := p.client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name: s.Name, ServerType: &hcloud.ServerType{Name: offer.Type}, Location: &hcloud.Location{Name: offer.Location},
		Image: &hcloud.Image{Name: s.Image}, SSHKeys: keys, UserData: data, Labels: p.labels(s.Labels),
		Firewalls: []*hcloud.ServerCreateFirewall{{Firewall: hcloud.Firewall{ID: firewall}}},
		PublicNet: &hcloud.ServerCreatePublicNet{EnableIPv4: true, EnableIPv6: true},
	})
	if what, _ := faultOf(err); what == taken {
		return p.adopt(ctx, s.Name)
	}
	if err != nil {
		return cloud.Machine{}, err
	}
	m := machine(made.Server, offer)
	err = p.client.Action.WaitFor(ctx, append(made.NextActions, made.Action)...)
	var failed hcloud.ActionError
	if errors.As(err, &failed) {
		// It is there, and will not run. Its name is needed for the next candidate.
		if gone := p.remove(ctx, made.Server); gone != nil {
			return m, errors.Join(gone, err)
		}
	}
	return m, err
}

// errNoServer: what was to be adopted is not there.
var errNoServer = errors.New("there is no server of that name")

// adopt finds the server that was made by a call before. ForeignError when it is another's.
func (p Provider) adopt(ctx context.Context, name string) (cloud.Machine, error) {
	server, _, err := p.client.Server.GetByName(ctx, name)
	switch {
	case err != nil:
		return cloud.Machine{}, err
	case server == nil || server.Status == hcloud.ServerStatusDeleting:
		return cloud.Machine{}, errNoServer
	case !p.isMine(server.Labels):
		return cloud.Machine{}, cloud.ForeignError{What: "server", Name: name}
	}
	offers, err := p.Offers(ctx)
	if err != nil {
		return cloud.Machine{}, err
	}
	m := p.known(server, offers)
	m.Adopted = true
	return m, nil
}

// known is a server at the price that it has by the offers.
func (p Provider) known(server *hcloud.Server, offers []cloud.Offer) cloud.Machine {
	var c cloud.Candidate
	if server.ServerType != nil {
		c.Type = server.ServerType.Name
	}
	if server.Location != nil {
		c.Location = server.Location.Name
	}
	offer, ok := find(offers, c)
	if !ok {
		offer = cloud.Offer{Candidate: c} // no longer sold, and not known what it costs
	}
	return machine(server, offer)
}

func machine(server *hcloud.Server, offer cloud.Offer) cloud.Machine {
	m := cloud.Machine{
		ID: strconv.FormatInt(server.ID, 10), Name: server.Name, Labels: server.Labels, Created: server.Created, Offer: offer,
	}
	if v4 := server.PublicNet.IPv4; !v4.IsUnspecified() {
		m.Address = append(m.Address, v4.IP.String())
	}
	if v6 := server.PublicNet.IPv6; !v6.IsUnspecified() {
		network := v6.Network
		if network == nil {
			network = &net.IPNet{IP: v6.IP, Mask: net.CIDRMask(64, 128)}
		}
		m.Address = append(m.Address, network.String())
	}
	return m
}

// Delete implements cloud.Provider. It looks first whose the server is, and returns when it is not there any more.
func (p Provider) Delete(ctx context.Context, m cloud.Machine) error {
	id, err := strconv.ParseInt(m.ID, 10, 64)
	if err != nil {
		return fmt.Errorf("delete machine %s: %q is no number of a server's", m.Name, m.ID)
	}
	for try := 1; ; try++ {
		server, _, err := p.client.Server.GetByID(ctx, id)
		switch {
		case err != nil:
			return explained(err)
		case server == nil:
			return nil
		case !p.isMine(server.Labels):
			return cloud.ForeignError{What: "server", Name: server.Name}
		case server.Status == hcloud.ServerStatusDeleting && try == lockedTries:
			return fmt.Errorf("delete machine %s: Hetzner is still at it", m.Name)
		case server.Status == hcloud.ServerStatusDeleting: // by a call whose answer nobody heard; it may fail yet
			if err := pause(ctx, 5*p.Pause); err != nil {
				return err
			}
			continue
		}
		err = p.remove(ctx, server)
		if what, _ := faultOf(err); err == nil || what != busy || try == lockedTries {
			return explained(err)
		}
		if err := pause(ctx, 5*p.Pause); err != nil {
			return err
		}
	}
}

// remove deletes a server of ours, and sees it through: its name is free then.
func (p Provider) remove(ctx context.Context, server *hcloud.Server) error {
	result, _, err := p.client.Server.DeleteWithResult(ctx, server)
	if hcloud.IsError(err, hcloud.ErrorCodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.client.Action.WaitFor(ctx, result.Action)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
