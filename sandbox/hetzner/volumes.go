package hetzner

import (
	"fmt"
	"net/http"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// volume is a disk that outlives the server it is attached to. Nothing is stored
// on it.
type volume struct {
	id       int64
	name     string
	size     int // in GB
	server   *server
	location schema.Location
	labels   map[string]string
	created  time.Time
	guarded  bool
	bill     *bill
}

func (v *volume) listed() listed {
	return listed{id: v.id, name: v.name, labels: v.labels, created: v.created, status: "available"}
}

func (v *volume) render() schema.Volume {
	out := schema.Volume{
		ID: v.id, Name: v.name, Status: "available", Location: v.location, Size: v.size, Labels: v.labels, Created: moment(v.created),
		Protection: schema.VolumeProtection{Delete: v.guarded}, LinuxDevice: fmt.Sprintf("/dev/disk/by-id/scsi-0HC_Volume_%d", v.id),
	}
	if v.server != nil {
		id := v.server.id
		out.Server = &id
	}
	return out
}

func volumeRoutes() []route {
	with := about(func(p *project) map[int64]*volume { return p.volumes }, "volume")
	return []route{
		{"GET /v1/volumes", func(c *call) (reply, error) {
			return list(c, "volumes", c.p.volumes, (*volume).listed, (*volume).render, "name", "status")
		}},
		{"POST /v1/volumes", createVolume},
		{"GET /v1/volumes/{id}", with(func(_ *call, v *volume) (reply, error) { return ok(object{"volume": v.render()}), nil })},
		{"PUT /v1/volumes/{id}", with(func(c *call, v *volume) (reply, error) {
			var ask schema.VolumeUpdateRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			if err := rename(c.p.volumes, v, (*volume).listed, &v.name, ask.Name, &v.labels, ask.Labels); err != nil {
				return reply{}, err
			}
			return ok(object{"volume": v.render()}), nil
		})},
		{"DELETE /v1/volumes/{id}", with(func(c *call, v *volume) (reply, error) {
			switch {
			case v.guarded:
				return reply{}, protected("volume")
			case v.server != nil:
				return reply{}, inUse("volume is still attached to a server")
			}
			delete(c.p.volumes, v.id)
			v.bill.end(c.s.now())
			return gone(), nil
		})},
		{"POST /v1/volumes/{id}/actions/attach", with(attachVolume)},
		{"POST /v1/volumes/{id}/actions/detach", with(func(c *call, v *volume) (reply, error) {
			v.server = nil
			return c.acting(c.s.begin(c.p, c.s.now(), "detach_volume", c.s.timing.Change, nil, ref("volume", v.id)))
		})},
		{"POST /v1/volumes/{id}/actions/change_protection", with(func(c *call, v *volume) (reply, error) {
			var ask schema.VolumeActionChangeProtectionRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			v.guarded = ask.Delete != nil && *ask.Delete
			return c.acting(c.s.begin(c.p, c.s.now(), "change_protection", c.s.timing.Change, nil, ref("volume", v.id)))
		})},
	}
}

func createVolume(c *call) (reply, error) {
	var ask schema.VolumeCreateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	labels, err := checkLabels(ask.Labels)
	switch {
	case err != nil:
		return reply{}, err
	case ask.Name == "":
		return reply{}, invalid("name", "is required")
	case ask.Size < 10 || ask.Size > 10_240:
		return reply{}, invalid("size", "must be between 10 and 10240")
	case named(c.p.volumes, (*volume).listed, ask.Name) != nil:
		return reply{}, taken("volume name is already used", "name")
	}
	s := c.s
	v := &volume{name: ask.Name, size: ask.Size, labels: labels, created: s.now()}
	on := []schema.ActionResourceReference{}
	if ask.Server != nil {
		if v.server = c.p.servers[*ask.Server]; v.server == nil {
			return reply{}, notFound("server", *ask.Server)
		}
		v.location = v.server.location
		on = append(on, ref("server", v.server.id))
	} else {
		if ask.Location == nil {
			return reply{}, invalid("location", "either a location or a server is required")
		}
		where := s.location(*ask.Location)
		if where == nil {
			return reply{}, unfit(fmt.Sprintf("location '%s' not found", orID(*ask.Location)))
		}
		v.location = *where
	}
	v.id = s.nextID()
	c.p.volumes[v.id] = v
	// By the hour it is 1/720 of the month, rounded up as prices are.
	monthly := s.catalogue.Volume * Money(v.size)
	v.bill = s.charge(c.p, "volume", v.id, v.name, fmt.Sprintf("%d GB", v.size), v.location.Name, labels, Price{(monthly + 719) / 720, monthly})
	a := s.begin(c.p, s.now(), "create_volume", s.timing.Change, nil, append(on, ref("volume", v.id))...)
	return created(object{"volume": v.render(), "action": s.render(a), "next_actions": s.renderAll()}), nil
}

func attachVolume(c *call, v *volume) (reply, error) {
	var ask schema.VolumeActionAttachVolumeRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	sv := c.p.servers[ask.Server]
	switch {
	case sv == nil:
		return reply{}, notFound("server", ask.Server)
	case v.server != nil:
		return reply{}, refuse(http.StatusUnprocessableEntity, "volume_already_attached", "volume is already attached to a server")
	case v.location.Name != sv.location.Name:
		return reply{}, unfit("volume is in another location than the server")
	case sv.busy > 0:
		return reply{}, locked("server")
	}
	v.server = sv
	return c.acting(c.s.begin(c.p, c.s.now(), "attach_volume", c.s.timing.Change, nil, ref("volume", v.id), ref("server", sv.id)))
}
