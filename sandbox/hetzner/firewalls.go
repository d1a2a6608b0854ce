package hetzner

import (
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// firewall is a set of rules and what they apply to. Nothing is filtered by them:
// a machine of the stand-in has no port that anybody could reach.
type firewall struct {
	id        int64
	project   *project
	name      string
	labels    map[string]string
	created   time.Time
	rules     []schema.FirewallRule
	servers   []int64
	selectors []string
}

func (f *firewall) listed() listed {
	return listed{id: f.id, name: f.name, labels: f.labels, created: f.created}
}

// covers says whether the rules apply to a server, by itself or by its labels.
func (f *firewall) covers(sv *server) bool {
	return slices.Contains(f.servers, sv.id) || slices.ContainsFunc(f.selectors, func(text string) bool {
		picks, err := parseSelector(text)
		return err == nil && picks.match(sv.labels)
	})
}

func (f *firewall) render() schema.Firewall {
	out := schema.Firewall{
		ID: f.id, Name: f.name, Labels: f.labels, Created: moment(f.created), Rules: f.rules, AppliedTo: []schema.FirewallResource{},
	}
	of := func(id int64) schema.FirewallResource {
		return schema.FirewallResource{Type: "server", Server: &schema.FirewallResourceServer{ID: id}}
	}
	for _, id := range f.servers {
		out.AppliedTo = append(out.AppliedTo, of(id))
	}
	for _, text := range f.selectors {
		by := schema.FirewallResource{Type: "label_selector", LabelSelector: &schema.FirewallResourceLabelSelector{Selector: text}}
		picks, err := parseSelector(text)
		for _, id := range slices.Sorted(maps.Keys(f.project.servers)) {
			if err == nil && picks.match(f.project.servers[id].labels) {
				by.AppliedToResources = append(by.AppliedToResources, of(id))
			}
		}
		out.AppliedTo = append(out.AppliedTo, by)
	}
	return out
}

func firewallRoutes() []route {
	with := about(func(p *project) map[int64]*firewall { return p.firewalls }, "firewall")
	return []route{
		{"GET /v1/firewalls", func(c *call) (reply, error) {
			return list(c, "firewalls", c.p.firewalls, (*firewall).listed, (*firewall).render, "name")
		}},
		{"POST /v1/firewalls", createFirewall},
		{"GET /v1/firewalls/{id}", with(func(_ *call, f *firewall) (reply, error) { return ok(object{"firewall": f.render()}), nil })},
		{"PUT /v1/firewalls/{id}", with(func(c *call, f *firewall) (reply, error) {
			var ask schema.FirewallUpdateRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			name := ""
			if ask.Name != nil {
				name = *ask.Name
			}
			if err := rename(c.p.firewalls, f, (*firewall).listed, &f.name, name, &f.labels, ask.Labels); err != nil {
				return reply{}, err
			}
			return ok(object{"firewall": f.render()}), nil
		})},
		{"DELETE /v1/firewalls/{id}", with(func(c *call, f *firewall) (reply, error) {
			if len(f.servers)+len(f.selectors) > 0 {
				return reply{}, inUse("firewall is still in use")
			}
			delete(c.p.firewalls, f.id)
			return gone(), nil
		})},
		{"POST /v1/firewalls/{id}/actions/set_rules", with(func(c *call, f *firewall) (reply, error) {
			var ask schema.FirewallActionSetRulesRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			rules, err := checkRules(ask.Rules)
			if err != nil {
				return reply{}, err
			}
			f.rules = rules
			return c.firewalled(f, "set_firewall_rules")
		})},
		{"POST /v1/firewalls/{id}/actions/apply_to_resources", with(func(c *call, f *firewall) (reply, error) {
			var ask schema.FirewallActionApplyToResourcesRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			if err := f.apply(ask.ApplyTo); err != nil {
				return reply{}, err
			}
			return c.firewalled(f, "apply_firewall")
		})},
		{"POST /v1/firewalls/{id}/actions/remove_from_resources", with(func(c *call, f *firewall) (reply, error) {
			var ask schema.FirewallActionRemoveFromResourcesRequest
			if err := c.read(&ask); err != nil {
				return reply{}, err
			}
			for _, r := range ask.RemoveFrom {
				if r.Server != nil {
					f.servers = slices.DeleteFunc(f.servers, func(id int64) bool { return id == r.Server.ID })
				}
				if r.LabelSelector != nil {
					f.selectors = slices.DeleteFunc(f.selectors, func(text string) bool { return text == r.LabelSelector.Selector })
				}
			}
			return c.firewalled(f, "remove_firewall")
		})},
	}
}

func (c *call) firewalled(f *firewall, command string) (reply, error) {
	a := c.s.begin(c.p, c.s.now(), command, c.s.timing.Change, nil, ref("firewall", f.id))
	return created(object{"actions": c.s.renderAll(a)}), nil
}

func createFirewall(c *call) (reply, error) {
	var ask schema.FirewallCreateRequest
	if err := c.read(&ask); err != nil {
		return reply{}, err
	}
	labels, err := checkLabels(ask.Labels)
	switch {
	case err != nil:
		return reply{}, err
	case ask.Name == "":
		return reply{}, invalid("name", "is required")
	case named(c.p.firewalls, (*firewall).listed, ask.Name) != nil:
		return reply{}, taken("firewall name is already used", "name")
	}
	f := &firewall{project: c.p, name: ask.Name, labels: labels, created: c.s.now()}
	if f.rules, err = checkRules(ask.Rules); err != nil {
		return reply{}, err
	}
	if err := f.apply(ask.ApplyTo); err != nil {
		return reply{}, err
	}
	f.id = c.s.nextID()
	c.p.firewalls[f.id] = f
	a := c.s.begin(c.p, c.s.now(), "set_firewall_rules", c.s.timing.Change, nil, ref("firewall", f.id))
	return created(object{"firewall": f.render(), "actions": c.s.renderAll(a)}), nil
}

// apply adds what the rules are for, all of it or nothing.
func (f *firewall) apply(to []schema.FirewallResource) error {
	servers, selectors := slices.Clone(f.servers), slices.Clone(f.selectors)
	for _, r := range to {
		switch {
		case r.Type == "server" && r.Server != nil:
			if f.project.servers[r.Server.ID] == nil {
				return refuse(http.StatusNotFound, "firewall_resource_not_found", "the server was not found")
			}
			if slices.Contains(servers, r.Server.ID) {
				return refuse(http.StatusConflict, "firewall_already_applied", "firewall was already applied on the server")
			}
			servers = append(servers, r.Server.ID)
		case r.Type == "label_selector" && r.LabelSelector != nil:
			if _, err := parseSelector(r.LabelSelector.Selector); err != nil {
				return invalid("selector", err.Error())
			}
			selectors = append(selectors, r.LabelSelector.Selector)
		default:
			return invalid("apply_to", "must be a server or a label selector")
		}
	}
	f.servers, f.selectors = servers, selectors
	return nil
}

// checkRules refuses rules that Hetzner would not take. No rules at all let nothing
// in.
func checkRules(ask []schema.FirewallRuleRequest) ([]schema.FirewallRule, error) {
	rules := []schema.FirewallRule{}
	for _, r := range ask {
		ported := r.Protocol == "tcp" || r.Protocol == "udp"
		ips := r.SourceIPs
		if r.Direction == "out" {
			ips = r.DestinationIPs
		}
		switch {
		case r.Direction != "in" && r.Direction != "out":
			return nil, invalid("rules", "direction must be in or out")
		case !ported && !slices.Contains([]string{"icmp", "esp", "gre"}, r.Protocol):
			return nil, invalid("rules", "protocol must be one of tcp, udp, icmp, esp, gre")
		case ported != (r.Port != nil && *r.Port != ""):
			return nil, invalid("rules", "port is required for tcp and udp, and for them only")
		case ported && !isPortRange(*r.Port):
			return nil, invalid("rules", "port must be a port, a range such as 1024-5000, or any")
		case len(ips) == 0:
			return nil, invalid("rules", "at least one IP is required")
		}
		for _, text := range ips {
			if prefix, err := netip.ParsePrefix(text); err != nil || prefix != prefix.Masked() {
				return nil, invalid("rules", text+" is not a valid network in CIDR notation")
			}
		}
		rules = append(rules, schema.FirewallRule{
			Direction: r.Direction, SourceIPs: slices.Concat([]string{}, r.SourceIPs), DestinationIPs: slices.Concat([]string{}, r.DestinationIPs),
			Protocol: r.Protocol, Port: r.Port, Description: r.Description,
		})
	}
	return rules, nil
}

// isPortRange knows a port, two with a hyphen between, and the word for all.
func isPortRange(text string) bool {
	first, last, ranged := strings.Cut(text, "-")
	from, err1 := strconv.ParseUint(first, 10, 16)
	to, err2 := from, error(nil)
	if ranged {
		to, err2 = strconv.ParseUint(last, 10, 16)
	}
	return text == "any" || (err1 == nil && err2 == nil && 1 <= from && from <= to)
}
