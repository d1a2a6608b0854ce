package hetzner_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/sandbox/hetzner"
)

func TestTheCatalogueSaysWhatIsWhereForHowMuch(t *testing.T) {
	w := begin(t, hetzner.Options{})
	w.SetSoldOut("cx33", "hel1", true)
	types, err := w.client.ServerType.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*hcloud.ServerType{}
	for _, one := range types {
		byName[one.Name] = one
		if len(one.Pricings) != len(one.Locations) || one.Cores == 0 || one.Memory == 0 || one.Disk == 0 {
			t.Errorf("%s: %+v", one.Name, one)
		}
	}
	cx33, cpx21, cx22 := byName["cx33"], byName["cpx21"], byName["cx22"]
	if cx33.Architecture != hcloud.ArchitectureX86 || byName["cax11"].Architecture != hcloud.ArchitectureARM || cx33.IsDeprecated() {
		t.Errorf("got %+v", cx33)
	}
	for _, in := range cx33.Locations {
		if in.Available == (in.Location.Name == "hel1") {
			t.Errorf("cx33 in %s: available %v", in.Location.Name, in.Available)
		}
	}
	for _, in := range cpx21.Locations {
		if in.IsDeprecated() == (in.Location.Name == "ash" || in.Location.Name == "hil") {
			t.Errorf("cpx21 in %s: deprecated %v", in.Location.Name, in.IsDeprecated())
		}
	}
	if !cx22.IsDeprecated() {
		t.Error("cx22 is deprecated in all locations, and so by itself")
	}
	one, _, err := w.client.ServerType.Get(t.Context(), "cx23")
	if err != nil || one.Pricings[0].Hourly.Net != "0.0048000000" || one.Pricings[0].Hourly.Gross != "0.0057120000" {
		t.Errorf("got %+v, %v", one, err)
	}
	if _, _, err := w.client.ServerType.GetByID(t.Context(), one.ID); err != nil {
		t.Error(err)
	}
	none, _, err := w.client.ServerType.GetByID(t.Context(), 1)
	if none != nil || err != nil {
		t.Errorf("got %+v, %v", none, err)
	}
}

func TestPricesAreThoseOfTheCatalogue(t *testing.T) {
	w := begin(t, hetzner.Options{})
	p, _, err := w.client.Pricing.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if p.Currency != "EUR" || len(p.ServerTypes) != len(hetzner.DefaultCatalogue().Types) || len(p.PrimaryIPs) != 2 {
		t.Fatalf("got %+v", p)
	}
	for _, ip := range p.PrimaryIPs {
		want := map[string]string{"ipv4": "0.0008000000", "ipv6": "0.0000000000"}[ip.Type]
		if len(ip.Pricings) != 6 || ip.Pricings[0].Hourly.Net != want {
			t.Errorf("%s: %+v", ip.Type, ip.Pricings)
		}
	}
}

func TestLocationsAreThereAndDatacentersAreGone(t *testing.T) {
	w := begin(t, hetzner.Options{})
	all, err := w.client.Location.All(t.Context())
	if err != nil || len(all) != 6 {
		t.Fatalf("%d locations, %v", len(all), err)
	}
	one, _, err := w.client.Location.Get(t.Context(), "hel1")
	if err != nil || one.ID != 3 || one.NetworkZone != hcloud.NetworkZoneEUCentral {
		t.Errorf("got %+v, %v", one, err)
	}
	if by, _, err := w.client.Location.GetByID(t.Context(), 3); err != nil || by.Name != "hel1" {
		t.Errorf("got %+v, %v", by, err)
	}
	_, err = w.client.Datacenter.All(t.Context()) //nolint:staticcheck // that it is gone is what is shown
	wantCode(t, err, "deprecated_api_endpoint", http.StatusGone)
	_, err = w.client.Action.All(t.Context()) //nolint:staticcheck // likewise
	wantCode(t, err, "deprecated_api_endpoint", http.StatusGone)
}

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test"

func TestAnSSHKeyIsOnceByNameAndByItself(t *testing.T) {
	w := begin(t, hetzner.Options{})
	api := &w.client.SSHKey
	key, _, err := api.Create(t.Context(), hcloud.SSHKeyCreateOpts{Name: "k", PublicKey: publicKey, Labels: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.Split(key.Fingerprint, ":")) != 16 {
		t.Errorf("fingerprint %s", key.Fingerprint)
	}
	_, _, err = api.Create(t.Context(), hcloud.SSHKeyCreateOpts{Name: "k", PublicKey: publicKey})
	wantCode(t, err, "uniqueness_error", 409)
	_, _, err = api.Create(t.Context(), hcloud.SSHKeyCreateOpts{Name: "l", PublicKey: publicKey})
	if e := refused(t, err, "uniqueness_error", 409); e.Message != "SSH key with the same fingerprint already exists" {
		t.Error(e.Message)
	}
	for _, bad := range []string{"ssh-ed25519", "ssh-ed25519 !", "ssh-rsa " + strings.Fields(publicKey)[1]} {
		_, _, err = api.Create(t.Context(), hcloud.SSHKeyCreateOpts{Name: "m", PublicKey: bad})
		wantCode(t, err, "invalid_input", 422)
	}
	found, _, err := api.GetByFingerprint(t.Context(), key.Fingerprint)
	if err != nil || found == nil || found.ID != key.ID {
		t.Errorf("got %+v, %v", found, err)
	}
	opts := order("keyed")
	opts.SSHKeys = []*hcloud.SSHKey{key}
	made, _, err := w.client.Server.Create(t.Context(), opts)
	if err != nil || made.RootPassword != "" {
		t.Errorf("with a key there is no password: %q, %v", made.RootPassword, err)
	}
	renamed, _, err := api.Update(t.Context(), key, hcloud.SSHKeyUpdateOpts{Name: "n"})
	if err != nil || renamed.Name != "n" || renamed.Labels["a"] != "b" {
		t.Errorf("got %+v, %v", renamed, err)
	}
	if _, err := api.Delete(t.Context(), key); err != nil {
		t.Error(err)
	}
	if left, err := api.All(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

func TestAnAddressIsMovedWhileServersAreOff(t *testing.T) {
	w := begin(t, hetzner.Options{})
	api := &w.client.PrimaryIP
	made, _, err := api.Create(t.Context(), hcloud.PrimaryIPCreateOpts{Name: "ip", Type: "ipv4", Location: "fsn1", Labels: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = api.Create(t.Context(), hcloud.PrimaryIPCreateOpts{Name: "ip", Type: "ipv4", Location: "fsn1"})
	wantCode(t, err, "uniqueness_error", 409)
	opts := order("bare")
	opts.PublicNet = &hcloud.ServerCreatePublicNet{EnableIPv6: true}
	sv := w.create(t, opts)
	if !sv.PublicNet.IPv4.IsUnspecified() {
		t.Fatalf("it has %v", sv.PublicNet.IPv4.IP)
	}
	assign := hcloud.PrimaryIPAssignOpts{ID: made.PrimaryIP.ID, AssigneeID: sv.ID, AssigneeType: "server"}
	_, _, err = api.Assign(t.Context(), assign)
	wantCode(t, err, "server_not_stopped", 422)
	wait := func(a *hcloud.Action, _ *hcloud.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.client.Action.WaitFor(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	wait(w.client.Server.Poweroff(t.Context(), sv))
	wait(api.Assign(t.Context(), assign))
	if got := w.server(t, sv.ID); !got.PublicNet.IPv4.IP.Equal(made.PrimaryIP.IP) {
		t.Errorf("it has %v", got.PublicNet.IPv4.IP)
	}
	_, _, err = api.Assign(t.Context(), assign)
	wantCode(t, err, "primary_ip_already_assigned", 422)
	wait(api.Unassign(t.Context(), made.PrimaryIP.ID))
	_, _, err = api.Unassign(t.Context(), made.PrimaryIP.ID)
	wantCode(t, err, "primary_ip_not_assigned", 422)
	wait(api.ChangeProtection(t.Context(), hcloud.PrimaryIPChangeProtectionOpts{ID: made.PrimaryIP.ID, Delete: true}))
	_, err = api.Delete(t.Context(), made.PrimaryIP)
	wantCode(t, err, "protected", 423)
	wait(api.ChangeProtection(t.Context(), hcloud.PrimaryIPChangeProtectionOpts{ID: made.PrimaryIP.ID}))
	renamed, _, err := api.Update(t.Context(), made.PrimaryIP, hcloud.PrimaryIPUpdateOpts{Name: "other"})
	if err != nil || renamed.Name != "other" {
		t.Errorf("got %+v, %v", renamed, err)
	}
	found, _, err := api.GetByIP(t.Context(), made.PrimaryIP.IP.String())
	if err != nil || found == nil || found.Labels["a"] != "b" {
		t.Errorf("got %+v, %v", found, err)
	}
	if _, err := api.Delete(t.Context(), found); err != nil {
		t.Error(err)
	}
}

func TestAVolumeIsAttachedDetachedAndDeleted(t *testing.T) {
	w := begin(t, hetzner.Options{})
	api := &w.client.Volume
	sv := w.create(t, order("host"))
	made, _, err := api.Create(t.Context(), hcloud.VolumeCreateOpts{Name: "v", Size: 10, Server: sv, Labels: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = api.Create(t.Context(), hcloud.VolumeCreateOpts{Name: "v", Size: 10, Server: sv})
	wantCode(t, err, "uniqueness_error", 409)
	_, _, err = api.Create(t.Context(), hcloud.VolumeCreateOpts{Name: "w", Size: 20_000, Server: sv})
	wantCode(t, err, "invalid_input", 422)
	_, _, err = api.Attach(t.Context(), made.Volume, sv)
	wantCode(t, err, "volume_already_attached", 422)
	detach, _, err := api.Detach(t.Context(), made.Volume)
	if err != nil {
		t.Fatal(err)
	}
	attach, _, err := api.Attach(t.Context(), made.Volume, sv)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Action.WaitFor(t.Context(), made.Action, detach, attach); err != nil {
		t.Fatal(err)
	}
	ours, err := api.AllWithOpts(t.Context(), hcloud.VolumeListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "a=b"}})
	if err != nil || len(ours) != 1 || ours[0].Server.ID != sv.ID {
		t.Fatalf("got %+v, %v", ours, err)
	}
	w.delete(t, sv)
	renamed, _, err := api.Update(t.Context(), ours[0], hcloud.VolumeUpdateOpts{Name: "x"})
	if err != nil || renamed.Name != "x" {
		t.Errorf("got %+v, %v", renamed, err)
	}
	if _, err := api.Delete(t.Context(), ours[0]); err != nil {
		t.Error(err)
	}
	if left, err := api.All(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

func TestAFirewallCoversServersByIDAndByLabel(t *testing.T) {
	w := begin(t, hetzner.Options{})
	api := &w.client.Firewall
	byLabel := hcloud.FirewallResource{
		Type: hcloud.FirewallResourceTypeLabelSelector, LabelSelector: &hcloud.FirewallResourceLabelSelector{Selector: "made-by=test"},
	}
	made, _, err := api.Create(t.Context(), hcloud.FirewallCreateOpts{Name: "closed", ApplyTo: []hcloud.FirewallResource{byLabel}})
	if err != nil {
		t.Fatal(err)
	}
	opts := order("inside")
	plain, _, err := api.Create(t.Context(), hcloud.FirewallCreateOpts{Name: "plain"})
	if err != nil {
		t.Fatal(err)
	}
	opts.Firewalls = []*hcloud.ServerCreateFirewall{{Firewall: *plain.Firewall}}
	sv := w.create(t, opts)
	if len(sv.PublicNet.Firewalls) != 2 {
		t.Errorf("it is behind %+v", sv.PublicNet.Firewalls)
	}
	got, _, err := api.Get(t.Context(), "closed")
	if err != nil || len(got.AppliedTo) != 1 || len(got.AppliedTo[0].AppliedToResources) != 1 || got.AppliedTo[0].AppliedToResources[0].Server.ID != sv.ID {
		t.Fatalf("got %+v, %v", got, err)
	}
	_, err = api.Delete(t.Context(), made.Firewall)
	wantCode(t, err, "resource_in_use", 409)
	byServer := []hcloud.FirewallResource{{Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: sv.ID}}}
	_, _, err = api.ApplyResources(t.Context(), plain.Firewall, byServer)
	wantCode(t, err, "firewall_already_applied", 409)
	wait := func(actions []*hcloud.Action, _ *hcloud.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.client.Action.WaitFor(t.Context(), actions...); err != nil {
			t.Fatal(err)
		}
	}
	wait(api.RemoveResources(t.Context(), plain.Firewall, byServer))
	wait(api.ApplyResources(t.Context(), plain.Firewall, byServer))
	wait(api.RemoveResources(t.Context(), made.Firewall, []hcloud.FirewallResource{byLabel}))
	if _, err := api.Delete(t.Context(), made.Firewall); err != nil {
		t.Error(err)
	}
	w.delete(t, sv)
	if _, err := api.Delete(t.Context(), plain.Firewall); err != nil {
		t.Errorf("a server that is gone uses no firewall: %v", err)
	}
}

func TestFirewallRulesAreChecked(t *testing.T) {
	w := begin(t, hetzner.Options{})
	api := &w.client.Firewall
	network := func(text string) net.IPNet {
		_, n, err := net.ParseCIDR(text)
		if err != nil {
			t.Fatal(err)
		}
		return *n
	}
	everyone := []net.IPNet{network("0.0.0.0/0"), network("::/0")}
	ssh, empty, high, back, word := "22", "", "65536", "90-80", "ssh"
	made, _, err := api.Create(t.Context(), hcloud.FirewallCreateOpts{Name: "ssh", Rules: []hcloud.FirewallRule{
		{Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolTCP, Port: &ssh, SourceIPs: everyone},
		{Direction: hcloud.FirewallRuleDirectionOut, Protocol: hcloud.FirewallRuleProtocolICMP, DestinationIPs: everyone},
	}})
	if err != nil || len(made.Firewall.Rules) != 2 {
		t.Fatalf("got %+v, %v", made, err)
	}
	for _, port := range []string{"1024-5000", "any", "65535"} {
		_, _, err := api.SetRules(t.Context(), made.Firewall, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{
			{Direction: "in", Protocol: "tcp", Port: &port, SourceIPs: everyone},
		}})
		if err != nil {
			t.Errorf("port %s: %v", port, err)
		}
	}
	actions, _, err := api.SetRules(t.Context(), made.Firewall, hcloud.FirewallSetRulesOpts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Action.WaitFor(t.Context(), actions...); err != nil {
		t.Fatal(err)
	}
	renamed, _, err := api.Update(t.Context(), made.Firewall, hcloud.FirewallUpdateOpts{Name: "none"})
	if err != nil || renamed.Name != "none" || len(renamed.Rules) != 0 {
		t.Errorf("got %+v, %v", renamed, err)
	}
	for what, rule := range map[string]hcloud.FirewallRule{
		"no direction": {Protocol: "tcp", Port: &ssh, SourceIPs: everyone},
		"no protocol":  {Direction: "in", SourceIPs: everyone},
		"no port":      {Direction: "in", Protocol: "tcp", SourceIPs: everyone},
		"empty port":   {Direction: "in", Protocol: "udp", Port: &empty, SourceIPs: everyone},
		"high port":    {Direction: "in", Protocol: "tcp", Port: &high, SourceIPs: everyone},
		"range back":   {Direction: "in", Protocol: "tcp", Port: &back, SourceIPs: everyone},
		"port by name": {Direction: "in", Protocol: "tcp", Port: &word, SourceIPs: everyone},
		"odd port":     {Direction: "in", Protocol: "icmp", Port: &ssh, SourceIPs: everyone},
		"no source":    {Direction: "in", Protocol: "tcp", Port: &ssh},
	} {
		_, _, err := api.SetRules(t.Context(), made.Firewall, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{rule}})
		if err == nil {
			t.Errorf("%s was taken", what)
			continue
		}
		wantCode(t, err, "invalid_input", 422)
	}
}

// raw makes a call that the client would not make.
func (w *world) raw(t *testing.T, method, path, token, body string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, readAll(t, res)
}
