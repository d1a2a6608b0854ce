package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/runner/cloud"
	"sam/runner/cloud/hetzner"
	"sam/seal"
	"sam/store"
	"sam/task"
)

func newAccount() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Set with whose token, and within what limits, machines are made for an account",
		Long: "Set with whose token, and within what limits, machines of Hetzner's are made for an account of GitHub's: a user or an\n" +
			"organisation. ACCOUNT is its login, where SAM is installed on one of its repositories, or GitHub's id of it.\n" +
			"docs/accounts.md says what it costs and who may know the token.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newAccountSet(), newAccountShow(), newAccountList(), newAccountRemove())
	return cmd
}

// accounts is what the commands about accounts work with: the server's configuration, its Redis and its keys.
type accounts struct {
	config    config.Server
	machines  machines
	token     string // the operator's, "" for none
	store     *store.Store
	vault     *vault
	ring      seal.Ring
	transport *http.Transport
}

// withAccounts runs a command about accounts. It needs no keys, as long as nothing is sealed or opened.
func withAccounts(cmd *cobra.Command, path string, run func(context.Context, accounts) error) error {
	c, ring, err := loadServer(path)
	if err != nil {
		return err
	}
	a := accounts{config: c, ring: ring, transport: newTransport()}
	defer a.transport.CloseIdleConnections()
	if a.machines, err = newMachines(c.Hetzner); err != nil {
		return err
	}
	if c.Hetzner.TokenFile != "" {
		if a.token, err = readHetznerToken("hetzner.token_file", c.Hetzner.TokenFile); err != nil {
			return err
		}
	}
	return useStore(cmd, c, func(ctx context.Context, s *store.Store) error {
		a.store, a.vault = s, newVault(s, c.Keys, ring)
		return run(ctx, a)
	})
}

// who is an account of GitHub's. Its login is "" when SAM does not know it.
type who struct {
	id    int64
	login string
}

func (w who) String() string {
	if w.login == "" {
		return fmt.Sprintf("account %d", w.id)
	}
	return fmt.Sprintf("%s (account %d)", w.login, w.id)
}

// find finds an account by its login or its id.
func (a accounts) find(ctx context.Context, text string) (who, error) {
	logins, err := a.logins(ctx)
	if err != nil {
		return who{}, err
	}
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
		return who{id, logins[id]}, nil // a login of digits alone has to be given as its id, too
	}
	var found []string
	var one who
	for id, login := range logins {
		if login != "" && strings.EqualFold(login, text) {
			one, found = who{id, login}, append(found, strconv.FormatInt(id, 10))
		}
	}
	switch {
	case len(found) == 1:
		return one, nil
	case len(found) > 1: // and a token must not go to the wrong one
		slices.Sort(found)
		return who{}, fmt.Errorf("SAM knows the accounts %s as %q, since one was renamed and another took its name: give GitHub's id", strings.Join(found, " and "), text)
	}
	return who{}, fmt.Errorf("SAM is not installed on a repository of %q, as far as it knows: give GitHub's id of the account instead, which %susers/LOGIN tells", text, a.config.GitHub.APIURL)
}

// logins are those of all accounts that SAM knows, by id.
func (a accounts) logins(ctx context.Context) (map[int64]string, error) {
	known := map[int64]string{}
	set, _, err := a.store.Accounts(ctx) // an account whose record cannot be read is known by its projects
	if err != nil {
		return nil, err
	}
	for _, one := range set {
		known[one.ID] = one.Login
	}
	projects, err := a.store.Projects(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range projects {
		known[p.Account] = p.Owner
	}
	return known, nil
}

// record is what was set for an account, its zero but for the ID when nothing was.
func (a accounts) record(ctx context.Context, id int64) (task.Account, error) {
	r, err := a.store.Account(ctx, id)
	if errors.Is(err, task.ErrNotFound) {
		return task.Account{ID: id}, nil
	}
	return r, err
}

// provider is the one by which an account's machines are made now; nil when there is no token. task.TokenError.
func (a accounts) provider(r task.Account) (cloud.Provider, error) {
	token := a.token
	if len(r.Token) > 0 {
		opened, err := a.vault.unseal(r.SealedFor(), r.Token)
		if err != nil {
			return nil, task.TokenError{Account: r.ID, Why: err.Error(), Err: err}
		}
		token = string(opened)
	}
	if token == "" {
		return nil, nil //nolint:nilnil // as the comment says
	}
	return a.by(token, r.ID), nil
}

func (a accounts) by(token string, account int64) cloud.Provider {
	return a.project(token).Account(account)
}

func (a accounts) project(token string) *hetzner.Project {
	return newHetzner(a.config.Hetzner.Endpoint, token, installationOf(a.config.GitHub), a.transport)
}

func newAccountRemove() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "remove ACCOUNT",
		Short: "Withdraw an account's token: its machines go, then the token",
		Long: "Withdraw an account's token. No machine is made any more, those that there are are let go at once with what they work on,\n" +
			"and when none is left SAM forgets the token. The server does that; it takes a minute or two. Of an account that has neither\n" +
			"token nor machines the limits are forgotten.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAccounts(cmd, path, func(ctx context.Context, a accounts) error {
				w, err := a.find(ctx, args[0])
				if err != nil {
					return err
				}
				said, err := a.remove(ctx, w)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), said)
				}
				return err
			})
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// remove withdraws what an account has, and says what comes of it.
func (a accounts) remove(ctx context.Context, w who) (string, error) {
	r, err := a.record(ctx, w.id)
	if err != nil {
		return "", err
	}
	names, err := machineNames(ctx, a.store, w.id)
	if err != nil {
		return "", err
	}
	if len(r.Token) == 0 && len(names) == 0 {
		if r.None() {
			return "", fmt.Errorf("nothing is set for %s, and it has no machine: `sam account list` shows for whom there is", w)
		}
		_, err := a.store.ChangeAccount(ctx, w.id, func(now task.Account) (task.Account, error) {
			if len(now.Token) > 0 {
				return now, fmt.Errorf("a token was just set for %s: run this again to withdraw it", w)
			}
			return task.Account{}, nil
		})
		return fmt.Sprintf("What was set for %s is forgotten: the server's configuration holds for it.", w), err
	}
	if err := a.store.WithdrawAccount(ctx, w.id); err != nil {
		return "", err
	}
	said := fmt.Sprintf("No machine is made for %s any more.", w)
	if len(names) > 0 {
		said += fmt.Sprintf(" The server lets go of %s now: %s.", many(len(names), "machine"), strings.Join(names, ", "))
	}
	if len(r.Token) > 0 {
		said += fmt.Sprintf(" When there is none, it forgets the token; `sam account show %d` says so. Do not delete the token at Hetzner before: machines would be left there.", w.id)
	}
	if a.token != "" {
		said += " After that the operator's token is used for the account, for that is in hetzner.token_file: `sam account set --max-machines 0` keeps it from that."
	}
	return said, nil
}
