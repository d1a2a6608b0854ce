package egress

import (
	"net/netip"
	"testing"
)

func TestAddressesThatAreNoPublicHostsAreForbidden(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("88.99.1.2/26"), netip.MustParsePrefix("2a01:4f8:1:2::1/64"), netip.MustParsePrefix("44.1.1.1/0")}
	for _, addr := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254",
		"168.63.129.16", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.17.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.168.1.1",
		"198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1::808:808", "64:ff9b::88.99.1.2",
		"100::1", "2001::1", "2001:0:53aa:64c:0:1:2:3", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "3fff::1", "5f00::1",
		"fc00::1", "fd00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "4000::1",
		"88.99.1.2", "88.99.1.63", "::ffff:88.99.1.2", "2a01:4f8:1:2::1", "2a01:4f8:1:2:3::4", "44.1.1.1",
	} {
		if forbidden(netip.MustParseAddr(addr), own, false) == "" {
			t.Errorf("%s may be dialled", addr)
		}
	}
	for _, addr := range []string{"8.8.8.8", "1.1.1.1", "151.101.0.223", "88.99.1.64", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "198.17.255.255",
		"::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::6810:1", "2a01:4f8:1:3::1", "2600::1", "44.1.1.2"} {
		if what := forbidden(netip.MustParseAddr(addr), own, false); what != "" {
			t.Errorf("%s is taken for %s", addr, what)
		}
	}
	if forbidden(netip.Addr{}, nil, false) == "" || forbidden(netip.MustParseAddr("2606:4700::1%eth0"), nil, false) == "" {
		t.Error("no address, or one with a zone, may be dialled")
	}
}

func TestAnInternalHostMayBePrivateAndNeverACloudsMetadata(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("88.99.1.2/26")}
	for _, addr := range []string{"10.0.0.5", "192.168.1.1", "127.0.0.1", "::1", "fd00::5", "100.64.0.1", "88.99.1.2", "88.99.1.3", "8.8.8.8"} {
		if what := forbidden(netip.MustParseAddr(addr), own, true); what != "" {
			t.Errorf("%s is taken for %s", addr, what)
		}
	}
	for _, addr := range []string{"169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "168.63.129.16", "0.0.0.0", "::", "224.0.0.1", "fe80::1", "192.0.0.192"} {
		if forbidden(netip.MustParseAddr(addr), own, true) == "" {
			t.Errorf("%s may be dialled", addr)
		}
	}
}

func TestTheNodesOwnAddressesAreFound(t *testing.T) {
	own, err := interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range own {
		if p.Addr() == netip.MustParseAddr("127.0.0.1") {
			return
		}
	}
	t.Errorf("found are %v", own)
}
