package hetzner_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/runner/cloud"
	"sam/runner/cloud/hetzner"
	standin "sam/sandbox/hetzner"
)

const (
	token    = "writes"
	readonly = "reads"
	ours     = "i7f3a"
)

// world is a Hetzner, and an installation's provider at it.
type world struct {
	hetzner.Provider
	t      *testing.T
	hub    *standin.Server
	server *httptest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	const ms = time.Millisecond
	hub, err := standin.New(standin.Options{
		Tokens: []standin.Token{{Secret: token, Project: "acme"}, {Secret: readonly, Project: "acme", ReadOnly: true}},
		Timing: standin.Timing{Create: 10 * ms, CreateSnapshot: 10 * ms, Start: 5 * ms, Stop: 5 * ms, Delete: 10 * ms, Change: 5 * ms},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, hub: hub, server: httptest.NewServer(hub.Handler())}
	t.Cleanup(hub.Close)
	t.Cleanup(w.server.Close)
	w.Provider = w.with(token, ours)
	return w
}

// with is a provider with another token, or of another installation; a new process has one of its own, too.
func (w *world) with(token, installation string) hetzner.Provider {
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	return hetzner.NewProject(hetzner.Options{
		Token: token, Installation: installation, Endpoint: w.server.URL + "/v1",
		HTTP: &http.Client{Transport: transport, Timeout: 10 * time.Second}, Pause: 2 * time.Millisecond,
	}).Account(5)
}

func (w *world) goWrong(rules ...standin.Rule) {
	w.t.Helper()
	for i := range rules {
		if rules[i].Next == 0 && rules[i].Probability == 0 {
			rules[i].Next = 1
		}
	}
	if err := w.hub.SetFaults(standin.Faults{Rules: rules}); err != nil {
		w.t.Fatal(err)
	}
}

// struck checks that each fault has befallen something.
func (w *world) struck(kinds ...standin.FaultKind) {
	w.t.Helper()
	report := w.hub.Faults()
	for _, kind := range kinds {
		if report.Hits[kind] == 0 {
			w.t.Errorf("%s has befallen nothing: %v", kind, report.Hits)
		}
	}
}

func spec(name string) cloud.Spec {
	return cloud.Spec{
		Name: name, Image: "docker-ce", Labels: map[string]string{"sam-counter": "17"},
		Candidates: []cloud.Candidate{{Type: "cx33", Location: "fsn1"}, {Type: "cx33", Location: "nbg1"}, {Type: "cpx32", Location: "hel1"}},
		UserData:   func(a cloud.Architecture) (string, error) { return "#cloud-config\n{} # " + string(a), nil },
	}
}

func (w *world) ensure(s cloud.Spec) cloud.Machine {
	w.t.Helper()
	m, err := w.Ensure(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// servers are those that there are, by name and type.
func (w *world) servers() []string {
	var found []string
	for _, one := range w.hub.History().Servers {
		if one.DeletedAt == nil {
			found = append(found, one.Name+" "+one.Type+" "+one.Location)
		}
	}
	slices.Sort(found)
	return found
}

func TestAMachineIsMadeOnceAndIsFoundAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.ensure(spec("sam-1"))
	if m.Name != "sam-1" || m.Candidate != (cloud.Candidate{Type: "cx33", Location: "fsn1"}) || m.Architecture != cloud.AMD64 || m.Adopted {
		t.Errorf("made is %+v", m)
	}
	if m.CPUs != 4 || m.Memory != 8<<30 || m.Disk != 80<<30 || m.Hour <= 0 || m.Month <= m.Hour || m.Currency != "EUR" || time.Since(m.Created).Abs() > time.Minute {
		t.Errorf("it has and costs %+v", m.Offer)
	}
	if len(m.Address) != 2 || !strings.Contains(m.Address[0], ".") || !strings.HasSuffix(m.Address[1], "::/64") {
		t.Errorf("its addresses are %v", m.Address)
	}
	if m.Labels["sam-installation"] != ours || m.Labels["sam-account"] != "5" || m.Labels["sam-counter"] != "17" {
		t.Errorf("its labels are %v", m.Labels)
	}
	again := w.ensure(spec("sam-1"))
	if again.ID != m.ID || !again.Adopted || again.Hour != m.Hour || !slices.Equal(again.Address, m.Address) {
		t.Errorf("asked for again it is %+v", again)
	}
	all, err := w.List(t.Context(), time.Now())
	if err != nil || len(all) != 1 || all[0].ID != m.ID {
		t.Errorf("listed are %+v, %v", all, err)
	}
	for range 2 {
		if err := w.Delete(t.Context(), m); err != nil {
			t.Error(err)
		}
	}
	if left := w.servers(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestAMachinesLifeTakesAtMostTenCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure(spec("sam-0")) // what is asked once for all: types, prices, the firewall
	before := len(w.hub.History().Calls)
	m := w.ensure(spec("sam-1"))
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if n := len(w.hub.History().Calls) - before; n > 10 {
		t.Errorf("its life took %d calls: %+v", n, w.hub.History().Calls[before:])
	}
}

func TestNothingComesIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ensure(spec("sam-1"))
	w.with(token, ours) // another process finds the firewall
	if _, err := w.with(token, ours).Ensure(t.Context(), spec("sam-2")); err != nil {
		t.Fatal(err)
	}
	firewalls := 0
	for _, c := range w.hub.History().Calls {
		if c.Method == http.MethodPost && strings.HasSuffix(c.Path, "/firewalls") {
			firewalls++
		}
	}
	if firewalls != 1 {
		t.Errorf("%d firewalls were made", firewalls)
	}
}

func TestTheNextCandidateIsTakenForEveryWayOfHavingNone(t *testing.T) {
	t.Parallel()
	for _, kind := range []standin.FaultKind{standin.ResourceUnavailable, standin.UnsupportedLocation, standin.PlacementError, standin.TypeDeprecated} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.goWrong(standin.Rule{Kind: kind, Method: http.MethodPost, Path: "/servers", Next: 2})
			m := w.ensure(spec("sam-1"))
			if m.Candidate != (cloud.Candidate{Type: "cpx32", Location: "hel1"}) {
				t.Errorf("made is %s", m.Candidate)
			}
			w.struck(kind)
		})
	}
}

func TestWhatIsSoldOutIsTriedLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.SetSoldOut("cx33", "fsn1", true)
	if m := w.ensure(spec("sam-1")); m.Location != "nbg1" {
		t.Errorf("made is %s", m.Candidate)
	}
	for _, one := range spec("").Candidates {
		w.hub.SetSoldOut(one.Type, one.Location, true)
	}
	_, err := w.Ensure(t.Context(), spec("sam-2"))
	var none cloud.CapacityError
	if !errors.As(err, &none) || len(none.Tried) != 3 || !strings.Contains(err.Error(), "cpx32 in hel1") || !strings.Contains(err.Error(), "tried again by itself") {
		t.Errorf("with nothing left: %v", err)
	}
}

func TestATypeThatNoLongerExistsIsToldUnlessAnotherCandidateIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := spec("sam-1")
	s.Candidates = []cloud.Candidate{{Type: "cx22", Location: "fsn1"}, {Type: "cx33", Location: "mars1"}}
	_, err := w.Ensure(t.Context(), s)
	var none cloud.NoCandidateError
	if !errors.As(err, &none) || !strings.Contains(err.Error(), "cx22 in fsn1") || !strings.Contains(err.Error(), "hetzner.machines") {
		t.Errorf("got %v", err)
	}
	s.Candidates = append(s.Candidates, cloud.Candidate{Type: "cx33", Location: "hel1"})
	if m := w.ensure(s); m.Location != "hel1" {
		t.Errorf("made is %s", m.Candidate)
	}
	// It is taken off the shelves after the offers were read.
	w.hub.RemoveType("cx33")
	s.Name = "sam-2"
	if _, err := w.Ensure(t.Context(), s); !errors.As(err, &none) {
		t.Errorf("got %v", err)
	}
}

func TestAReplyThatIsLostMakesNoSecondMachine(t *testing.T) {
	t.Parallel()
	for _, kind := range []standin.FaultKind{standin.AnswerLost, standin.BadGatewayAfter, standin.TimeoutAfter} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.goWrong(standin.Rule{Kind: kind, Method: http.MethodPost, Path: "/servers"})
			m, err := w.Ensure(t.Context(), spec("sam-1"))
			if err != nil { // it is for the next process, then, or for the next pass
				m, err = w.with(token, ours).Ensure(t.Context(), spec("sam-1"))
			}
			if err != nil || !m.Adopted {
				t.Errorf("got %+v, %v", m, err)
			}
			if all := w.servers(); len(all) != 1 {
				t.Errorf("there are %v", all)
			}
			w.struck(kind)
		})
	}
}

func TestManyWhoWantOneMachineMakeOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var group sync.WaitGroup
	ids := make([]string, 6)
	for i := range ids {
		p := w.with(token, ours)
		group.Go(func() {
			m, err := p.Ensure(t.Context(), spec("sam-1"))
			if err != nil {
				t.Error(err)
			}
			ids[i] = m.ID
		})
	}
	group.Wait()
	slices.Sort(ids)
	if all := w.servers(); len(all) != 1 || len(slices.Compact(ids)) != 1 {
		t.Errorf("there are %v, of numbers %v", all, ids)
	}
}

func TestACreationThatFailsLaterIsClearedAwayAndTheNextCandidateIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.goWrong(standin.Rule{Kind: standin.ActionFailed, Path: "/create_server"})
	_, err := w.Ensure(t.Context(), spec("sam-1"))
	w.struck(standin.ActionFailed)
	if err != nil && len(w.servers()) > 0 {
		t.Errorf("left after %v: %v", err, w.servers())
	}
	if m := w.ensure(spec("sam-1")); len(w.servers()) != 1 || m.Name != "sam-1" {
		t.Errorf("there are %v", w.servers())
	}
}

func TestWhatIsLockedOrFailsInPassingIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []standin.FaultKind{standin.Locked, standin.Conflict, standin.BadGateway, standin.Timeout} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.goWrong(standin.Rule{Kind: kind, Method: http.MethodPost, Path: "/servers", Next: 2}, standin.Rule{Kind: kind, Method: http.MethodDelete, Next: 2})
			m := w.ensure(spec("sam-1"))
			if m.Location != "fsn1" {
				t.Errorf("made is %s", m.Candidate)
			}
			if err := w.Delete(t.Context(), m); err != nil {
				t.Error(err)
			}
			w.struck(kind)
		})
	}
}

func TestWhatDoesNotMendItselfIsToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	var quota cloud.QuotaError
	var credential cloud.CredentialError
	for name, row := range map[string]struct {
		fault standin.FaultKind
		is    func(error) bool
		words string
	}{
		"quota":          {standin.LimitExceeded, func(err error) bool { return errors.As(err, &quota) }, "ask the provider for a higher limit"},
		"read-only":      {standin.Forbidden, func(err error) bool { return errors.As(err, &credential) && credential.Readonly }, "may only read"},
		"read-only once": {standin.TokenReadonly, func(err error) bool { return errors.As(err, &credential) && credential.Readonly }, "sam account set"},
		"revoked":        {standin.TokenRevoked, func(err error) bool { return errors.As(err, &credential) && !credential.Readonly }, "Make a new one"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.goWrong(standin.Rule{Kind: row.fault, Method: http.MethodPost, Path: "/servers"})
			if _, err := w.Ensure(t.Context(), spec("sam-1")); !row.is(err) || !strings.Contains(err.Error(), row.words) {
				t.Errorf("got %v", err)
			}
			if all := w.servers(); len(all) > 0 {
				t.Errorf("there are %v", all)
			}
		})
	}
}

func TestATokenIsCheckedWithoutChangingAnything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.Check(t.Context()); err != nil {
		t.Error(err)
	}
	var no cloud.CredentialError
	if err := w.with(readonly, ours).Check(t.Context()); !errors.As(err, &no) || !no.Readonly {
		t.Errorf("of a token that may only read: %v", err)
	}
	if err := w.with("made up", ours).Check(t.Context()); !errors.As(err, &no) || no.Readonly {
		t.Errorf("of a token that is none: %v", err)
	}
	if _, err := w.with("made up", ours).List(t.Context(), time.Now()); !errors.As(err, &no) {
		t.Errorf("a list for a token that is none: %v", err)
	}
}

func TestUserDataThatIsTooLargeIsToldBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := spec("sam-1")
	s.UserData = func(cloud.Architecture) (string, error) { return strings.Repeat("x", cloud.MaxUserData+1), nil }
	var large cloud.UserDataError
	if _, err := w.Ensure(t.Context(), s); !errors.As(err, &large) || large.Bytes != cloud.MaxUserData+1 {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsNotOursIsNeverTouched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	others := w.with(token, "another")
	theirs, err := others.Ensure(t.Context(), spec("sam-1"))
	if err != nil {
		t.Fatal(err)
	}
	var foreign cloud.ForeignError
	if _, err := w.Ensure(t.Context(), spec("sam-1")); !errors.As(err, &foreign) || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("one of another installation is taken: %v", err)
	}
	if err := w.Delete(t.Context(), theirs); !errors.As(err, &foreign) {
		t.Errorf("one of another installation is deleted: %v", err)
	}
	if all, err := w.List(t.Context(), time.Now()); err != nil || len(all) > 0 {
		t.Errorf("listed as ours are %v, %v", all, err)
	}
	if all := w.servers(); len(all) != 1 {
		t.Errorf("there are %v", all)
	}
	if err := w.Delete(t.Context(), cloud.Machine{ID: "no number"}); err == nil {
		t.Error("a machine without a number is deleted")
	}
}

// hand is who works in the project by hand, with the token.
func (w *world) hand() *hcloud.Client {
	transport := &http.Transport{}
	w.t.Cleanup(transport.CloseIdleConnections)
	return hcloud.NewClient(hcloud.WithToken(token), hcloud.WithEndpoint(w.server.URL+"/v1"), hcloud.WithHTTPClient(&http.Client{Transport: transport}))
}

func TestWhatOutlivesMachinesIsFoundByItsLabelAndGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.ensure(spec("sam-1"))
	hand := w.hand()
	mine := map[string]string{"sam-installation": ours, "sam-account": "5"}
	theirs := map[string]string{"sam-installation": ours + "x", "sam-account": "5"}
	other := map[string]string{"sam-installation": ours, "sam-account": "6"} // two accounts may have one project
	at := &hcloud.Location{Name: "fsn1"}
	for name, labels := range map[string]map[string]string{"mine": mine, "theirs": theirs, "others": other, "nobodys": nil} {
		if _, _, err := hand.Volume.Create(t.Context(), hcloud.VolumeCreateOpts{Name: name, Size: 10, Location: at, Labels: labels}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := hand.PrimaryIP.Create(t.Context(), hcloud.PrimaryIPCreateOpts{Name: name, Type: hcloud.PrimaryIPTypeIPv4, Location: at.Name, Labels: labels}); err != nil {
			t.Fatal(err)
		}
	}
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a"
	if _, _, err := hand.SSHKey.Create(t.Context(), hcloud.SSHKeyCreateOpts{Name: "mine", PublicKey: key, Labels: mine}); err != nil {
		t.Fatal(err)
	}
	left, err := w.Leftovers(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	kinds := make([]string, len(left))
	for i, one := range left {
		kinds[i] = one.Kind + " " + one.Name
		for range 2 { // the second time it is gone
			if err := one.Delete(t.Context()); err != nil {
				t.Errorf("%s: %v", kinds[i], err)
			}
		}
	}
	if !slices.Equal(kinds, []string{"volume mine", "primary_ip mine", "ssh_key mine"}) {
		t.Errorf("found are %v", kinds)
	}
	if left, err = w.Leftovers(t.Context(), time.Now()); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	if all, err := w.List(t.Context(), time.Now()); err != nil || len(all) != 1 || all[0].ID != m.ID {
		t.Errorf("the machines are %v, %v", all, err)
	}
}

func TestAFirewallThatWasOpenedOrDeletedByHandIsClosedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hand := w.hand()
	name := "sam-" + ours
	_, everywhere, err := net.ParseCIDR("0.0.0.0/0")
	if err != nil {
		t.Fatal(err)
	}
	port := "22"
	if _, _, err := hand.Firewall.Create(t.Context(), hcloud.FirewallCreateOpts{Name: name, Labels: map[string]string{"sam-installation": ours}, Rules: []hcloud.FirewallRule{
		{Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolTCP, Port: &port, SourceIPs: []net.IPNet{*everywhere}},
	}}); err != nil {
		t.Fatal(err)
	}
	m := w.ensure(spec("sam-1"))
	closed := func() *hcloud.Firewall {
		t.Helper()
		firewall, _, err := hand.Firewall.GetByName(t.Context(), name)
		if err != nil || firewall == nil || len(firewall.Rules) > 0 || len(firewall.AppliedTo) != 1 {
			t.Fatalf("the firewall is %+v, %v", firewall, err)
		}
		return firewall
	}
	firewall := closed()
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := hand.Firewall.Delete(t.Context(), firewall); err != nil {
		t.Fatal(err)
	}
	w.ensure(spec("sam-2"))
	closed()
	if _, err := w.with(token, "another").Ensure(t.Context(), spec("sam-3")); err != nil {
		t.Error(err)
	}
	if _, _, err := hand.Firewall.Create(t.Context(), hcloud.FirewallCreateOpts{Name: "sam-third"}); err != nil {
		t.Fatal(err)
	}
	var foreign cloud.ForeignError
	if _, err := w.with(token, "third").Ensure(t.Context(), spec("sam-4")); !errors.As(err, &foreign) {
		t.Errorf("a firewall of nobody's is used: %v", err)
	}
}

func TestAListIsWholeHoweverLongItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hub.SetLimits(standin.Limits{Servers: 100, PrimaryIPs: 200})
	for i := range 60 {
		w.ensure(spec(fmt.Sprint("sam-", i)))
	}
	all, err := w.List(t.Context(), time.Now())
	if err != nil || len(all) != 60 {
		t.Errorf("%d are listed, %v", len(all), err)
	}
}

func TestAnEndedContextEndsACreationAndTheNextCallAdoptsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.goWrong(standin.Rule{Kind: standin.ActionSlow, Path: "/create_server", For: standin.Duration(time.Hour)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := w.Ensure(ctx, spec("sam-1"))
		ended <- err
	}()
	for tick := time.NewTicker(time.Millisecond); len(w.servers()) == 0; {
		select {
		case <-tick.C:
		case err := <-ended:
			t.Fatalf("it ended before there was a server: %v", err)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if m := w.ensure(spec("sam-1")); !m.Adopted || len(w.servers()) != 1 {
		t.Errorf("got %+v of %v", m, w.servers())
	}
}
