package hetzner

import (
	"fmt"
	"net/http"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// maxUserData is how much user_data a server takes, in bytes.
const maxUserData = 32 << 10

// createServer checks everything before it makes anything, in the order in which
// Hetzner complains: the request, what it names, limits, and last the place.
func createServer(c *call) (reply, error) {
	var ask schema.ServerCreateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	sv, err := c.draft(ask)
	if err != nil {
		return reply{}, err
	}
	net := schema.ServerCreatePublicNet{EnableIPv4: true, EnableIPv6: true}
	if ask.PublicNet != nil {
		net = *ask.PublicNet
	}
	given, err := c.givenAddresses(sv, net)
	if err != nil {
		return reply{}, err
	}
	s := c.s
	for _, f := range ask.Firewalls {
		if c.p.firewalls[f.Firewall] == nil {
			return reply{}, notFound("firewall", f.Firewall)
		}
	}
	for _, key := range ask.SSHKeys {
		if c.p.keys[key] == nil {
			return reply{}, notFound("SSH key", key)
		}
	}
	for _, id := range ask.Volumes {
		switch v := c.p.volumes[id]; {
		case v == nil:
			return reply{}, notFound("volume", id)
		case v.server != nil:
			return reply{}, refuse(http.StatusUnprocessableEntity, "volume_already_attached", "volume is already attached to a server")
		case v.location.Name != sv.location.Name:
			return reply{}, unfit("volume is in another location than the server")
		}
	}
	if err := c.room(sv, net); err != nil {
		return reply{}, err
	}

	sv.id, sv.created, sv.status = s.nextID(), s.now(), initializing
	c.p.servers[sv.id] = sv
	sv.bill = s.charge(c.p, "server", sv.id, sv.name, sv.typ.Name, sv.location.Name, sv.labels, sv.typ.offer(sv.location.Name).Price)
	s.address(sv, net, given)
	for _, f := range ask.Firewalls {
		at := c.p.firewalls[f.Firewall]
		at.servers = append(at.servers, sv.id)
	}
	for _, id := range ask.Volumes {
		c.p.volumes[id].server = sv
	}
	create, next := s.raise(sv, ask.StartAfterCreate == nil || *ask.StartAfterCreate)
	var password *string
	if len(ask.SSHKeys) == 0 {
		made := "sandbox-" + correlation()
		password = &made
	}
	return created(object{
		"server": s.renderServer(sv), "action": s.render(create), "next_actions": s.renderAll(next...), "root_password": password,
	}), nil
}

// draft is the server that is asked for, if there can be such a one.
func (c *call) draft(ask schema.ServerCreateRequest) (*server, error) {
	s := c.s
	if err := checkServerName(ask.Name); err != nil {
		return nil, err
	}
	labels, err := checkLabels(ask.Labels)
	if err != nil {
		return nil, err
	}
	switch {
	case len(ask.UserData) > maxUserData:
		return nil, invalid("user_data", "Length must be between 0 and 32768.")
	case len(ask.Networks) > 0:
		return nil, invalid("networks", "this stand-in has no networks")
	case ask.PlacementGroup != 0:
		return nil, invalid("placement_group", "this stand-in has no placement groups")
	}
	typ := s.typeOf(ask.ServerType)
	if typ == nil {
		return nil, unfit(fmt.Sprintf("server type %s not found", orID(ask.ServerType)))
	}
	img, err := c.imageFor(ask.Image, typ.Architecture)
	if err != nil {
		return nil, err
	}
	where := s.location(schema.IDOrName{Name: typ.Offers[0].Location})
	if ask.Location != "" {
		if where = s.location(idOrName(ask.Location)); where == nil {
			return nil, unfit(fmt.Sprintf("location '%s' not found", ask.Location))
		}
	}
	if named(c.p.servers, (*server).listed, ask.Name) != nil {
		return nil, taken("server name is already used", "name")
	}
	return &server{
		project: c.p, name: ask.Name, typ: *typ, location: *where, image: img, labels: labels, userData: ask.UserData,
	}, nil
}

// room refuses a server for which there is none: by the account's limits, by where
// its type is sold, by what is free there just now.
func (c *call) room(sv *server, net schema.ServerCreatePublicNet) error {
	s, offer := c.s, sv.typ.offer(sv.location.Name)
	made := 0
	if net.EnableIPv4 && net.IPv4ID == 0 {
		made++
	}
	if net.EnableIPv6 && net.IPv6ID == 0 {
		made++
	}
	switch {
	case len(c.p.servers) >= s.limits.Servers:
		return overLimit("server limit exceeded", "server_limit")
	case len(c.p.ips)+made > s.limits.PrimaryIPs:
		return overLimit("Primary IP limit exceeded", "primary_ip_limit")
	case offer == nil:
		return wrongLocation()
	case !offer.Ended.IsZero():
		return unfit(fmt.Sprintf("server type %d is deprecated", sv.typ.ID))
	case offer.SoldOut:
		return noPlace()
	}
	return nil
}

// raise begins what brings a new server up: it is initializing while it is created,
// then off, then starting, then running. With mu held.
func (s *Server) raise(sv *server, start bool) (create *action, next []*action) {
	takes := s.timing.Create
	if sv.image.Type == "snapshot" {
		takes = s.timing.CreateSnapshot
	}
	now := s.now()
	create = s.act(sv, now, "create_server", takes, func(at time.Time, failed bool) {
		if sv.status = off; start && !failed {
			sv.status = starting
		}
	})
	if !start {
		return create, nil
	}
	// The next action is there from the beginning, and runs all the while.
	begun := s.act(sv, now, "start_server", create.ends.Sub(now)+s.timing.Start, func(at time.Time, failed bool) {
		if failed || create.failed {
			sv.status = off
			return
		}
		sv.status = running
		s.boot(sv)
	})
	return create, []*action{begun}
}

// idOrName reads what may be either: a number is an id.
func idOrName(text string) schema.IDOrName {
	var out schema.IDOrName
	if err := out.UnmarshalJSON([]byte(fmt.Sprintf("%q", text))); err != nil {
		return schema.IDOrName{Name: text}
	}
	return out
}

func orID(by schema.IDOrName) string {
	if by.ID != 0 {
		return fmt.Sprint(by.ID)
	}
	return by.Name
}
