package hetzner

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
)

// offersFor is how long prices and types are taken for true. A machine's record keeps the price that it was made at.
const offersFor = time.Hour

// Offers implements cloud.Provider: every type at every location where Hetzner has a price for it.
func (p *Project) Offers(ctx context.Context) ([]cloud.Offer, error) {
	offers, err := p.offers.since(time.Now().Add(-offersFor), func() ([]cloud.Offer, error) { return p.offered(ctx) })
	return slices.Clone(offers), err
}

func (p *Project) offered(ctx context.Context) ([]cloud.Offer, error) {
	types, err := p.client.ServerType.AllWithOpts(ctx, hcloud.ServerTypeListOpts{ListOpts: hcloud.ListOpts{PerPage: 50}})
	if err != nil {
		return nil, explained(err)
	}
	pricing, _, err := p.client.Pricing.Get(ctx)
	if err != nil {
		return nil, explained(err)
	}
	addresses, err := addressPrices(pricing)
	if err != nil {
		return nil, err
	}
	var offers []cloud.Offer
	for _, one := range types {
		for _, price := range one.Pricings {
			offer, sold, err := offerOf(one, price, addresses, pricing.Currency)
			if err != nil {
				return nil, fmt.Errorf("read Hetzner's price of %s in %s: %w", one.Name, price.Location.Name, err)
			}
			if sold {
				offers = append(offers, offer)
			}
		}
	}
	return offers, nil
}

// price is of an hour and of a month, with taxes.
type price struct{ hour, month cloud.Money }

func parsePrice(hour, month string) (p price, err error) {
	if p.hour, err = cloud.ParseMoney(hour); err != nil {
		return p, err
	}
	p.month, err = cloud.ParseMoney(month)
	return p, err
}

// addressPrices are those of an IPv4 address, by location.
func addressPrices(all hcloud.Pricing) (map[string]price, error) {
	found := map[string]price{}
	for _, kind := range all.PrimaryIPs {
		if kind.Type != string(hcloud.PrimaryIPTypeIPv4) {
			continue
		}
		for _, one := range kind.Pricings {
			p, err := parsePrice(one.Hourly.Gross, one.Monthly.Gross)
			if err != nil {
				return nil, fmt.Errorf("read Hetzner's price of an address in %s: %w", one.Location, err)
			}
			found[one.Location] = p
		}
	}
	return found, nil
}

// offerOf is a type at a location. sold is false for one that is not to be had any more.
func offerOf(one *hcloud.ServerType, at hcloud.ServerTypeLocationPricing, addresses map[string]price, currency string) (offer cloud.Offer, sold bool, err error) {
	p, err := parsePrice(at.Hourly.Gross, at.Monthly.Gross)
	if err != nil {
		return offer, false, err
	}
	address := addresses[at.Location.Name]
	offer = cloud.Offer{
		Candidate: cloud.Candidate{Type: one.Name, Location: at.Location.Name}, Architecture: cloud.AMD64,
		CPUs: one.Cores, Memory: int64(float64(one.Memory) * (1 << 30)), Disk: int64(one.Disk) << 30,
		Hour: p.hour + address.hour, Month: p.month + address.month, Currency: currency, Sold: true,
	}
	if one.Architecture == hcloud.ArchitectureARM {
		offer.Architecture = cloud.ARM64
	}
	gone := func(d hcloud.DeprecatableResource) bool {
		return d.IsDeprecated() && time.Now().After(d.UnavailableAfter())
	}
	if gone(one.DeprecatableResource) {
		return offer, false, nil
	}
	for _, l := range one.Locations {
		if l.Location != nil && l.Location.Name == at.Location.Name {
			offer.Sold = l.Available
			return offer, !gone(l.DeprecatableResource), nil
		}
	}
	return offer, true, nil
}

func find(offers []cloud.Offer, c cloud.Candidate) (cloud.Offer, bool) {
	i := slices.IndexFunc(offers, func(o cloud.Offer) bool { return o.Candidate == c })
	if i < 0 {
		return cloud.Offer{}, false
	}
	return offers[i], true
}

// inOrder are the candidates that are offered, those of which there are some left first. What Hetzner says of that may be an
// hour old, so the others are tried too.
func inOrder(candidates []cloud.Candidate, offers []cloud.Offer) []cloud.Offer {
	var first, rest []cloud.Offer
	for _, c := range candidates {
		offer, ok := find(offers, c)
		switch {
		case !ok:
		case offer.Sold:
			first = append(first, offer)
		default:
			rest = append(rest, offer)
		}
	}
	return append(first, rest...)
}
