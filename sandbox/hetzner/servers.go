package hetzner

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// The states of a server.
const (
	initializing = "initializing"
	off          = "off"
	starting     = "starting"
	running      = "running"
	stopping     = "stopping"
	deleting     = "deleting"
)

// server is a virtual machine as the API knows it.
type server struct {
	id       int64
	project  *project
	name     string
	created  time.Time
	status   string
	typ      Type
	location schema.Location
	image    schema.Image
	labels   map[string]string
	userData string
	ipv4     *primaryIP // nil: none
	ipv6     *primaryIP
	guarded  bool // its deletion is protected
	busy     int  // actions that lock it
	bill     *bill
	tender   *tender // of its machine; nil: none ever boots
}

func (sv *server) listed() listed {
	return listed{id: sv.id, name: sv.name, labels: sv.labels, created: sv.created, status: sv.status}
}

// act begins an action that locks the server until it is done. With mu held.
func (s *Server) act(sv *server, at time.Time, command string, takes time.Duration, done func(at time.Time, failed bool)) *action {
	sv.busy++
	return s.begin(sv.project, at, command, takes, func(at time.Time, failed bool) {
		sv.busy--
		if done != nil {
			done(at, failed)
		}
	}, ref("server", sv.id))
}

// withServer makes handlers of calls about one server.
func withServer(do func(*call, *server) (reply, error)) func(*call) (reply, error) {
	return about(func(p *project) map[int64]*server { return p.servers }, "server")(do)
}

func serverRoutes() []route {
	return append([]route{
		{"GET /v1/servers", func(c *call) (reply, error) {
			return list(c, "servers", c.p.servers, (*server).listed, c.s.renderServer, "name", "status")
		}},
		{"POST /v1/servers", createServer},
		{"GET /v1/servers/{id}", withServer(func(c *call, sv *server) (reply, error) {
			return ok(object{"server": c.s.renderServer(sv)}), nil
		})},
		{"PUT /v1/servers/{id}", withServer(updateServer)},
		{"DELETE /v1/servers/{id}", withServer(deleteServer)},
	}, serverActionRoutes()...)
}

// renderServer is a server as the API shows it. With mu held.
func (s *Server) renderServer(sv *server) schema.Server {
	out := schema.Server{
		ID: sv.id, Name: sv.name, Status: sv.status, Created: moment(sv.created), PrivateNet: []schema.ServerPrivateNet{},
		ServerType: s.renderType(&sv.typ), IncludedTraffic: 20 << 40, Locked: sv.busy > 0, Location: sv.location, Image: &sv.image,
		Protection: schema.ServerProtection{Delete: sv.guarded, Rebuild: sv.guarded}, Labels: sv.labels, Volumes: []int64{},
		PrimaryDiskSize: sv.typ.DiskGB, LoadBalancers: []int64{},
	}
	out.PublicNet.FloatingIPs = []int64{}
	out.PublicNet.Firewalls = []schema.ServerFirewall{}
	if sv.ipv4 != nil {
		out.PublicNet.IPv4 = schema.ServerPublicNetIPv4{ID: sv.ipv4.id, IP: sv.ipv4.ip, DNSPtr: "static." + sv.ipv4.ip + ".clients.your-server.de"}
	}
	if sv.ipv6 != nil {
		out.PublicNet.IPv6 = schema.ServerPublicNetIPv6{ID: sv.ipv6.id, IP: sv.ipv6.ip, DNSPtr: []schema.ServerPublicNetIPv6DNSPtr{}}
	}
	for _, id := range slices.Sorted(maps.Keys(sv.project.volumes)) {
		if sv.project.volumes[id].server == sv {
			out.Volumes = append(out.Volumes, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(sv.project.firewalls)) {
		if sv.project.firewalls[id].covers(sv) {
			out.PublicNet.Firewalls = append(out.PublicNet.Firewalls, schema.ServerFirewall{ID: id, Status: "applied"})
		}
	}
	return out
}

func updateServer(c *call, sv *server) (reply, error) {
	var ask schema.ServerUpdateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if ask.Name != "" && ask.Name != sv.name {
		if err := checkServerName(ask.Name); err != nil {
			return reply{}, err
		}
		if named(c.p.servers, (*server).listed, ask.Name) != nil {
			return reply{}, taken("server name is already used", "name")
		}
	}
	if ask.Labels != nil {
		labels, err := checkLabels(ask.Labels)
		if err != nil {
			return reply{}, err // and it keeps those that it has
		}
		sv.labels = labels
	}
	if ask.Name != "" {
		sv.name = ask.Name
	}
	return ok(object{"server": c.s.renderServer(sv)}), nil
}

// named finds what has a name, or nil.
func named[T any](all map[int64]*T, of func(*T) listed, name string) *T {
	for _, one := range all {
		if of(one).name == name {
			return one
		}
	}
	return nil
}

func deleteServer(c *call, sv *server) (reply, error) {
	switch {
	case sv.guarded:
		return reply{}, protected("server")
	case sv.busy > 0:
		return reply{}, locked("server")
	}
	s, before := c.s, sv.status
	sv.status = deleting
	a := s.act(sv, s.now(), "delete_server", s.timing.Delete, func(at time.Time, failed bool) {
		if sv.status = before; !failed {
			s.removed(sv, at)
		}
	})
	if !a.doomed {
		sv.tender.order(destroy)
		a.hold = sv.tender.there
	}
	return ok(object{"action": s.render(a)}), nil
}

// removed takes a server away, with what is its own. Volumes outlive it, and so do
// addresses that were made to. With mu held.
func (s *Server) removed(sv *server, at time.Time) {
	delete(sv.project.servers, sv.id)
	for _, v := range sv.project.volumes {
		if v.server == sv {
			v.server = nil
		}
	}
	for _, ip := range []*primaryIP{sv.ipv4, sv.ipv6} {
		if ip == nil {
			continue
		}
		if ip.server = nil; ip.autoDelete {
			delete(sv.project.ips, ip.id)
			ip.bill.end(at)
		}
	}
	for _, f := range sv.project.firewalls {
		f.servers = slices.DeleteFunc(f.servers, func(id int64) bool { return id == sv.id })
	}
	sv.bill.end(at)
	s.remember(sv, at)
}

func idName(id int64) string { return strconv.FormatInt(id, 10) }
