package hetzner

import (
	"fmt"
	"net/http"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// primaryIP is an address. A server makes its own, which go with it; one that was
// made by itself outlives every server, and costs all the while.
type primaryIP struct {
	id         int64
	name       string
	kind       string // ipv4 or ipv6
	ip         string
	labels     map[string]string
	created    time.Time
	location   schema.Location
	server     *server // nil: it is assigned to none
	autoDelete bool
	guarded    bool
	bill       *bill
}

func (ip *primaryIP) listed() listed {
	return listed{id: ip.id, name: ip.name, labels: ip.labels, created: ip.created, more: map[string]string{"ip": ip.ip}}
}

func (ip *primaryIP) render() schema.PrimaryIP {
	out := schema.PrimaryIP{
		ID: ip.id, IP: ip.ip, Labels: ip.labels, Name: ip.name, Type: ip.kind, AssigneeType: "server", AutoDelete: ip.autoDelete,
		Created: moment(ip.created), Location: ip.location, DNSPtr: []schema.PrimaryIPDNSPTR{},
		Protection: schema.PrimaryIPProtection{Delete: ip.guarded},
	}
	if ip.server != nil {
		id := ip.server.id
		out.AssigneeID = &id
	}
	return out
}

// newIP makes an address. IPv4 ones are of the host's own loopback, so that a
// machine's calls can truly come from its server's address (see reach.go). With mu
// held.
func (s *Server) newIP(p *project, name, kind string, where schema.Location, labels map[string]string) *primaryIP {
	s.addresses++
	ip := &primaryIP{id: s.nextID(), name: name, kind: kind, labels: labels, created: s.now(), location: where}
	if ip.name == "" {
		ip.name = "primary_ip-" + idName(ip.id)
	}
	ip.ip = fmt.Sprintf("127.71.%d.%d", s.addresses/250%256, s.addresses%250+2)
	if kind == "ipv6" {
		ip.ip = fmt.Sprintf("2001:db8:%x:%x::/64", s.addresses>>16, s.addresses&0xffff)
	}
	ip.bill = s.charge(p, "primary_ip", ip.id, ip.name, kind, where.Name, labels, s.priceOfIP(kind))
	p.ips[ip.id] = ip
	return ip
}

// givenAddresses finds the addresses that a new server is to have, of those that
// are there.
func (c *call) givenAddresses(sv *server, net schema.ServerCreatePublicNet) ([]*primaryIP, error) {
	var given []*primaryIP
	for _, ask := range []struct {
		kind string
		id   int64
	}{{"ipv4", net.IPv4ID}, {"ipv6", net.IPv6ID}} {
		kind, id := ask.kind, ask.id
		if id == 0 {
			continue
		}
		ip := c.p.ips[id]
		switch {
		case ip == nil:
			return nil, notFound("primary IP", id)
		case ip.kind != kind:
			return nil, refuse(http.StatusUnprocessableEntity, "primary_ip_version_mismatch", "the primary IP has another version")
		case ip.server != nil:
			return nil, refuse(http.StatusUnprocessableEntity, "primary_ip_assigned", "the primary IP is already assigned")
		case ip.location.Name != sv.location.Name:
			return nil, refuse(http.StatusUnprocessableEntity, "primary_ip_datacenter_mismatch", "the primary IP is in another location")
		}
		given = append(given, ip)
	}
	return given, nil
}

// address gives a new server its addresses: those given, and its own where one is
// wanted. With mu held.
func (s *Server) address(sv *server, net schema.ServerCreatePublicNet, given []*primaryIP) {
	own := func(kind string, wanted bool) {
		for _, ip := range given {
			if ip.kind == kind {
				ip.assign(sv)
				return
			}
		}
		if wanted {
			ip := s.newIP(sv.project, "", kind, sv.location, map[string]string{})
			ip.autoDelete = true
			ip.assign(sv)
		}
	}
	own("ipv4", net.EnableIPv4)
	own("ipv6", net.EnableIPv6)
}

func (ip *primaryIP) assign(sv *server) {
	ip.server = sv
	if ip.kind == "ipv4" {
		sv.ipv4 = ip
	} else {
		sv.ipv6 = ip
	}
}

func ipRoutes() []route {
	with := about(func(p *project) map[int64]*primaryIP { return p.ips }, "primary IP")
	return []route{
		{"GET /v1/primary_ips", func(c *call) (reply, error) {
			return list(c, "primary_ips", c.p.ips, (*primaryIP).listed, (*primaryIP).render, "name", "ip")
		}},
		{"POST /v1/primary_ips", createIP},
		{"GET /v1/primary_ips/{id}", with(func(_ *call, ip *primaryIP) (reply, error) {
			return ok(object{"primary_ip": ip.render()}), nil
		})},
		{"PUT /v1/primary_ips/{id}", with(updateIP)},
		{"DELETE /v1/primary_ips/{id}", with(deleteIP)},
		{"POST /v1/primary_ips/{id}/actions/assign", with(assignIP)},
		{"POST /v1/primary_ips/{id}/actions/unassign", with(unassignIP)},
		{"POST /v1/primary_ips/{id}/actions/change_protection", with(func(c *call, ip *primaryIP) (reply, error) {
			var ask schema.PrimaryIPActionChangeProtectionRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			ip.guarded = ask.Delete
			return c.acting(c.s.begin(c.p, c.s.now(), "change_protection", c.s.timing.Change, nil, ref("primary_ip", ip.id)))
		})},
	}
}

func createIP(c *call) (reply, error) {
	var ask schema.PrimaryIPCreateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	labels, err := checkLabels(ask.Labels)
	where := c.s.location(idOrName(ask.Location))
	switch {
	case err != nil:
		return reply{}, err
	case ask.Name == "":
		return reply{}, invalid("name", "is required")
	case ask.Type != "ipv4" && ask.Type != "ipv6":
		return reply{}, invalid("type", "must be ipv4 or ipv6")
	case ask.AssigneeID != nil:
		return reply{}, invalid("assignee_id", "this stand-in assigns by the action")
	case where == nil:
		return reply{}, unfit(fmt.Sprintf("location '%s' not found", ask.Location))
	case named(c.p.ips, (*primaryIP).listed, ask.Name) != nil:
		return reply{}, taken("primary IP name is already used", "name")
	case len(c.p.ips) >= c.s.limits.PrimaryIPs:
		return reply{}, overLimit("Primary IP limit exceeded", "primary_ip_limit")
	}
	ip := c.s.newIP(c.p, ask.Name, ask.Type, *where, labels)
	ip.autoDelete = ask.AutoDelete != nil && *ask.AutoDelete
	return created(object{"primary_ip": ip.render(), "action": nil}), nil
}

func updateIP(c *call, ip *primaryIP) (reply, error) {
	var ask schema.PrimaryIPUpdateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if err := rename(c.p.ips, ip, (*primaryIP).listed, &ip.name, ask.Name, &ip.labels, ask.Labels); err != nil {
		return reply{}, err
	}
	if ask.AutoDelete != nil {
		ip.autoDelete = *ask.AutoDelete
	}
	return ok(object{"primary_ip": ip.render()}), nil
}

func deleteIP(c *call, ip *primaryIP) (reply, error) {
	switch {
	case ip.guarded:
		return reply{}, protected("primary IP")
	case ip.server != nil:
		return reply{}, inUse("primary IP is still assigned to a server")
	}
	delete(c.p.ips, ip.id)
	ip.bill.end(c.s.now())
	return gone(), nil
}

func assignIP(c *call, ip *primaryIP) (reply, error) {
	var ask schema.PrimaryIPActionAssignRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	sv := c.p.servers[ask.AssigneeID]
	switch {
	case sv == nil:
		return reply{}, notFound("server", ask.AssigneeID)
	case ip.server != nil:
		return reply{}, refuse(http.StatusUnprocessableEntity, "primary_ip_already_assigned", "the primary IP is already assigned")
	case sv.busy > 0:
		return reply{}, locked("server")
	case sv.status != off:
		return reply{}, refuse(http.StatusUnprocessableEntity, "server_not_stopped", "server must be stopped")
	case ip.kind == "ipv4" && sv.ipv4 != nil, ip.kind == "ipv6" && sv.ipv6 != nil:
		return reply{}, refuse(http.StatusUnprocessableEntity, "server_has_"+ip.kind, "server has such an address already")
	}
	ip.assign(sv)
	return c.acting(c.s.begin(c.p, c.s.now(), "assign_primary_ip", c.s.timing.Change, nil, ref("primary_ip", ip.id), ref("server", sv.id)))
}

func unassignIP(c *call, ip *primaryIP) (reply, error) {
	sv := ip.server
	switch {
	case sv == nil:
		return reply{}, refuse(http.StatusUnprocessableEntity, "primary_ip_not_assigned", "the primary IP is not assigned")
	case sv.busy > 0:
		return reply{}, locked("server")
	case sv.status != off:
		return reply{}, refuse(http.StatusUnprocessableEntity, "server_not_stopped", "server must be stopped")
	}
	if ip.server = nil; sv.ipv4 == ip {
		sv.ipv4 = nil
	} else {
		sv.ipv6 = nil
	}
	return c.acting(c.s.begin(c.p, c.s.now(), "unassign_primary_ip", c.s.timing.Change, nil, ref("primary_ip", ip.id), ref("server", sv.id)))
}
