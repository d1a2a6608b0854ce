package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/config"
	"sam/gateway"
	"sam/runner/cloud"
	"sam/runner/cloud/cloudinit"
	"sam/runner/cloud/hetzner"
	"sam/runner/policy"
	"sam/runner/pool"
	"sam/store"
	"sam/task"
)

// machines is what a configuration says of machines, in the pool's terms.
type machines struct {
	candidates []cloud.Candidate
	caps       task.Caps
	keeper     policy.Keeper
	schedule   policy.Schedule
}

// newMachines reads it. A config.Error names what is wrong.
func newMachines(c config.Hetzner) (machines, error) {
	m := machines{caps: task.Caps{Machines: c.MaxMachines, Daily: int64(c.DailyBudget), Monthly: int64(c.MonthlyBudget)}}
	for _, one := range c.Candidates() {
		m.candidates = append(m.candidates, cloud.Candidate(one))
	}
	var err error
	if m.keeper, err = policy.Named(c.Policy); err != nil {
		return m, config.Error{Key: "hetzner.policy", Why: err.Error()}
	}
	if m.schedule.Location, err = c.Location(); err != nil {
		return m, config.Error{Key: "hetzner.timezone", Why: err.Error()}
	}
	for _, w := range c.Warm {
		m.schedule.Windows = append(m.schedule.Windows, policy.Window(w))
	}
	if err := m.schedule.Check(); err != nil {
		return m, config.Error{Key: "hetzner.warm", Why: err.Error()}
	}
	return m, nil
}

// of is what holds for an account: its own limits, and where it has none the configuration's.
func (m machines) of(a task.Account) machines {
	if a.Machines != nil {
		m.caps.Machines = *a.Machines
	}
	if a.Daily != nil {
		m.caps.Daily = *a.Daily
	}
	if a.Monthly != nil {
		m.caps.Monthly = *a.Monthly
	}
	if a.Policy != nil {
		// One that this release does not know was set by another: the server's holds meanwhile.
		if own, err := policy.Named(*a.Policy); err == nil {
			m.keeper = own
		}
	}
	return m
}

// newHetzner is a project of Hetzner's by its token.
func newHetzner(endpoint, token, installation string, transport http.RoundTripper) *hetzner.Project {
	return hetzner.NewProject(hetzner.Options{
		Token: token, Installation: installation, Endpoint: endpoint, Version: Version(),
		HTTP: &http.Client{Transport: transport},
	})
}

// unreachable says why machines of Hetzner's cannot be made, nil when they can: a machine gets its program and its first
// credential from the server, over the internet.
func unreachable(c config.Hetzner, public string) error {
	if !isHTTPS(c.Endpoint) || isHTTPS(public) { // the machines of a stand-in without TLS are on this host
		return nil
	}
	return config.Error{Key: "public.url", Why: fmt.Sprintf("%q is no https address: machines of Hetzner's reach the server by it over the internet, and get their credentials there", public)}
}

func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https"
}

// cloudOptions are what machines are made with.
type cloudOptions struct {
	Store        *store.Store
	Vault        *vault // nil: there are no keys, and no account has a token of its own
	Keys         gateway.Keys
	Installation string
	Public       string // the address by which machines reach the gateway
	Programs     map[cloud.Architecture]cloudinit.Download
	Prepare      func(cloud.Architecture) // is called when a machine is about to be made, which will ask for its program
	Transport    http.RoundTripper
}

// clouds implements pool.Accounts: machines of Hetzner's by an account's own token, else by the operator's.
type clouds struct {
	config   config.Hetzner
	options  cloudOptions
	machines machines
	token    string // the operator's, "" for none

	mu sync.Mutex
	// Projects are kept, by the hash of their token, since what Hetzner offers is asked for once an hour; own has the hash of each
	// account that has a token of its own.
	projects map[tokenHash]*hetzner.Project
	own      map[int64]tokenHash
	told     map[string]struct{} // records and tokens that cannot be opened, and were logged
}

type tokenHash [sha256.Size]byte

// newClouds reads what the configuration says of machines, and the operator's token. A config.Error says what is wrong.
func newClouds(c config.Hetzner, o cloudOptions) (*clouds, error) {
	m, err := newMachines(c)
	if err != nil {
		return nil, err
	}
	cs := &clouds{config: c, options: o, machines: m, projects: map[tokenHash]*hetzner.Project{}, own: map[int64]tokenHash{}, told: map[string]struct{}{}}
	if c.TokenFile == "" {
		return cs, nil
	}
	if cs.token, err = readHetznerToken("hetzner.token_file", c.TokenFile); err != nil {
		return nil, err
	}
	return cs, unreachable(c, o.Public)
}

// Known implements pool.Accounts.
func (cs *clouds) Known(ctx context.Context) ([]int64, error) {
	all, unread, err := cs.options.Store.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, err := range unread {
		cs.tell(err.Error(), func() {
			zerolog.Ctx(ctx).Error().Err(err).Msg("what was set for an account cannot be read: no machine is made for it, and none let go. Run the release that wrote it")
		})
	}
	var ids []int64
	for _, a := range all {
		if len(a.Token) > 0 || a.Withdrawn {
			ids = append(ids, a.ID)
		}
	}
	if cs.token == "" {
		return ids, nil
	}
	// Every account that has installed the App may have machines of the operator's.
	projects, err := cs.options.Store.Projects(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range projects {
		if p.Account != 0 {
			ids = append(ids, p.Account)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Account implements pool.Accounts. An account whose own token cannot be opened has no other: its machines are in its own project.
// That is a task.TokenError.
func (cs *clouds) Account(ctx context.Context, id int64) (*pool.Account, error) {
	a, err := cs.options.Store.Account(ctx, id)
	if errors.Is(err, task.ErrNotFound) {
		a, err = task.Account{ID: id}, nil
	}
	if err != nil {
		return nil, err
	}
	token, own := cs.token, len(a.Token) > 0
	if own {
		opened, err := cs.options.Vault.unseal(a.SealedFor(), a.Token)
		if err != nil {
			cs.tell(fmt.Sprint(a.ID, a.Set), func() {
				zerolog.Ctx(ctx).Error().Err(err).Int64("account", a.ID).Msg("an account's token for Hetzner cannot be opened: no machine is made for it, and none let go")
			})
			return nil, task.TokenError{Account: id, Why: reasonClosed(err), Err: err}
		}
		token = string(opened)
	}
	if token == "" {
		return nil, nil //nolint:nilnil // pool.Accounts says that it means: no way
	}
	m := cs.machines.of(a)
	return &pool.Account{
		Provider: cs.project(id, token, own).Account(id), Candidates: m.candidates, Image: cs.config.Image, SSHKeys: cs.config.SSHKeys,
		Caps: m.caps, Keeper: m.keeper, Schedule: m.schedule, Memory: int64(cs.config.Memory), UserData: cs.userData,
		Withdrawn: a.Withdrawn, Gone: func(ctx context.Context) error { return cs.gone(ctx, a) },
	}, nil
}

// project is the one of a token, the same for all accounts that have it. own says that it is the account's own, and not the operator's.
func (cs *clouds) project(account int64, token string, own bool) *hetzner.Project {
	hash := tokenHash(sha256.Sum256([]byte(token)))
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if before, had := cs.own[account]; had && (!own || before != hash) {
		cs.disown(account)
	}
	if own {
		cs.own[account] = hash
	}
	p := cs.projects[hash]
	if p == nil {
		p = newHetzner(cs.config.Endpoint, token, cs.options.Installation, cs.options.Transport)
		cs.projects[hash] = p
	}
	return p
}

// disown forgets an account's own token. Whoever else has the same one asks Hetzner anew.
func (cs *clouds) disown(account int64) {
	delete(cs.projects, cs.own[account])
	delete(cs.own, account)
}

// userData is pool.Account's: what a machine is told, with a token that is made now.
func (cs *clouds) userData(node string, now time.Time) func(cloud.Architecture) (string, error) {
	told := cloudinit.Config{
		Boot: cloudinit.Boot{
			Node: node, Gateway: cs.options.Public, Token: cs.options.Keys.BootstrapToken(node, now), Made: now, Memory: int64(cs.config.Memory),
			Image: cs.config.WorkspaceImage,
		},
		Programs: cs.options.Programs,
	}
	return func(a cloud.Architecture) (string, error) {
		if err := unreachable(cs.config, cs.options.Public); err != nil {
			return "", err
		}
		cs.options.Prepare(a)
		return told.UserData(a)
	}
}

// gone forgets the token of an account that has no machine any more, unless another was set meanwhile.
func (cs *clouds) gone(ctx context.Context, was task.Account) error {
	again := false
	_, err := cs.options.Store.ChangeAccount(ctx, was.ID, func(a task.Account) (task.Account, error) {
		if again = !a.Withdrawn || !bytes.Equal(a.Token, was.Token); again {
			return a, nil
		}
		return a.Gone(), nil
	})
	if err != nil || again {
		return err
	}
	cs.mu.Lock()
	cs.disown(was.ID)
	cs.mu.Unlock()
	zerolog.Ctx(ctx).Info().Int64("account", was.ID).Msg("the account has no machine any more, and its token is forgotten")
	return nil
}

// tell calls say, which logs what is wrong, once.
func (cs *clouds) tell(what string, say func()) {
	cs.mu.Lock()
	_, told := cs.told[what]
	cs.told[what] = struct{}{}
	cs.mu.Unlock()
	if !told {
		say()
	}
}
