package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"sam/config"
	"sam/sandbox/redis"
	"sam/seal"
	"sam/store"
	"sam/task"
)

// sealedStore is a store with one project, and a folder with one key.
func sealedStore(t *testing.T) (*store.Store, config.Keys) {
	t.Helper()
	server, err := redis.Start(t.Context(), t.TempDir())
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
	if err := s.SaveProject(t.Context(), task.Project{ID: 7, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside"}); err != nil {
		t.Fatal(err)
	}
	keys := config.Keys{Dir: t.TempDir()}
	newKey(t, keys)
	return s, keys
}

func newKey(t *testing.T, keys config.Keys) {
	t.Helper()
	if _, _, err := seal.Create(keys.Dir, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func keyRing(t *testing.T, keys config.Keys) seal.Ring {
	t.Helper()
	ring, err := loadKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func put(t *testing.T, s *store.Store, keys config.Keys, name, value string) {
	t.Helper()
	if err := setSecret(t.Context(), s, keyRing(t, keys), "harbour/quayside", task.Secret{Name: name, Value: value}, &strings.Builder{}); err != nil {
		t.Fatal(err)
	}
}

// opened shows a vault's secrets for an account, and what is redacted, as name=value.
func opened(t *testing.T, v *vault, account int64) (open, hidden []string, closed map[string]string) {
	t.Helper()
	given, closed, err := v.Secrets(t.Context(), 7, account)
	if err != nil {
		t.Fatal(err)
	}
	looked, err := v.Redacted(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	show := func(all []task.Secret) (shown []string) {
		for _, one := range all {
			shown = append(shown, one.Name+"="+one.Value)
		}
		return shown
	}
	return show(given), show(looked), closed
}

func TestAnOlderValueIsRedactedStillAndAnotherAccountsIsNotGiven(t *testing.T) {
	s, keys := sealedStore(t)
	put(t, s, keys, "A", "the first value")
	put(t, s, keys, "A", "the second value")
	v := newVault(s, keys, keyRing(t, keys))
	open, hidden, _ := opened(t, v, 5)
	if !slices.Equal(open, []string{"A=the second value"}) || !slices.Equal(hidden, []string{"A=the second value", "A=the first value"}) {
		t.Errorf("given %q, redacted %q", open, hidden)
	}
	open, hidden, closed := opened(t, v, 6)
	if len(open) != 0 || len(hidden) != 2 || !strings.Contains(closed["A"], "another account") {
		t.Errorf("to a new owner: given %q, redacted %q, %q", open, hidden, closed)
	}
}

func TestASecretThatWasMovedOrChangedInRedisDoesNotOpen(t *testing.T) {
	s, keys := sealedStore(t)
	put(t, s, keys, "A", "the first value")
	all, err := s.Secrets(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*task.SealedSecret){
		"under another name": func(one *task.SealedSecret) { one.Name = "B" },
		"in another project": func(one *task.SealedSecret) { one.Project = 8 },
		"of another account": func(one *task.SealedSecret) { one.Account = 6 },
		"with another text": func(one *task.SealedSecret) {
			one.Sealed = slices.Clone(one.Sealed)
			one.Sealed[len(one.Sealed)-1] ^= 1
		},
	} {
		one := all[0]
		change(&one)
		if _, err := newVault(s, keys, keyRing(t, keys)).open(one); !errors.Is(err, seal.ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServerTakesUpAKeyThatWasMadeSinceItsStart(t *testing.T) {
	s, keys := sealedStore(t)
	v := newVault(s, keys, keyRing(t, keys))
	newKey(t, keys)
	put(t, s, keys, "A", "the first value")
	if _, _, closed := opened(t, v, 5); !strings.Contains(closed["A"], "not in `keys`") {
		t.Fatalf("at once: %q", closed)
	}
	v.read = v.read.Add(-time.Minute)
	if open, hidden, closed := opened(t, v, 5); len(open) != 1 || len(hidden) != 1 || len(closed) != 0 {
		t.Errorf("a little later: given %q, redacted %q, %q", open, hidden, closed)
	}
}

func TestASecretIsNotSetForOneOfTwoRepositoriesOfOneName(t *testing.T) {
	s, _ := sealedStore(t)
	if p, err := findProject(t.Context(), s, "Harbour/Quayside"); err != nil || p.ID != 7 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := s.SaveProject(t.Context(), task.Project{ID: 8, Installation: 3, Account: 5, Owner: "harbour", Name: "quayside"}); err != nil {
		t.Fatal(err)
	}
	if _, err := findProject(t.Context(), s, "harbour/quayside"); err == nil || !strings.Contains(err.Error(), "two repositories") {
		t.Errorf("%v", err)
	}
}

func TestWhereTheOperatorKeepsKeysIsNotToldToAProject(t *testing.T) {
	s, keys := sealedStore(t)
	v := newVault(s, keys, keyRing(t, keys))
	newKey(t, keys)
	put(t, s, keys, "A", "the first value")
	if err := os.WriteFile(filepath.Join(keys.Dir, "loose.key"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(keys.Dir, "loose.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	v.read = v.read.Add(-time.Minute)
	if _, _, closed := opened(t, v, 5); !strings.Contains(closed["A"], "not in `keys`") || strings.Contains(closed["A"], keys.Dir) {
		t.Errorf("%q", closed)
	}
}

func TestKeysAreChangedWhileSecretsAreSetAndNoneIsLost(t *testing.T) {
	s, keys := sealedStore(t)
	for i := range 20 {
		put(t, s, keys, fmt.Sprint("S", i), fmt.Sprint("the old value ", i))
	}
	before := keyRing(t, keys)
	token := func(account int64, value string) error {
		_, err := s.ChangeAccount(t.Context(), account, func(a task.Account) (task.Account, error) {
			var err error
			a.Token, err = before.Seal(a.SealedFor(), []byte(value))
			return a, err
		})
		return err
	}
	for account := range int64(10) {
		if err := token(account+1, fmt.Sprint("the old token of ", account+1)); err != nil {
			t.Fatal(err)
		}
	}
	newKey(t, keys)
	var group errgroup.Group
	group.Go(func() error {
		for account := int64(2); account <= 10; account += 2 {
			if err := token(account, fmt.Sprint("the new token of ", account)); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error { // an operator whose configuration is the old one still
		for i := 0; i < 20; i += 2 {
			secret := task.Secret{Name: fmt.Sprint("S", i), Value: fmt.Sprint("the new value ", i)}
			if err := setSecret(t.Context(), s, before, "harbour/quayside", secret, &strings.Builder{}); err != nil {
				return err
			}
		}
		return nil
	})
	for range 2 {
		group.Go(func() error {
			var out strings.Builder
			err := rotate(t.Context(), s, keyRing(t, keys), &out)
			if err != nil && !strings.Contains(err.Error(), "a moment ago") {
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rotate(ended, s, keyRing(t, keys), &strings.Builder{}); err == nil {
		t.Error("one that is interrupted says that it is done")
	}
	var out strings.Builder
	if err := rotate(t.Context(), s, keyRing(t, keys), &out); err != nil || !strings.Contains(out.String(), "of 30 secrets") || !strings.Contains(out.String(), "of 10 accounts' tokens") {
		t.Fatal(err, out.String())
	}
	for _, old := range before.IDs() {
		if err := os.Remove(filepath.Join(keys.Dir, old+seal.Suffix)); err != nil {
			t.Fatal(err)
		}
	}
	open, hidden, closed := opened(t, newVault(s, keys, keyRing(t, keys)), 5)
	if len(open) != 20 || len(hidden) != 30 || len(closed) != 0 {
		t.Errorf("with the new key alone: %d open, %d redacted, closed %q", len(open), len(hidden), closed)
	}
	for i := range 20 {
		want := fmt.Sprintf("S%d=the old value %d", i, i)
		if i%2 == 0 {
			want = fmt.Sprintf("S%d=the new value %d", i, i)
		}
		if !slices.Contains(open, want) {
			t.Errorf("%s is lost", want)
		}
	}
	accounts, _, err := s.Accounts(t.Context())
	if err != nil || len(accounts) != 10 {
		t.Fatal(accounts, err)
	}
	for _, a := range accounts {
		want := fmt.Sprint("the old token of ", a.ID)
		if a.ID%2 == 0 {
			want = fmt.Sprint("the new token of ", a.ID)
		}
		if got, err := keyRing(t, keys).Open(a.SealedFor(), a.Token); err != nil || string(got) != want {
			t.Errorf("account %d has %q, %v", a.ID, got, err)
		}
	}
}

func TestAServerWithAKeyThatOthersCanReadDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	_, path, err := seal.Create(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	pem := filepath.Join(dir, "app.pem")
	if err := os.WriteFile(pem, []byte("not read before the keys\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Defaults()
	c.GitHub.AppID, c.GitHub.PrivateKeyFile, c.GitHub.WebhookSecretFile, c.Keys.Files = 1, pem, pem, []string{path}
	if s, err := newServer(t.Context(), c); err == nil || !strings.Contains(err.Error(), path) || !strings.HasPrefix(err.Error(), "keys: ") || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v, %v", s, err)
	}
}

func TestAProjectAsksForNoMoreThanItsOperatorAllows(t *testing.T) {
	s, keys := sealedStore(t)
	put(t, s, keys, "API_TOKEN", "the first value")
	c := config.Defaults()
	c.Agent, c.Agents, c.Network.Policy = "demo", []string{"claude", "demo"}, "registries"
	f := newProjectFiles(c, nil, newVault(s, keys, keyRing(t, keys)))
	if !slices.Equal(f.agents, []string{"demo", "claude"}) {
		t.Errorf("a project may choose from %v", f.agents)
	}
	p := task.Project{ID: 7, Account: 5, Owner: "harbour", Name: "quayside"}
	check := func(f projectFiles, p task.Project, text string) error {
		r, err := config.ParseRepository([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.allowed(r); err != nil {
			return err
		}
		return f.there(t.Context(), p, r)
	}
	for _, text := range []string{"", "agent: claude\n", "network: brokers\n", "network: registries\n", "devcontainer: go-1.26\n", "environment: [API_TOKEN]\n"} {
		if err := check(f, p, text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, words := range map[string]string{
		"agent: codex\n":                    "line 1, column 1: this is not an agent that SAM's operator lets projects choose; they are demo, claude",
		"network: open\n":                   "line 1, column 1: a project may ask for less than SAM's operator allows, which is registries",
		"network: none\n":                   "no policy of the network; they are brokers, registries, open",
		"devcontainer: ../../etc\n":         "not the name of a folder",
		"environment: [PATH]\n":             "line 1, column 15: `PATH` is reserved",
		"environment: [lower]\n":            "`lower` is no name",
		"environment:\n- API_TOKEN\n- NO\n": "line 3, column 3: `NO`: there is no such secret; the operator sets it with `sam secret set harbour/quayside NO`. This starts by itself when that is done",
	} {
		if err := check(f, p, text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := unreadable(fmt.Errorf("read: %w", task.SettingsError{Reason: "It has 90000 bytes."})); err.Error() != "It has 90000 bytes. This starts by itself when that is mended on the default branch." {
		t.Errorf("too large: %v", err)
	}
	if err := unreadable(context.Canceled); !errors.Is(err, context.Canceled) || unreadable(nil) != nil {
		t.Errorf("another error: %v", err)
	}
	p.Account = 6
	if err := check(f, p, "environment: [API_TOKEN]\n"); err == nil || !strings.Contains(err.Error(), "another account") {
		t.Errorf("after a transfer: %v", err)
	}
	f.secrets = nil
	if err := check(f, p, "environment: [API_TOKEN]\n"); err == nil || !strings.Contains(err.Error(), "keeps no secrets") {
		t.Errorf("without keys: %v", err)
	}
}
