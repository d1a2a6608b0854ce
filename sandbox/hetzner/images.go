package hetzner

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// image is a system image, an app, or a project's own snapshot, as the API shows
// it.
type image struct{ schema.Image }

func (i *image) listed() listed {
	l := listed{id: i.ID, status: i.Status, labels: i.Labels, more: map[string]string{
		"type": i.Type, "architecture": i.Architecture, "bound_to": "",
	}}
	if i.Name != nil {
		l.name = *i.Name
	}
	if i.Created != nil {
		l.created = *i.Created
	}
	return l
}

// images are those that a project can use. With mu held.
func (s *Server) images(p *project) map[int64]*image {
	all := maps.Clone(p.images)
	for _, in := range s.catalogue.Images {
		made := day(2024, time.April, 25)
		one := schema.Image{
			ID: in.ID, Status: "available", Type: "system", Name: &in.Name, Description: in.Description, DiskSize: float32(in.DiskGB),
			Created: &made, OSFlavor: in.Flavor, Architecture: in.Architecture, RapidDeploy: true, Labels: map[string]string{},
		}
		if in.App {
			one.Type = "app"
		}
		if in.Version != "" {
			one.OSVersion = &in.Version
		}
		if !in.Ended.IsZero() {
			one.Deprecated, one.Deprecation = &in.Ended, deprecation(in.Ended) //nolint:staticcheck // Hetzner still answers it
		}
		all[in.ID] = &image{one}
	}
	return all
}

func (i *image) render() schema.Image { return i.Image }

func imageRoutes() []route {
	own := about(func(p *project) map[int64]*image { return p.images }, "image")
	return []route{
		{"GET /v1/images", func(c *call) (reply, error) {
			all := c.s.images(c.p)
			if old, err := strconv.ParseBool(c.r.URL.Query().Get("include_deprecated")); err != nil || !old {
				maps.DeleteFunc(all, func(_ int64, i *image) bool { return i.Deprecation != nil })
			}
			return list(c, "images", all, (*image).listed, (*image).render, "name", "status", "type", "architecture", "bound_to")
		}},
		{"GET /v1/images/{id}", func(c *call) (reply, error) {
			i, err := one(c, c.s.images(c.p), "image")
			if err != nil {
				return reply{}, err
			}
			return ok(object{"image": i}), nil
		}},
		{"PUT /v1/images/{id}", own(func(c *call, i *image) (reply, error) {
			var ask schema.ImageUpdateRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			if ask.Labels != nil {
				labels, err := checkLabels(ask.Labels)
				if err != nil {
					return reply{}, err // and it keeps those that it has
				}
				i.Labels = labels
			}
			if ask.Description != nil {
				i.Description = *ask.Description
			}
			return ok(object{"image": i}), nil
		})},
		{"DELETE /v1/images/{id}", own(func(c *call, i *image) (reply, error) {
			delete(c.p.images, i.ID)
			return gone(), nil
		})},
	}
}

// imageFor finds the image of a new server, for the architecture of its type.
func (c *call) imageFor(by schema.IDOrName, arch string) (schema.Image, error) {
	other := false
	for _, i := range c.s.images(c.p) {
		if i.ID != by.ID && (by.ID != 0 || by.Name == "" || i.Name == nil || *i.Name != by.Name) {
			continue
		}
		switch {
		case i.Architecture != arch:
			other = true
		case i.Status != "available":
			return schema.Image{}, refuse(http.StatusPreconditionFailed, "resource_unavailable", "image is not available yet")
		default:
			return i.Image, nil
		}
	}
	if other {
		return schema.Image{}, unfit(fmt.Sprintf("image %s is not available for the architecture %s of the server type", orID(by), arch))
	}
	return schema.Image{}, unfit(fmt.Sprintf("image %s not found", orID(by)))
}

// createImage makes a snapshot, which is creating until its action is done.
func createImage(c *call, sv *server) (reply, error) {
	var ask schema.ServerActionCreateImageRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if ask.Type != nil && *ask.Type != "snapshot" && *ask.Type != "" {
		return reply{}, invalid("type", "this stand-in has no backups")
	}
	labels, err := checkLabels(ask.Labels)
	if err != nil {
		return reply{}, err
	}
	s, at := c.s, moment(c.s.now())
	size := float32(sv.typ.DiskGB) / 10
	made := &image{schema.Image{
		ID: s.nextID(), Status: "creating", Type: "snapshot", ImageSize: &size, DiskSize: float32(sv.typ.DiskGB), Created: &at,
		CreatedFrom: &schema.ImageCreatedFrom{ID: sv.id, Name: sv.name}, OSFlavor: sv.image.OSFlavor, OSVersion: sv.image.OSVersion,
		Architecture: sv.image.Architecture, Labels: labels,
	}}
	if ask.Description != nil {
		made.Description = *ask.Description
	}
	c.p.images[made.ID] = made
	a := s.act(sv, s.now(), "create_image", s.timing.CreateSnapshot, func(_ time.Time, failed bool) {
		if made.Status = "available"; failed {
			delete(sv.project.images, made.ID)
		}
	})
	a.resources = append(a.resources, ref("image", made.ID))
	return created(object{"action": s.render(a), "image": made}), nil
}
