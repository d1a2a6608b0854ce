package hetzner_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/sandbox/hetzner"
)

func TestAServerIsInitializingThenOffThenStartingThenRunning(t *testing.T) {
	clock := newClock()
	w := begin(t, hetzner.Options{Now: clock.now, Timing: hetzner.Measured()})
	made, _, err := w.client.Server.Create(t.Context(), order("first"))
	if err != nil {
		t.Fatal(err)
	}
	if made.RootPassword == "" || made.Action.Command != "create_server" || len(made.NextActions) != 1 || made.NextActions[0].Command != "start_server" {
		t.Fatalf("got %+v", made)
	}
	see := func(want hcloud.ServerStatus, locked bool, progress int) {
		t.Helper()
		sv := w.server(t, made.Server.ID)
		a, _, err := w.client.Action.GetByID(t.Context(), made.Action.ID)
		if err != nil {
			t.Fatal(err)
		}
		if sv.Status != want || sv.Locked != locked || a.Progress != progress {
			t.Errorf("status %s, locked %v, progress %d; want %s, %v, %d", sv.Status, sv.Locked, a.Progress, want, locked, progress)
		}
	}
	see(hcloud.ServerStatusInitializing, true, 0)
	clock.pass(4500 * time.Millisecond)
	see(hcloud.ServerStatusInitializing, true, 50)
	clock.pass(4500 * time.Millisecond)
	see(hcloud.ServerStatusStarting, true, 100)
	clock.pass(2 * time.Second)
	see(hcloud.ServerStatusRunning, false, 100)
	sv := w.server(t, made.Server.ID)
	if sv.ServerType.Name != "cx23" || sv.Location.Name != "fsn1" || sv.Image.Name != "docker-ce" || sv.Image.Type != hcloud.ImageTypeApp ||
		sv.PublicNet.IPv4.IP == nil || sv.PublicNet.IPv6.IP == nil || sv.Labels["made-by"] != "test" {
		t.Errorf("got %+v", sv)
	}
}

func TestAServerThatIsNotToStartStaysOff(t *testing.T) {
	w := begin(t, hetzner.Options{})
	opts := order("later")
	no := false
	opts.StartAfterCreate = &no
	sv := w.create(t, opts)
	if sv.Status != hcloud.ServerStatusOff {
		t.Fatalf("status %s", sv.Status)
	}
	act := func(do func() (*hcloud.Action, *hcloud.Response, error), want hcloud.ServerStatus) {
		t.Helper()
		a, _, err := do()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.client.Action.WaitFor(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := w.server(t, sv.ID).Status; got != want {
			t.Errorf("%s: status %s, want %s", a.Command, got, want)
		}
	}
	api := &w.client.Server
	act(func() (*hcloud.Action, *hcloud.Response, error) { return api.Poweron(t.Context(), sv) }, hcloud.ServerStatusRunning)
	act(func() (*hcloud.Action, *hcloud.Response, error) { return api.Poweron(t.Context(), sv) }, hcloud.ServerStatusRunning)
	act(func() (*hcloud.Action, *hcloud.Response, error) { return api.Reboot(t.Context(), sv) }, hcloud.ServerStatusRunning)
	act(func() (*hcloud.Action, *hcloud.Response, error) { return api.Reset(t.Context(), sv) }, hcloud.ServerStatusRunning)
	act(func() (*hcloud.Action, *hcloud.Response, error) { return api.Shutdown(t.Context(), sv) }, hcloud.ServerStatusOff)
	act(func() (*hcloud.Action, *hcloud.Response, error) { return api.Poweroff(t.Context(), sv) }, hcloud.ServerStatusOff)

	all, err := api.Action.AllFor(t.Context(), sv, hcloud.ActionListOpts{Sort: []string{"id"}})
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for _, a := range all {
		commands = append(commands, a.Command)
	}
	want := "create_server start_server start_server reboot_server reset_server shutdown_server stop_server"
	if strings.Join(commands, " ") != want {
		t.Errorf("actions %v, want %s", commands, want)
	}
	one, _, err := api.Action.GetByID(t.Context(), all[0].ID)
	if err != nil || one.Command != "create_server" || one.Status != hcloud.ActionStatusSuccess || one.Finished.IsZero() {
		t.Errorf("got %+v, %v", one, err)
	}
}

func TestAServerThatIsBusyIsLocked(t *testing.T) {
	clock := newClock()
	w := begin(t, hetzner.Options{Now: clock.now})
	made, _, err := w.client.Server.Create(t.Context(), order("busy"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.client.Server.DeleteWithResult(t.Context(), made.Server)
	wantCode(t, err, "locked", http.StatusLocked)
	_, _, err = w.client.Server.Poweroff(t.Context(), made.Server)
	wantCode(t, err, "locked", http.StatusLocked)
}

func TestADeletedServerTakesItsOwnAddressesAndLeavesTheRest(t *testing.T) {
	w := begin(t, hetzner.Options{})
	own, _, err := w.client.PrimaryIP.Create(t.Context(), hcloud.PrimaryIPCreateOpts{Name: "kept", Type: "ipv4", Location: "fsn1"})
	if err != nil {
		t.Fatal(err)
	}
	disk, _, err := w.client.Volume.Create(t.Context(), hcloud.VolumeCreateOpts{Name: "disk", Size: 10, Location: &hcloud.Location{Name: "fsn1"}})
	if err != nil {
		t.Fatal(err)
	}
	opts := order("gone")
	opts.PublicNet = &hcloud.ServerCreatePublicNet{EnableIPv4: true, EnableIPv6: true, IPv4: own.PrimaryIP}
	opts.Volumes = []*hcloud.Volume{disk.Volume}
	sv := w.create(t, opts)
	if !sv.PublicNet.IPv4.IP.Equal(own.PrimaryIP.IP) || len(sv.Volumes) != 1 {
		t.Fatalf("it has %v and %v", sv.PublicNet.IPv4.IP, sv.Volumes)
	}
	_, err = w.client.PrimaryIP.Delete(t.Context(), own.PrimaryIP)
	wantCode(t, err, "resource_in_use", http.StatusConflict)
	_, err = w.client.Volume.Delete(t.Context(), disk.Volume)
	wantCode(t, err, "resource_in_use", http.StatusConflict)
	w.delete(t, sv)
	if w.server(t, sv.ID) != nil {
		t.Error("it is still there")
	}
	ips, err := w.client.PrimaryIP.All(t.Context())
	if err != nil || len(ips) != 1 || ips[0].ID != own.PrimaryIP.ID || ips[0].AssigneeID != 0 {
		t.Errorf("addresses left: %+v, %v", ips, err)
	}
	disks, err := w.client.Volume.All(t.Context())
	if err != nil || len(disks) != 1 || disks[0].Server != nil {
		t.Errorf("volumes left: %+v, %v", disks, err)
	}
}

func TestAServerWithProtectionIsNotDeleted(t *testing.T) {
	w := begin(t, hetzner.Options{})
	sv := w.create(t, order("dear"))
	yes := true
	a, _, err := w.client.Server.ChangeProtection(t.Context(), sv, hcloud.ServerChangeProtectionOpts{Delete: &yes, Rebuild: &yes})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Action.WaitFor(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	_, _, err = w.client.Server.DeleteWithResult(t.Context(), sv)
	wantCode(t, err, "protected", http.StatusLocked)
}

func TestAnImpossibleServerIsRefusedInHetznersWords(t *testing.T) {
	w := begin(t, hetzner.Options{})
	w.create(t, order("taken"))
	if !w.SetSoldOut("cx33", "hel1", true) || w.SetSoldOut("cx33", "ash", true) || w.SetSoldOut("zx81", "fsn1", true) {
		t.Fatal("the stock is of what is offered")
	}
	if !w.RemoveType("cx53") || w.RemoveType("cx53") {
		t.Fatal("a type can be removed once")
	}
	change := func(do func(*hcloud.ServerCreateOpts)) hcloud.ServerCreateOpts {
		opts := order("wanted")
		do(&opts)
		return opts
	}
	typ := func(name string) func(*hcloud.ServerCreateOpts) {
		return func(o *hcloud.ServerCreateOpts) { o.ServerType = &hcloud.ServerType{Name: name} }
	}
	for what, of := range map[string]struct {
		opts    hcloud.ServerCreateOpts
		code    string
		status  int
		message string
	}{
		"the name is taken":     {order("taken"), "uniqueness_error", 409, "server name is already used"},
		"the name is no name":   {order("under_score"), "invalid_input", 422, "hostname"},
		"a type that is gone":   {change(typ("cx53")), "invalid_input", 422, "server type cx53 not found"},
		"a type that is ending": {change(typ("cx22")), "invalid_input", 422, "server type 104 is deprecated"},
		"a type of elsewhere": {change(func(o *hcloud.ServerCreateOpts) { o.Location = &hcloud.Location{Name: "ash"} }),
			"invalid_input", 422, "unsupported location for server type"},
		"a type that is sold out": {change(func(o *hcloud.ServerCreateOpts) {
			o.ServerType, o.Location = &hcloud.ServerType{Name: "cx33"}, &hcloud.Location{Name: "hel1"}
		}), "resource_unavailable", 412, "error during placement"},
		"a location that is none": {change(func(o *hcloud.ServerCreateOpts) { o.Location = &hcloud.Location{Name: "mars1"} }),
			"invalid_input", 422, "location 'mars1' not found"},
		"an image that is none": {change(func(o *hcloud.ServerCreateOpts) { o.Image = &hcloud.Image{Name: "plan9"} }),
			"invalid_input", 422, "image plan9 not found"},
		"an image of another architecture": {change(func(o *hcloud.ServerCreateOpts) {
			o.ServerType, o.Image = &hcloud.ServerType{Name: "cax11"}, &hcloud.Image{ID: 40093247}
		}), "invalid_input", 422, "architecture"},
		"too much user data": {change(func(o *hcloud.ServerCreateOpts) { o.UserData = strings.Repeat("#", 32<<10+1) }),
			"invalid_input", 422, "user_data"},
		"a label that is none": {change(func(o *hcloud.ServerCreateOpts) { o.Labels = map[string]string{"repo": "harbour/quayside"} }),
			"invalid_input", 422, "label value"},
		"a label of Hetzner's": {change(func(o *hcloud.ServerCreateOpts) { o.Labels = map[string]string{"hetzner.cloud/x": "y"} }),
			"invalid_input", 422, "reserved prefix"},
		"a firewall that is none": {change(func(o *hcloud.ServerCreateOpts) {
			o.Firewalls = []*hcloud.ServerCreateFirewall{{Firewall: hcloud.Firewall{ID: 7}}}
		}), "not_found", 404, "firewall"},
		"a key that is none": {change(func(o *hcloud.ServerCreateOpts) { o.SSHKeys = []*hcloud.SSHKey{{ID: 7}} }), "not_found", 404, "SSH key"},
		"a volume that is none": {change(func(o *hcloud.ServerCreateOpts) { o.Volumes = []*hcloud.Volume{{ID: 7}} }),
			"not_found", 404, "volume"},
	} {
		t.Run(what, func(t *testing.T) {
			_, _, err := w.client.Server.Create(t.Context(), of.opts)
			if e := refused(t, err, of.code, of.status); !strings.Contains(e.Message, of.message) {
				t.Errorf("it says %q, want %q", e.Message, of.message)
			}
		})
	}
	if all, err := w.client.Server.All(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("there are %d servers, %v", len(all), err)
	}
}

func TestServersAreFoundByNameStatusAndLabelsPageByPage(t *testing.T) {
	w := begin(t, hetzner.Options{Limits: hetzner.Limits{Servers: 100, PrimaryIPs: 300}})
	for i := range 60 {
		opts := order(fmt.Sprintf("node-%02d", i))
		opts.Labels = map[string]string{"kind": []string{"odd", "even"}[(i+1)%2], "n": fmt.Sprint(i)}
		if _, _, err := w.client.Server.Create(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
	}
	page, res, err := w.client.Server.List(t.Context(), hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{PerPage: 1000, Page: 2}})
	if err != nil {
		t.Fatal(err)
	}
	if p := res.Meta.Pagination; len(page) != 10 || p.PerPage != 50 || p.TotalEntries != 60 || p.LastPage != 2 || p.NextPage != 0 || p.PreviousPage != 1 {
		t.Errorf("%d on page %+v", len(page), p)
	}
	if link := strings.Join(res.Header.Values("Link"), ", "); !strings.Contains(link, `rel="prev"`) || strings.Contains(link, `rel="next"`) {
		t.Errorf("Link: %s", link)
	}
	count := func(want int, opts hcloud.ServerListOpts) {
		t.Helper()
		all, err := w.client.Server.AllWithOpts(t.Context(), opts)
		if err != nil || len(all) != want {
			t.Errorf("%+v found %d, %v; want %d", opts, len(all), err, want)
		}
	}
	count(60, hcloud.ServerListOpts{})
	count(30, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "kind=even"}})
	count(2, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "n in (3,4),kind"}})
	count(1, hcloud.ServerListOpts{Name: "node-07"})
	count(0, hcloud.ServerListOpts{Name: "node-7"})
	last, _, err := w.client.Server.List(t.Context(), hcloud.ServerListOpts{Sort: []string{"name:desc"}})
	if err != nil || len(last) != 25 || last[0].Name != "node-59" {
		t.Errorf("sorted: %d, %v", len(last), err)
	}
	_, _, err = w.client.Server.List(t.Context(), hcloud.ServerListOpts{Sort: []string{"colour"}})
	wantCode(t, err, "invalid_input", 422)
}

func TestAServerIsRenamedAndLabelledAnew(t *testing.T) {
	w := begin(t, hetzner.Options{})
	one, two := w.create(t, order("one")), w.create(t, order("two"))
	_, _, err := w.client.Server.Update(t.Context(), two, hcloud.ServerUpdateOpts{Name: "one"})
	wantCode(t, err, "uniqueness_error", 409)
	got, _, err := w.client.Server.Update(t.Context(), one, hcloud.ServerUpdateOpts{Name: "uno", Labels: map[string]string{"a": ""}})
	if err != nil || got.Name != "uno" || len(got.Labels) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLabelsThatAreRefusedLeaveThoseThatAreThere(t *testing.T) {
	w := begin(t, hetzner.Options{})
	sv, bad := w.create(t, order("kept")), map[string]string{"repo": "harbour/quayside"}
	_, _, err := w.client.Server.Update(t.Context(), sv, hcloud.ServerUpdateOpts{Labels: bad})
	wantCode(t, err, "invalid_input", 422)
	if got := w.server(t, sv.ID); got.Labels["made-by"] != "test" {
		t.Errorf("the server's labels are %v", got.Labels)
	}
	made, _, err := w.client.Server.CreateImage(t.Context(), sv, &hcloud.ServerCreateImageOpts{Labels: map[string]string{"kept": "yes"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.client.Image.Update(t.Context(), made.Image, hcloud.ImageUpdateOpts{Labels: bad})
	wantCode(t, err, "invalid_input", 422)
	got, _, err := w.client.Image.GetByID(t.Context(), made.Image.ID)
	if err != nil || got.Labels["kept"] != "yes" {
		t.Errorf("the snapshot is %+v, %v", got, err)
	}
}

func TestWhatAServerIsToHaveIsLookedForBeforeAPlaceIs(t *testing.T) {
	w := begin(t, hetzner.Options{Limits: hetzner.Limits{Servers: -1}})
	w.SetSoldOut("cx23", "fsn1", true)
	opts := order("wanted")
	opts.SSHKeys = []*hcloud.SSHKey{{ID: 7}}
	_, _, err := w.client.Server.Create(t.Context(), opts)
	wantCode(t, err, "not_found", 404)
	_, _, err = w.client.Server.Create(t.Context(), order("wanted"))
	wantCode(t, err, "resource_limit_exceeded", 403)
}

func TestProjectsDoNotSeeEachOther(t *testing.T) {
	w := begin(t, hetzner.Options{})
	sv := w.create(t, order("mine"))
	theirs := w.with(other)
	if all, err := theirs.Server.All(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("another project sees %d servers, %v", len(all), err)
	}
	if got, _, err := theirs.Server.GetByID(t.Context(), sv.ID); err != nil || got != nil {
		t.Errorf("another project sees %+v, %v", got, err)
	}
	if _, _, err := theirs.Server.Create(t.Context(), order("mine")); err != nil {
		t.Errorf("a name is taken in its own project only: %v", err)
	}
}

func TestASnapshotIsMadeAndBootedFrom(t *testing.T) {
	w := begin(t, hetzner.Options{})
	sv := w.create(t, order("model"))
	text := "ours"
	made, _, err := w.client.Server.CreateImage(t.Context(), sv, &hcloud.ServerCreateImageOpts{
		Type: hcloud.ImageTypeSnapshot, Description: &text, Labels: map[string]string{"made-by": "test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	opts := order("copy")
	opts.Image = made.Image
	_, _, err = w.client.Server.Create(t.Context(), opts)
	wantCode(t, err, "resource_unavailable", 412) // it is still being made
	if err := w.client.Action.WaitFor(t.Context(), made.Action); err != nil {
		t.Fatal(err)
	}
	ours, err := w.client.Image.AllWithOpts(t.Context(), hcloud.ImageListOpts{
		Type: []hcloud.ImageType{hcloud.ImageTypeSnapshot}, ListOpts: hcloud.ListOpts{LabelSelector: "made-by=test"},
	})
	if err != nil || len(ours) != 1 || ours[0].Description != "ours" || ours[0].Status != hcloud.ImageStatusAvailable {
		t.Fatalf("snapshots: %+v, %v", ours, err)
	}
	if got := w.create(t, opts); got.Image.Type != hcloud.ImageTypeSnapshot {
		t.Errorf("it has image %+v", got.Image)
	}
	renamed, _, err := w.client.Image.Update(t.Context(), ours[0], hcloud.ImageUpdateOpts{Labels: map[string]string{"made-by": "hand"}})
	if err != nil || renamed.Labels["made-by"] != "hand" {
		t.Errorf("got %+v, %v", renamed, err)
	}
	if _, err := w.client.Image.Delete(t.Context(), ours[0]); err != nil {
		t.Error(err)
	}
	_, err = w.client.Image.Delete(t.Context(), &hcloud.Image{ID: 40093247})
	wantCode(t, err, "not_found", 404) // Hetzner's own are nobody's to delete
}

func TestAnImageIsFoundForItsArchitecture(t *testing.T) {
	w := begin(t, hetzner.Options{})
	for _, arch := range []hcloud.Architecture{hcloud.ArchitectureX86, hcloud.ArchitectureARM} {
		i, _, err := w.client.Image.GetForArchitecture(t.Context(), "docker-ce", arch)
		if err != nil || i == nil || i.Architecture != arch {
			t.Errorf("%s: %+v, %v", arch, i, err)
		}
	}
	all, err := w.client.Image.All(t.Context())
	if err != nil || slices.ContainsFunc(all, func(i *hcloud.Image) bool { return i.IsDeprecated() }) {
		t.Errorf("deprecated images are listed only when they are asked for: %v", err)
	}
	old, _, err := w.client.Image.GetForArchitecture(t.Context(), "debian-11", hcloud.ArchitectureX86)
	if err != nil || old == nil || !old.IsDeprecated() {
		t.Errorf("debian-11: %+v, %v", old, err)
	}
}
