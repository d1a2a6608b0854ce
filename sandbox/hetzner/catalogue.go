package hetzner

import (
	"fmt"
	"slices"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// Catalogue is what there is to order.
type Catalogue struct {
	Locations []schema.Location
	Types     []Type
	Images    []SystemImage
	// IPv4 is what a primary IPv4 costs, in any location. IPv6 is free.
	IPv4 Price
	// Volume is the price of a gigabyte for a month, Snapshot likewise.
	Volume, Snapshot Money
}

// Type is a server type.
type Type struct {
	ID           int64
	Name         string
	Category     string // "Cost-Optimized", …
	Cores        int
	MemoryGB     int
	DiskGB       int
	CPU          string // shared or dedicated
	Architecture string // x86 or arm
	Offers       []Offer
}

// Offer is a type in one location.
type Offer struct {
	Location string
	Price    Price
	// Ended is when the type could no longer be ordered here. Zero: it still can.
	Ended time.Time
	// SoldOut is refused with resource_unavailable.
	SoldOut bool
}

// SystemImage is an image or an app of Hetzner's.
type SystemImage struct {
	ID           int64
	Name         string
	Description  string
	App          bool
	Flavor       string
	Version      string
	Architecture string
	DiskGB       int
	// Ended is when it became deprecated. Zero: it is not.
	Ended time.Time
}

func (t Type) offer(location string) *Offer {
	if at := slices.IndexFunc(t.Offers, func(o Offer) bool { return o.Location == location }); at >= 0 {
		return &t.Offers[at]
	}
	return nil
}

// check refuses a catalogue that could not be shown: a type is offered somewhere,
// and where it is offered there is a location.
func (c Catalogue) check() error {
	for _, t := range c.Types {
		if len(t.Offers) == 0 {
			return fmt.Errorf("server type %q of the catalogue is offered nowhere: give it an offer", t.Name)
		}
		for _, o := range t.Offers {
			if !slices.ContainsFunc(c.Locations, func(l schema.Location) bool { return l.Name == o.Location }) {
				return fmt.Errorf("server type %q of the catalogue is offered in %q, which is none of its locations", t.Name, o.Location)
			}
		}
	}
	return nil
}

// SetSoldOut says whether a type can be had in a location just now. It returns
// false when it is not offered there at all.
func (s *Server) SetSoldOut(typ, location string, soldOut bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.typeOf(schema.IDOrName{Name: typ}); t != nil {
		if offer := t.offer(location); offer != nil {
			offer.SoldOut = soldOut
			return true
		}
	}
	return false
}

// RemoveType takes a type out of the catalogue, as Hetzner does with old ones.
// Servers of it stay. It returns false when there is none of that name.
func (s *Server) RemoveType(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.catalogue.Types)
	s.catalogue.Types = slices.DeleteFunc(slices.Clone(s.catalogue.Types), func(t Type) bool { return t.Name == name })
	return len(s.catalogue.Types) < before
}

// typeOf finds a type, or nil. With mu held.
func (s *Server) typeOf(by schema.IDOrName) *Type {
	at := slices.IndexFunc(s.catalogue.Types, func(t Type) bool {
		return (by.ID != 0 && t.ID == by.ID) || (by.ID == 0 && t.Name == by.Name)
	})
	if at < 0 {
		return nil
	}
	return &s.catalogue.Types[at]
}

// location finds a location by its name, or the number of its id. With mu held.
func (s *Server) location(by schema.IDOrName) *schema.Location {
	at := slices.IndexFunc(s.catalogue.Locations, func(l schema.Location) bool {
		return (by.ID != 0 && l.ID == by.ID) || (by.ID == 0 && l.Name == by.Name)
	})
	if at < 0 {
		return nil
	}
	return &s.catalogue.Locations[at]
}

// renderType is a type as the API shows it. With mu held.
func (s *Server) renderType(t *Type) schema.ServerType {
	out := schema.ServerType{
		ID: t.ID, Name: t.Name, Description: t.Name, Category: t.Category, Cores: t.Cores, Memory: float32(t.MemoryGB), Disk: t.DiskGB,
		StorageType: "local", CPUType: t.CPU, Architecture: t.Architecture, Prices: renderPrices(t),
	}
	left := len(t.Offers)
	for _, o := range t.Offers {
		at := s.location(schema.IDOrName{Name: o.Location})
		in := schema.ServerTypeLocation{ID: at.ID, Name: at.Name, Available: !o.SoldOut && o.Ended.IsZero(), Recommended: o.Ended.IsZero()}
		in.Deprecation = deprecation(o.Ended)
		if !o.Ended.IsZero() {
			left--
		}
		out.Locations = append(out.Locations, in)
	}
	if left == 0 && len(t.Offers) > 0 {
		out.Deprecated, out.Deprecation = true, out.Locations[0].Deprecation //nolint:staticcheck // Hetzner still answers it
	}
	return out
}

// deprecation is nil for what is not deprecated. Hetzner announces it months before.
func deprecation(ended time.Time) *schema.DeprecationInfo {
	if ended.IsZero() {
		return nil
	}
	return &schema.DeprecationInfo{Announced: ended.AddDate(0, -3, 0), UnavailableAfter: ended}
}

func renderPrices(t *Type) []schema.PricingServerTypePrice {
	prices := []schema.PricingServerTypePrice{}
	for _, o := range t.Offers {
		prices = append(prices, schema.PricingServerTypePrice{
			Location: o.Location, PriceHourly: o.Price.Hourly.price(), PriceMonthly: o.Price.Monthly.price(),
			IncludedTraffic: 20 << 40, PricePerTBTraffic: Money(10_000).price(),
		})
	}
	return prices
}

func catalogueRoutes() []route {
	return []route{
		{"GET /v1/server_types", func(c *call) (reply, error) {
			return list(c, "server_types", c.s.types(), func(t *Type) listed { return listed{id: t.ID, name: t.Name} }, c.s.renderType, "name")
		}},
		{"GET /v1/server_types/{id}", func(c *call) (reply, error) {
			t, err := one(c, c.s.types(), "server type")
			if err != nil {
				return reply{}, err
			}
			return ok(object{"server_type": c.s.renderType(t)}), nil
		}},
		{"GET /v1/locations", func(c *call) (reply, error) {
			of := func(l *schema.Location) listed { return listed{id: l.ID, name: l.Name} }
			return list(c, "locations", c.s.locations(), of, func(l *schema.Location) schema.Location { return *l }, "name")
		}},
		{"GET /v1/locations/{id}", func(c *call) (reply, error) {
			l, err := one(c, c.s.locations(), "location")
			if err != nil {
				return reply{}, err
			}
			return ok(object{"location": l}), nil
		}},
		{"GET /v1/pricing", func(c *call) (reply, error) { return ok(object{"pricing": c.s.pricing()}), nil }},
		{"GET /v1/datacenters", goneDatacenters},
		{"GET /v1/datacenters/{id}", goneDatacenters},
	}
}

func goneDatacenters(*call) (reply, error) {
	e := refuse(410, "deprecated_api_endpoint", "API functionality was removed")
	e.Details = object{"announcement": "https://docs.hetzner.cloud/changelog#2026-06-02-datacenters-deprecated"}
	return reply{}, e
}

func (s *Server) types() map[int64]*Type {
	all := map[int64]*Type{}
	for i := range s.catalogue.Types {
		all[s.catalogue.Types[i].ID] = &s.catalogue.Types[i]
	}
	return all
}

func (s *Server) locations() map[int64]*schema.Location {
	all := map[int64]*schema.Location{}
	for i := range s.catalogue.Locations {
		all[s.catalogue.Locations[i].ID] = &s.catalogue.Locations[i]
	}
	return all
}

// pricing is GET /pricing. With mu held.
func (s *Server) pricing() schema.Pricing {
	out := schema.Pricing{
		Currency: "EUR", VATRate: "19.000000",
		Image:             schema.PricingImage{PricePerGBMonth: s.catalogue.Snapshot.price()},
		Volume:            schema.PricingVolume{PricePerGBPerMonth: s.catalogue.Volume.price()},
		ServerBackup:      schema.PricingServerBackup{Percentage: "20.0000000000"},
		LoadBalancerTypes: []schema.PricingLoadBalancerType{},
	}
	for i := range s.catalogue.Types {
		t := &s.catalogue.Types[i]
		out.ServerTypes = append(out.ServerTypes, schema.PricingServerType{ID: t.ID, Name: t.Name, Prices: renderPrices(t)})
	}
	for _, kind := range []string{"ipv4", "ipv6"} {
		// Nobody can have a floating address here, but hcloud-go v2.52 makes as much room for the prices of primary ones
		// as there are of floating ones.
		floating := schema.PricingFloatingIPType{Type: kind}
		in, price := schema.PricingPrimaryIP{Type: kind}, s.priceOfIP(kind)
		for _, l := range s.catalogue.Locations {
			in.Prices = append(in.Prices, schema.PricingPrimaryIPTypePrice{
				Location: l.Name, PriceHourly: price.Hourly.price(), PriceMonthly: price.Monthly.price(),
			})
			floating.Prices = append(floating.Prices, schema.PricingFloatingIPTypePrice{Location: l.Name, PriceMonthly: Money(30_000).price()})
		}
		out.FloatingIPs = append(out.FloatingIPs, floating)
		out.PrimaryIPs = append(out.PrimaryIPs, in)
	}
	return out
}

func (s *Server) priceOfIP(kind string) Price {
	if kind == "ipv4" {
		return s.catalogue.IPv4
	}
	return Price{}
}
