package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sam/config"
	"sam/gateway"
	"sam/runner/cloud"
	"sam/runner/cloud/cloudinit"
	"sam/runner/policy"
	"sam/runner/pool"
	"sam/seal"
	"sam/task"
)

// clouds is what a server makes of the world's configuration, after change.
func (w *accountWorld) clouds(change func(*config.Hetzner, *cloudOptions)) (*clouds, error) {
	w.t.Helper()
	c, ring, err := loadServer(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := gateway.NewKeys([]byte("a secret of all replicas"))
	if err != nil {
		w.t.Fatal(err)
	}
	transport := newTransport()
	w.t.Cleanup(transport.CloseIdleConnections)
	o := cloudOptions{
		Store: w.store, Vault: newVault(w.store, c.Keys, ring), Keys: keys, Installation: testInstallation, Public: "https://sam.example",
		Programs: map[cloud.Architecture]cloudinit.Download{cloud.AMD64: {URL: "https://sam.example/sam", SHA256: strings.Repeat("0f", 32)}}, Transport: transport,
		Prepare: func(cloud.Architecture) {},
	}
	if change != nil {
		change(&c.Hetzner, &o)
	}
	return newClouds(c.Hetzner, o)
}

func (w *accountWorld) mustClouds(change func(*config.Hetzner, *cloudOptions)) *clouds {
	w.t.Helper()
	cs, err := w.clouds(change)
	if err != nil {
		w.t.Fatal(err)
	}
	return cs
}

// way is the account's, nil when there is none.
func way(t *testing.T, cs *clouds, id int64) *pool.Account {
	t.Helper()
	a, err := cs.Account(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMachinesAreMadeByTheAccountsOwnTokenElseByTheOperators(t *testing.T) {
	w := newAccountWorld(t, "machines: [cx33@nbg1]", "ssh_keys: [ada]", "timezone: Europe/Berlin", "warm: [{days: [mon], from: 08:00, to: 18:00, machines: 2}]")
	w.machine(6, firstToken, "sam-1")
	w.machine(5, otherToken, "sam-2")
	w.set(0, otherToken, nil)
	if a := way(t, w.mustClouds(nil), 6); a != nil {
		t.Errorf("without any token there is a way: %+v", a)
	}
	cs := w.mustClouds(func(c *config.Hetzner, _ *cloudOptions) { c.TokenFile = w.file(firstToken + "\n") })
	for id, want := range map[int64]string{5: "sam-2", 6: "sam-1"} {
		all, err := way(t, cs, id).Provider.List(t.Context(), time.Now())
		if err != nil || len(all) != 1 || all[0].Name != want {
			t.Errorf("account %d sees %+v, %v; want %s", id, all, err, want)
		}
	}
	own, operators := way(t, cs, 5), way(t, cs, 6)
	if own.Provider != way(t, cs, 5).Provider {
		t.Error("the provider of a token is made anew each time, and so asks for prices each time")
	}
	if _, err := w.store.ChangeAccount(t.Context(), 5, func(a task.Account) (task.Account, error) {
		machines, daily, monthly, keep := 1, int64(0), int64(-1), "fixed-10m"
		a.Machines, a.Daily, a.Monthly, a.Policy = &machines, &daily, &monthly, &keep
		return a, nil
	}); err != nil {
		t.Fatal(err)
	}
	own = way(t, cs, 5)
	if want := (task.Caps{Machines: 1, Daily: 0, Monthly: -1}); own.Caps != want || own.Keeper.Name() != "fixed-10m" {
		t.Errorf("its own limits: %+v, %s", own.Caps, own.Keeper.Name())
	}
	if want := (task.Caps{Machines: 3, Daily: 5_000_000, Monthly: 50_000_000}); operators.Caps != want || operators.Keeper.Name() != policy.Default {
		t.Errorf("the server's limits: %+v, %s", operators.Caps, operators.Keeper.Name())
	}
	if !reflect.DeepEqual(own.Candidates, []cloud.Candidate{{Type: "cx33", Location: "nbg1"}}) || own.Image != "docker-ce" || own.Memory != 4<<30 || own.SSHKeys[0] != "ada" {
		t.Errorf("%+v", own)
	}
	if monday := time.Date(2026, 11, 23, 7, 30, 0, 0, time.UTC); own.Schedule.Minimum(monday) != 2 || own.Schedule.Minimum(monday.Add(-time.Hour)) != 0 {
		t.Error("the windows are not by the clock of Berlin")
	}
}

func TestAccountsWithOneTokenAreComparedByOneListOfMachines(t *testing.T) {
	w := newAccountWorld(t)
	for id := int64(10); id < 20; id++ {
		w.machine(id, firstToken, fmt.Sprint("sam-", id))
		if err := w.store.SaveProject(t.Context(), task.Project{ID: 100 + id, Account: id, Owner: fmt.Sprint("owner", id), Name: "quayside", Installation: 3}); err != nil {
			t.Fatal(err)
		}
	}
	cs := w.mustClouds(func(c *config.Hetzner, _ *cloudOptions) { c.TokenFile = w.file(firstToken + "\n") })
	before := len(w.hub.History().Calls)
	p := pool.New(w.store, cs)
	for range 2 {
		if err := p.ReconcileOnce(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var lists, leftovers int
	for _, c := range w.hub.History().Calls[before:] {
		switch {
		case strings.HasSuffix(c.Path, "/servers"):
			lists++
		case strings.HasSuffix(c.Path, "/volumes"):
			leftovers++
		}
	}
	if lists != 2 || leftovers > 2 {
		t.Errorf("two comparisons of ten accounts took %d lists of servers, and %d of volumes", lists, leftovers)
	}
	for id := int64(10); id < 20; id++ {
		if f, err := w.store.Fleet(t.Context(), id, time.Now()); err != nil || len(f.Hours) != 1 || f.Hours[fmt.Sprint("sam-", id)] != 1 {
			t.Errorf("account %d was to have its own machine back: %+v, %v", id, f, err)
		}
	}
}

func TestAnAccountWhoseRecordCannotBeReadHoldsUpNoOther(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	if err := w.store.WithdrawAccount(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	if _, err := w.redis.Do(t.Context(), "SET", "{0}:account:5", `{"id":5,"of_a_newer_release":true}`); err != nil {
		t.Fatal(err)
	}
	cs := w.mustClouds(nil)
	if ids, err := cs.Known(t.Context()); err != nil || !reflect.DeepEqual(ids, []int64{6}) {
		t.Errorf("known are %v, %v", ids, err)
	}
	if _, err := cs.Account(t.Context(), 5); err == nil || !strings.Contains(err.Error(), "of_a_newer_release") {
		t.Errorf("its own: %v", err)
	}
	w.sam(1, []string{"withdrawn", "of_a_newer_release"}, "list")
}

func TestAPolicyThatThisReleaseDoesNotKnowIsTheServersMeanwhile(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	if _, err := w.store.ChangeAccount(t.Context(), 5, func(a task.Account) (task.Account, error) {
		name := "of-next-year"
		a.Policy = &name
		return a, nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := way(t, w.mustClouds(nil), 5).Keeper.Name(); got != policy.Default {
		t.Errorf("kept by %s", got)
	}
	w.sam(0, []string{"hour-renew (the server's)"}, "show", "harbour")
}

func TestATokenThatCannotBeOpenedIsTroubleAndNotTheOperatorsInstead(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	operators := w.file(otherToken)
	for name, change := range map[string]func(*config.Hetzner, *cloudOptions){
		"with another key": func(c *config.Hetzner, o *cloudOptions) {
			keys := config.Keys{Dir: t.TempDir()}
			newKey(t, keys)
			c.TokenFile, o.Vault = operators, newVault(w.store, keys, keyRing(t, keys))
		},
		"without keys": func(c *config.Hetzner, o *cloudOptions) { c.TokenFile, o.Vault = operators, nil },
	} {
		a, err := w.mustClouds(change).Account(t.Context(), 5)
		var closed task.TokenError
		if a != nil || !errors.As(err, &closed) || !errors.Is(err, seal.ErrUnknownKey) {
			t.Fatalf("%s: %+v, %v", name, a, err)
		}
		if !strings.Contains(err.Error(), "the token of account 5 for Hetzner cannot be opened: sealed with a key that is not in `keys`") ||
			!strings.Contains(err.Error(), "`sam account set`") || strings.Contains(err.Error(), w.keys.Dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATokenInAnotherAccountsRecordDoesNotOpen(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	stolen := w.account().Token
	if _, err := w.store.ChangeAccount(t.Context(), 6, func(a task.Account) (task.Account, error) { a.Token = stolen; return a, nil }); err != nil {
		t.Fatal(err)
	}
	if a, err := w.mustClouds(nil).Account(t.Context(), 6); a != nil || !errors.Is(err, seal.ErrChanged) {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAWithdrawnTokenIsForgottenWhenTheMachinesAreGoneAndItsLimitsStay(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil, "--max-machines", "2")
	cs := w.mustClouds(nil)
	w.sam(0, nil, "remove", "harbour")
	var all pool.Accounts = cs
	known, err := all.Known(t.Context())
	if err != nil || fmt.Sprint(known) != "[5]" {
		t.Errorf("known %v, %v", known, err)
	}
	a := way(t, cs, 5)
	if a == nil || !a.Withdrawn {
		t.Fatalf("%+v", a)
	}
	if err := a.Gone(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := w.account(); len(r.Token) != 0 || r.Withdrawn || *r.Machines != 2 {
		t.Errorf("kept is %+v", r)
	}
	if known, err := cs.Known(t.Context()); err != nil || len(known) != 0 || way(t, cs, 5) != nil {
		t.Errorf("known %v, %v", known, err)
	}
}

func TestATokenThatIsSetWhileTheMachinesGoIsNotForgotten(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	w.sam(0, nil, "remove", "harbour")
	a := way(t, w.mustClouds(nil), 5)
	w.set(0, otherToken, nil)
	w.sam(0, nil, "remove", "harbour") // withdrawn again, of which Gone of before must not know
	if err := a.Gone(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := w.account(); len(r.Token) == 0 {
		t.Error("it is forgotten")
	}
}

func TestAnAccountOfTheOperatorsTokenCanBeWithdrawnAndComesBack(t *testing.T) {
	w := newAccountWorld(t)
	cs := w.mustClouds(func(c *config.Hetzner, _ *cloudOptions) { c.TokenFile = w.file(firstToken) })
	if err := w.store.WithdrawAccount(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	a := way(t, cs, 5)
	if known, err := cs.Known(t.Context()); err != nil || len(known) != 1 || !a.Withdrawn {
		t.Fatalf("%+v; known %v, %v", a, known, err)
	}
	if err := a.Gone(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := way(t, cs, 5); again == nil || again.Withdrawn {
		t.Errorf("%+v", again)
	}
}

func TestAMachineIsToldWhereToCallAndWithWhatToken(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	made := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	var prepared []cloud.Architecture
	cs := w.mustClouds(func(_ *config.Hetzner, o *cloudOptions) {
		o.Prepare = func(a cloud.Architecture) { prepared = append(prepared, a) }
	})
	tell := way(t, cs, 5).UserData("sam-1", made)
	data, err := tell(cloud.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#cloud-config", cs.options.Keys.BootstrapToken("sam-1", made), `https://sam.example`, strings.Repeat("0f", 32), "2026-11-23T10:00:00Z"} {
		if !strings.Contains(data, want) {
			t.Errorf("it is not told %q:\n%s", want, data)
		}
	}
	if strings.Contains(data, firstToken) {
		t.Error("it is told the token")
	}
	if len(prepared) != 1 || prepared[0] != cloud.AMD64 {
		t.Errorf("it asks for its program soon, and prepared is %v", prepared)
	}
	if _, err := tell(cloud.ARM64); err == nil || !strings.Contains(err.Error(), "there is no `sam` for arm64") {
		t.Errorf("for another architecture: %v", err)
	}
	plain := w.mustClouds(func(c *config.Hetzner, o *cloudOptions) {
		c.Endpoint, o.Public = "https://api.hetzner.cloud/v1", "http://sam.example"
	})
	if _, err := way(t, plain, 5).UserData("sam-1", made)(cloud.AMD64); err == nil || !strings.Contains(err.Error(), `public.url: "http://sam.example" is no https address`) {
		t.Errorf("without TLS: %v", err)
	}
}

func TestWhatIsWrongAboutTheOperatorsMachinesStopsTheStart(t *testing.T) {
	w := newAccountWorld(t)
	good, empty := w.file(firstToken), w.file("\n")
	for want, change := range map[string]func(*config.Hetzner, *cloudOptions){
		"hetzner.policy: there is no policy":                         func(c *config.Hetzner, _ *cloudOptions) { c.Policy = "never" },
		"hetzner.warm: window 1 keeps 0 machines warm":               func(c *config.Hetzner, _ *cloudOptions) { c.Warm = config.Windows{{To: time.Hour}} },
		"hetzner.token_file: " + empty + " is empty":                 func(c *config.Hetzner, _ *cloudOptions) { c.TokenFile = empty },
		"hetzner.token_file: open " + filepath.Join(w.dir, "absent"): func(c *config.Hetzner, _ *cloudOptions) { c.TokenFile = filepath.Join(w.dir, "absent") },
		`public.url: "http://sam.example" is no https address`: func(c *config.Hetzner, o *cloudOptions) {
			c.TokenFile, c.Endpoint, o.Public = good, "https://api.hetzner.cloud/v1", "http://sam.example"
		},
	} {
		_, err := w.clouds(change)
		var wrong config.Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
