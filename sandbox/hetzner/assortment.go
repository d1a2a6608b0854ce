package hetzner

import (
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud/schema"
)

// DefaultCatalogue is what Hetzner offered in 2026, as far as a stand-in needs it.
// Names, ids and where there is what are Hetzner's; the prices are near to theirs,
// and change with them in no way: nothing may depend on their being these.
func DefaultCatalogue() Catalogue {
	return Catalogue{
		Locations: []schema.Location{
			{ID: 1, Name: "fsn1", Description: "Falkenstein DC Park 1", Country: "DE", City: "Falkenstein", Latitude: 50.47612, Longitude: 12.370071, NetworkZone: "eu-central"},
			{ID: 2, Name: "nbg1", Description: "Nuremberg DC Park 1", Country: "DE", City: "Nuremberg", Latitude: 49.452102, Longitude: 11.076665, NetworkZone: "eu-central"},
			{ID: 3, Name: "hel1", Description: "Helsinki DC Park 1", Country: "FI", City: "Helsinki", Latitude: 60.169855, Longitude: 24.938379, NetworkZone: "eu-central"},
			{ID: 4, Name: "ash", Description: "Ashburn, VA", Country: "US", City: "Ashburn, VA", Latitude: 39.045821, Longitude: -77.487073, NetworkZone: "us-east"},
			{ID: 5, Name: "hil", Description: "Hillsboro, OR", Country: "US", City: "Hillsboro, OR", Latitude: 45.54222, Longitude: -122.951924, NetworkZone: "us-west"},
			{ID: 6, Name: "sin", Description: "Singapore", Country: "SG", City: "Singapore", Latitude: 1.283333, Longitude: 103.833333, NetworkZone: "ap-southeast"},
		},
		Types: append(sharedTypes(), dedicatedTypes()...),
		Images: []SystemImage{
			{ID: 161547269, Name: "ubuntu-24.04", Description: "Ubuntu 24.04", Flavor: "ubuntu", Version: "24.04", Architecture: "x86", DiskGB: 5},
			{ID: 161547270, Name: "ubuntu-24.04", Description: "Ubuntu 24.04", Flavor: "ubuntu", Version: "24.04", Architecture: "arm", DiskGB: 5},
			{ID: 114690387, Name: "debian-12", Description: "Debian 12", Flavor: "debian", Version: "12", Architecture: "x86", DiskGB: 5},
			{ID: 114690389, Name: "debian-12", Description: "Debian 12", Flavor: "debian", Version: "12", Architecture: "arm", DiskGB: 5},
			{ID: 40093247, Name: "docker-ce", Description: "Docker CE", App: true, Flavor: "ubuntu", Architecture: "x86", DiskGB: 40},
			{ID: 105888141, Name: "docker-ce", Description: "Docker CE", App: true, Flavor: "ubuntu", Architecture: "arm", DiskGB: 40},
			{ID: 45557056, Name: "debian-11", Description: "Debian 11", Flavor: "debian", Version: "11", Architecture: "x86", DiskGB: 5, Ended: day(2026, 8, 31)},
		},
		IPv4: Price{Hourly: 8, Monthly: 5_000}, Volume: 440, Snapshot: 110,
	}
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

// offers is a type in locations at one price.
func offers(price Price, locations ...string) []Offer {
	var all []Offer
	for _, l := range locations {
		all = append(all, Offer{Location: l, Price: price})
	}
	return all
}

// ended offers it where it can no longer be ordered.
func ended(price Price, since time.Time, locations ...string) []Offer {
	all := offers(price, locations...)
	for i := range all {
		all[i].Ended = since
	}
	return all
}

func sharedTypes() []Type {
	eu := []string{"fsn1", "nbg1", "hel1"}
	shared := func(id int64, name, category, arch string, cores, memory, disk int, all ...Offer) Type {
		return Type{id, name, category, cores, memory, disk, "shared", arch, all}
	}
	lean := func(id int64, name, arch string, cores, memory, disk int, price Price) Type {
		return shared(id, name, "Cost-Optimized", arch, cores, memory, disk, offers(price, eu...)...)
	}
	return []Type{
		lean(114, "cx23", "x86", 2, 4, 40, Price{48, 29_900}),
		lean(115, "cx33", "x86", 4, 8, 80, Price{80, 49_900}),
		lean(116, "cx43", "x86", 8, 16, 160, Price{144, 89_900}),
		lean(117, "cx53", "x86", 16, 32, 320, Price{272, 169_900}),
		lean(45, "cax11", "arm", 2, 4, 40, Price{53, 32_900}),
		lean(93, "cax21", "arm", 4, 8, 80, Price{96, 59_900}),
		lean(94, "cax31", "arm", 8, 16, 160, Price{192, 119_900}),
		shared(109, "cpx22", "Regular Performance", "x86", 2, 4, 80, append(
			offers(Price{96, 59_900}, eu...), offers(Price{128, 79_900}, "sin")...)...),
		shared(110, "cpx32", "Regular Performance", "x86", 4, 8, 160, append(
			offers(Price{168, 104_900}, eu...), offers(Price{224, 139_900}, "sin")...)...),
		shared(23, "cpx21", "Regular Performance", "x86", 3, 4, 80, append(
			offers(Price{144, 89_900}, "ash", "hil"), ended(Price{113, 70_500}, day(2026, 1, 1), eu...)...)...),
		shared(24, "cpx31", "Regular Performance", "x86", 4, 8, 160, append(
			offers(Price{256, 159_900}, "ash", "hil"), ended(Price{210, 131_000}, day(2026, 1, 1), eu...)...)...),
		shared(104, "cx22", "Cost-Optimized", "x86", 2, 4, 40, ended(Price{61, 37_900}, day(2026, 1, 1), eu...)...),
	}
}

func dedicatedTypes() []Type {
	places := []string{"fsn1", "nbg1", "hel1", "ash", "hil", "sin"}
	return []Type{
		{96, "ccx13", "General Purpose", 2, 8, 80, "dedicated", "x86", offers(Price{192, 119_900}, places...)},
		{97, "ccx23", "General Purpose", 4, 16, 160, "dedicated", "x86", offers(Price{384, 239_900}, places...)},
		{98, "ccx33", "General Purpose", 8, 32, 240, "dedicated", "x86", offers(Price{768, 479_900}, places...)},
	}
}
