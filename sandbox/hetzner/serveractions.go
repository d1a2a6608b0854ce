package hetzner

import (
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// serverActionRoutes are what one can do to a server. A locked one refuses all of
// it.
func serverActionRoutes() []route {
	act := func(verb string, do func(c *call, sv *server) (reply, error)) route {
		return route{"POST /v1/servers/{id}/actions/" + verb, withServer(func(c *call, sv *server) (reply, error) {
			if sv.busy > 0 {
				return reply{}, locked("server")
			}
			return do(c, sv)
		})}
	}
	return []route{
		act("poweron", powerOn),
		act("poweroff", func(c *call, sv *server) (reply, error) { return powerOff(c, sv, "stop_server") }),
		act("shutdown", func(c *call, sv *server) (reply, error) { return powerOff(c, sv, "shutdown_server") }),
		act("reboot", func(c *call, sv *server) (reply, error) { return restart(c, sv, "reboot_server") }),
		act("reset", func(c *call, sv *server) (reply, error) { return restart(c, sv, "reset_server") }),
		act("create_image", createImage),
		act("change_protection", protectServer),
	}
}

func (c *call) acting(a *action) (reply, error) { return created(object{"action": c.s.render(a)}), nil }

// powerOn of a server that is on does nothing, and succeeds.
func powerOn(c *call, sv *server) (reply, error) {
	s := c.s
	if sv.status == running {
		return c.acting(s.act(sv, s.now(), "start_server", s.timing.Change, nil))
	}
	sv.status = starting
	return c.acting(s.act(sv, s.now(), "start_server", s.timing.Start, func(_ time.Time, failed bool) {
		if sv.status = off; !failed {
			sv.status = running
			s.boot(sv)
		}
	}))
}

func powerOff(c *call, sv *server, command string) (reply, error) {
	s := c.s
	if sv.status == off {
		return c.acting(s.act(sv, s.now(), command, s.timing.Change, nil))
	}
	sv.status = stopping
	return c.acting(s.act(sv, s.now(), command, s.timing.Stop, func(_ time.Time, failed bool) {
		if sv.status = running; !failed {
			sv.status = off
			sv.tender.order(halt)
		}
	}))
}

func restart(c *call, sv *server, command string) (reply, error) {
	s := c.s
	return c.acting(s.act(sv, s.now(), command, s.timing.Stop, func(_ time.Time, failed bool) {
		if !failed {
			sv.status = running
			sv.tender.order(halt)
			s.boot(sv)
		}
	}))
}

func protectServer(c *call, sv *server) (reply, error) {
	var ask schema.ServerActionChangeProtectionRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	if ask.Delete != nil && ask.Rebuild != nil && *ask.Delete != *ask.Rebuild {
		return reply{}, invalid("delete", "delete and rebuild must be set to the same value")
	}
	if ask.Delete != nil {
		sv.guarded = *ask.Delete
	}
	return c.acting(c.s.act(sv, c.s.now(), "change_protection", c.s.timing.Change, nil))
}
