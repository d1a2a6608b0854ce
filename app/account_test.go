package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sam/config"
	"sam/runner/cloud"
	"sam/runner/cloud/hetzner"
	standin "sam/sandbox/hetzner"
	"sam/sandbox/redis"
	"sam/seal"
	"sam/store"
	"sam/task"
)

// Tokens of the stand-in: two of one project, and one of another.
const (
	firstToken  = "a-token-of-the-first-project-Vq7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee"
	secondToken = "another-of-the-first-project-Tq7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee"
	otherToken  = "one-of-quite-another-project-Wq7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee"
	readToken   = "it-may-read-the-first-project-q7mX2kR9tLz4HnWp3cYd8sJf6gBa5Ee"
)

// accountWorld is a Redis with one project, harbour/quayside of account 5, a stand-in for Hetzner, and a configuration that names both.
type accountWorld struct {
	t      *testing.T
	dir    string
	store  *store.Store
	hub    *standin.Server
	api    string
	config string // the file
	keys   config.Keys
	redis  *redis.Server
}

func newAccountWorld(t *testing.T, more ...string) *accountWorld {
	t.Helper()
	dir := t.TempDir()
	server, err := redis.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Addresses: []string{server.Address}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), server.Stop()); err != nil {
			t.Error(err)
		}
	})
	const ms = time.Millisecond
	hub, err := standin.New(standin.Options{
		Tokens: []standin.Token{
			{Secret: firstToken, Project: "one"}, {Secret: secondToken, Project: "one"}, {Secret: readToken, Project: "one", ReadOnly: true},
			{Secret: otherToken, Project: "two"},
		},
		Timing: standin.Timing{Create: ms, CreateSnapshot: ms, Start: ms, Stop: ms, Delete: ms, Change: ms},
	})
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(hub.Handler())
	t.Cleanup(hub.Close)
	t.Cleanup(served.Close)
	if err := s.SaveProject(t.Context(), task.Project{ID: 7, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside"}); err != nil {
		t.Fatal(err)
	}
	w := &accountWorld{t: t, dir: dir, store: s, hub: hub, api: served.URL + "/v1", redis: server, keys: config.Keys{Dir: filepath.Join(t.TempDir(), "keys")}}
	if err := os.Mkdir(w.keys.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	newKey(t, w.keys)
	w.configure(more...)
	return w
}

// configure writes the configuration, with further lines of the section hetzner.
func (w *accountWorld) configure(hetzner ...string) {
	text := fmt.Sprintf("github: {app_id: 1, private_key_file: k, webhook_secret_file: s}\nredis: {address: %q, allow_lossy: true}\nkeys: {dir: %q}\nhetzner:\n  endpoint: %q\n",
		w.redis.Address, w.keys.Dir, w.api)
	for _, line := range hetzner {
		text += "  " + line + "\n"
	}
	w.config = w.file(text)
}

// file writes a file and returns where it is.
func (w *accountWorld) file(text string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// sam runs `sam account` and checks how it ends, and all of what it says.
func (w *accountWorld) sam(code int, words []string, args ...string) string {
	w.t.Helper()
	out, got := samCommand("", append(append([]string{"account"}, args...), "--config", w.config)...)
	if got != code {
		w.t.Errorf("%v: exit %d\n%s", args, got, out)
	}
	for _, one := range words {
		if !strings.Contains(out, one) {
			w.t.Errorf("%v does not say %q:\n%s", args, one, out)
		}
	}
	for _, token := range []string{firstToken, secondToken, otherToken, readToken} {
		if strings.Contains(out, token) {
			w.t.Errorf("%v shows a token:\n%s", args, out)
		}
	}
	return out
}

// set sets account 5's token, and what else is given.
func (w *accountWorld) set(code int, token string, words []string, more ...string) string {
	w.t.Helper()
	return w.sam(code, words, append([]string{"set", "harbour", "--hetzner-token-file", w.file(token + "\n")}, more...)...)
}

// machine makes a machine for an account with a token, as the pool does: its record first.
func (w *accountWorld) machine(account int64, token, name string) {
	w.t.Helper()
	r := task.Reservation{Account: account, Node: name, New: true, Hours: 1, Hour: 8_000, Caps: task.Caps{Machines: 9, Daily: -1, Monthly: -1}}
	if err := w.store.Reserve(w.t.Context(), r, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.by(account, token).Ensure(w.t.Context(), cloud.Spec{
		Name: name, Candidates: []cloud.Candidate{{Type: "cx33", Location: "nbg1"}}, Image: "docker-ce",
		UserData: func(cloud.Architecture) (string, error) { return "#cloud-config\n{}\n", nil },
	}); err != nil {
		w.t.Fatal(err)
	}
}

// testInstallation is that of the configuration of these tests.
var testInstallation = installationOf(config.GitHub{AppID: 1, APIURL: config.Defaults().GitHub.APIURL})

func (w *accountWorld) by(account int64, token string) hetzner.Provider {
	transport := newTransport()
	w.t.Cleanup(transport.CloseIdleConnections)
	return hetzner.NewProject(hetzner.Options{
		Token: token, Installation: testInstallation, Endpoint: w.api, Pause: time.Millisecond,
		HTTP: &http.Client{Transport: transport},
	}).Account(account)
}

func (w *accountWorld) account() task.Account {
	w.t.Helper()
	a, err := w.store.Account(w.t.Context(), 5)
	if errors.Is(err, task.ErrNotFound) {
		return task.Account{ID: 5}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func TestAnAccountsTokenIsKeptSealedAndShownByItsFingerprintWithWhatItCosts(t *testing.T) {
	w := newAccountWorld(t)
	mark := fingerprint([]byte(firstToken))
	w.sam(0, []string{"none", "It has no token, and there is none of the operator's"}, "show", "harbour")
	w.set(0, firstToken, []string{
		"The token of harbour (account 5) is set (" + mark + ")", "cx43 in nbg1, 8 processors, 16 GiB", "EUR for each begun hour, with taxes and its IPv4 address",
		"Caps: 2 machines at once; 2.50 EUR a day", "no budget of a month", "2 machines day and night would cost up to",
	}, "--max-machines", "2", "--daily-budget", "2.50", "--monthly-budget", "unlimited", "--policy", "fixed-10m")

	a := w.account()
	if opened, err := keyRing(t, w.keys).Open("account/5/hetzner", a.Token); err != nil || string(opened) != firstToken {
		t.Errorf("kept is %q, %v", opened, err)
	}
	if *a.Machines != 2 || *a.Daily != 2_500_000 || *a.Monthly >= 0 || *a.Policy != "fixed-10m" || a.Login != "harbour" {
		t.Errorf("kept is %+v", a)
	}
	w.machine(5, firstToken, "sam-1")
	w.sam(0, []string{
		"harbour (account 5)", "its own, set 2", mark, "1 sam-1", "2 (its own)", "0.008 of 2.50 (its own)", "0.008 of no limit (its own)", "fixed-10m (its own)", "cx43 in nbg1",
	}, "show", "5")
	w.sam(0, []string{"harbour  5   its own  1 of 2    0.008 of 2.50"}, "list")
	w.sam(0, []string{"The limits of harbour (account 5) are set", "Caps: 3 machines at once; 2.50 EUR a day"}, "set", "HARBOUR", "--max-machines", "default")
	w.sam(0, []string{"3 (the server's)"}, "show", "harbour")

	files, err := filepath.Glob(filepath.Join(w.dir, "*", "*"))
	if err != nil || w.redis.Durable && len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte(firstToken)) {
			t.Errorf("%s holds the token", path)
		}
	}
}

func TestATokenThatIsNoGoodIsRefusedInWords(t *testing.T) {
	w := newAccountWorld(t, "machines: [cx33@nbg1, cax21@hel1]")
	w.set(1, "nobody-knows-this-one", []string{"the provider refuses the token", "Make a new one with read and write access"})
	w.set(1, readToken, []string{"may only read", "Make one with read and write access"})
	w.set(1, "", []string{"--hetzner-token-file", "is empty"})
	w.set(1, "two\nlines", []string{"holds no token of Hetzner's: that is one line"})
	w.sam(1, []string{"no such file"}, "set", "harbour", "--hetzner-token-file", filepath.Join(w.dir, "nothing"))
	w.sam(1, []string{`SAM is not installed on a repository of "nobody"`, "GitHub's id of the account"}, "set", "nobody", "--max-machines", "1")
	w.sam(1, []string{"nothing is to be set: give"}, "set", "harbour")
	w.sam(1, []string{"--daily-budget is empty: give it a value, or leave it out"}, "set", "harbour", "--daily-budget", "", "--max-machines", "1")
	w.sam(1, []string{"--abandon goes with"}, "set", "harbour", "--abandon")
	w.sam(1, []string{"--max-machines some: it is a whole number"}, "set", "harbour", "--max-machines", "some")
	w.sam(1, []string{"--daily-budget: none is no budget", "or default"}, "set", "harbour", "--daily-budget", "none")
	w.sam(1, []string{`there is no policy "never"`, "hour-renew"}, "set", "harbour", "--policy", "never")
	w.sam(1, []string{"nothing is set for harbour"}, "remove", "harbour")

	for _, one := range []string{"cx33", "cax21"} {
		if !w.hub.RemoveType(one) {
			t.Fatal(one)
		}
	}
	w.set(1, firstToken, []string{"the configured machines do not exist: cx33 in nbg1: Hetzner does not offer it; cax21 in hel1", "Name others in `hetzner.machines`"})
	if a := w.account(); !a.None() {
		t.Errorf("after all of this there is %+v", a)
	}
	w.configure("policy: never")
	w.sam(1, []string{`hetzner.policy: there is no policy "never"`}, "list")
}

func TestATokenIsNotKeptWhereItCouldNotBeSealedOrMachinesNotReachTheServer(t *testing.T) {
	w := newAccountWorld(t)
	w.config = w.file(fmt.Sprintf("github: {app_id: 1, private_key_file: k, webhook_secret_file: s}\nredis: {address: %q, allow_lossy: true}\nhetzner: {endpoint: %q}\n", w.redis.Address, w.api))
	w.set(1, firstToken, []string{"the token would be kept sealed: there is no key to seal with", "sam keys new"})
	w.sam(0, []string{"The limits of harbour"}, "set", "harbour", "--max-machines", "1")

	w.api = "https://127.0.0.1:1/v1"
	w.configure()
	w.set(1, firstToken, []string{`public.url: "" is no https address`})
	w.api = "http://127.0.0.1:1/v1"
	w.configure()
	w.set(1, firstToken, []string{"could not be asked of Hetzner, so it is not set", "Try again"})
	if a := w.account(); len(a.Token) > 0 {
		t.Error("it is set")
	}
}

func TestABudgetThatAllowsNoMachineIsTold(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, []string{"0.00 EUR a day", "The daily budget is 0, so SAM makes no machine: raise it with `sam account set --daily-budget`"}, "--daily-budget", "0")
	w.sam(0, []string{"The monthly budget is less than the first hour of a machine may cost"}, "set", "harbour", "--daily-budget", "1", "--monthly-budget", "0.001")
	w.sam(0, []string{"It may have 0 machines, so SAM makes none"}, "set", "harbour", "--max-machines", "0", "--monthly-budget", "default")
	out := w.sam(0, []string{"The dearest of those configured costs"}, "set", "harbour", "--max-machines", "1", "--monthly-budget", "default")
	if strings.Contains(out, "makes no") {
		t.Errorf("with money and a machine:\n%s", out)
	}
}

func TestWhatIsSoldOutIsPassedOverInTheEstimate(t *testing.T) {
	w := newAccountWorld(t, "machines: [cx33@nbg1, cx33@hel1]")
	if !w.hub.SetSoldOut("cx33", "nbg1", true) {
		t.Fatal("it is not offered")
	}
	w.set(0, firstToken, []string{"A machine: cx33 in hel1"})
	if !w.hub.SetSoldOut("cx33", "hel1", true) {
		t.Fatal("it is not offered")
	}
	w.set(0, firstToken, []string{"A machine: cx33 in nbg1", "None of the configured machines is left at Hetzner just now"})
}

func TestATokenOfAnotherProjectIsRefusedWhileThereAreMachines(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil)
	w.set(0, otherToken, nil) // there is no machine
	w.set(0, firstToken, nil)
	w.machine(5, firstToken, "sam-1")
	w.set(0, secondToken, []string{"is set"}) // of the same project
	w.set(1, otherToken, []string{"does not have sam-1, which SAM made for the account", "Let them go first: `sam account remove 5`"})
	w.set(1, otherToken, []string{"--abandon is for machines that SAM cannot delete, and the token that there is works"}, "--abandon")
	w.hub.RevokeToken(secondToken)
	w.sam(0, []string{"What a machine costs cannot be told: the provider refuses the token"}, "show", "harbour")
	w.set(1, otherToken, []string{"does not have sam-1", "is of no use any more", "say --abandon"})
	if opened, err := keyRing(t, w.keys).Open("account/5/hetzner", w.account().Token); err != nil || string(opened) != secondToken {
		t.Errorf("kept is another, %v", err)
	}
	w.set(0, otherToken, []string{"is set"}, "--abandon")
}

func TestAWithdrawnAccountKeepsItsTokenUntilItsMachinesAreGone(t *testing.T) {
	w := newAccountWorld(t)
	w.set(0, firstToken, nil, "--max-machines", "2")
	w.machine(5, firstToken, "sam-1")
	out := w.sam(0, []string{"No machine is made for harbour (account 5) any more", "lets go of 1 machine now: sam-1", "When there is none, it forgets the token"}, "remove", "harbour")
	if strings.Contains(out, "operator") {
		t.Errorf("there is no operator's token:\n%s", out)
	}
	if a := w.account(); !a.Withdrawn || len(a.Token) == 0 {
		t.Errorf("kept is %+v", a)
	}
	w.sam(0, []string{"withdrawn: it is forgotten when the account has no machine"}, "show", "harbour")
	w.sam(0, []string{"withdrawn"}, "list")
	w.sam(0, []string{"Its token is withdrawn: it has no machine until another is set"}, "set", "harbour", "--max-machines", "1")
	w.set(1, otherToken, []string{"does not have sam-1"})
	w.set(0, firstToken, []string{"is set"})
	if w.account().Withdrawn {
		t.Error("a token that is set anew is withdrawn")
	}
}

func TestOfAnAccountWithNeitherTokenNorMachinesTheLimitsAreForgotten(t *testing.T) {
	w := newAccountWorld(t)
	w.sam(0, []string{"The limits of account 77 are set", "SAM knows no repository of it", "It has no token"}, "set", "77", "--daily-budget", "0")
	w.sam(0, []string{"?        77  none"}, "list")
	w.sam(0, []string{"What was set for account 77 is forgotten"}, "remove", "77")
	w.sam(1, []string{"nothing is set for account 77"}, "remove", "77")
	w.sam(0, nil, "set", "78", "--max-machines", "1")
	w.sam(1, []string{`SAM is not installed on a repository of ""`}, "remove", "")
}

func TestALoginThatTwoAccountsHadIsAskedForByItsID(t *testing.T) {
	w := newAccountWorld(t)
	if err := w.store.SaveProject(t.Context(), task.Project{ID: 8, Installation: 4, Account: 6, Owner: "Harbour", Name: "other"}); err != nil {
		t.Fatal(err)
	}
	w.sam(1, []string{`SAM knows the accounts 5 and 6 as "harbour"`, "give GitHub's id"}, "show", "harbour")
}

func TestAccountsTokensAreSealedAnewWithTheNewestKey(t *testing.T) {
	w := newAccountWorld(t)
	before := keyRing(t, w.keys)
	seals := func(ring seal.Ring, account int64, token string) {
		t.Helper()
		_, err := w.store.ChangeAccount(t.Context(), account, func(a task.Account) (task.Account, error) {
			var err error
			a.Token, err = ring.Seal(a.SealedFor(), []byte(token))
			return a, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	seals(before, 5, firstToken)
	seals(before, 6, otherToken)
	if _, err := w.store.ChangeAccount(t.Context(), 7, func(a task.Account) (task.Account, error) { a.Withdrawn = true; return a, nil }); err != nil {
		t.Fatal(err)
	}
	newKey(t, w.keys)
	rotate := func(want int, words ...string) {
		t.Helper()
		out, code := samCommand("", "keys", "rotate", "--config", w.config)
		for _, one := range words {
			if !strings.Contains(out, one) || code != want {
				t.Errorf("exit %d, and it does not say %q:\n%s", code, one, out)
			}
		}
	}
	rotate(0, "2 of 2 accounts' tokens were sealed anew; 2 are sealed with "+keyRing(t, w.keys).Newest(), "Nothing in Redis needs "+before.Newest())
	rotate(0, "0 of 2 accounts' tokens were sealed anew")

	// Sealed with a key that is gone, one is named and left as it was.
	seals(before, 6, otherToken)
	if err := os.Remove(filepath.Join(w.keys.Dir, before.Newest()+seal.Suffix)); err != nil {
		t.Fatal(err)
	}
	rotate(1, "0 of 2 accounts' tokens were sealed anew; 1 are sealed with", "Key "+before.Newest()+" is still needed by 1",
		"the token of account 6: sealed with a key that is not in `keys`", "sam account set")
	if opened, err := keyRing(t, w.keys).Open("account/5/hetzner", w.account().Token); err != nil || string(opened) != firstToken {
		t.Errorf("with the new key alone %v", err)
	}
	w.sam(0, []string{"which cannot be opened", "What a machine costs cannot be told: the token of account 6 for Hetzner cannot be opened"}, "show", "6")
}
