package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sam/runner/cloud"
	"sam/seal"
	"sam/task"
)

func newAccountShow() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "show ACCOUNT",
		Short: "Show an account's token by its fingerprint, its limits, machines and spending, and what a machine costs",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAccounts(cmd, path, func(ctx context.Context, a accounts) error {
				w, err := a.find(ctx, args[0])
				if err != nil {
					return err
				}
				return a.show(ctx, w, cmd.OutOrStdout())
			})
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func (a accounts) show(ctx context.Context, w who, out io.Writer) error {
	r, err := a.record(ctx, w.id)
	if err != nil {
		return err
	}
	fleet, err := a.store.Fleet(ctx, w.id, time.Now())
	if err != nil {
		return err
	}
	names, err := machineNames(ctx, a.store, w.id)
	if err != nil {
		return err
	}
	m := a.machines.of(r)
	own := func(is bool) string {
		if is {
			return "its own"
		}
		return "the server's"
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("Account", "%s", w)
	row("Token", "%s", a.tokenOf(r))
	row("Machines now", "%d %s", len(names), strings.Join(names, " "))
	row("Machines at most", "%d (%s)", m.caps.Machines, own(r.Machines != nil))
	row("Spent today", "%s of %s (%s)", cloud.Money(fleet.Day), budgetText(m.caps.Daily), own(r.Daily != nil))
	row("Spent this month", "%s of %s (%s)", cloud.Money(fleet.Month), budgetText(m.caps.Monthly), own(r.Monthly != nil))
	row("Policy", "%s (%s)", m.keeper.Name(), own(r.Policy != nil && *r.Policy == m.keeper.Name()))
	if fleet.Obstacle.Why != "" {
		row("Kept from machines", "%s", fleet.Obstacle.Why)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("show %s: %w", w, err)
	}
	fmt.Fprint(out, a.costs(ctx, r))
	return nil
}

// tokenOf says which token an account's machines are made with, and never what it is.
func (a accounts) tokenOf(r task.Account) string {
	switch {
	case len(r.Token) == 0 && a.token == "":
		return "none"
	case len(r.Token) == 0 && r.Withdrawn:
		return "the operator's; withdrawn until the account has no machine"
	case len(r.Token) == 0:
		return "the operator's, of hetzner.token_file"
	}
	text := "its own, set " + r.Set.UTC().Format("2006-01-02 15:04 UTC")
	if opened, err := a.vault.unseal(r.SealedFor(), r.Token); err != nil {
		text += ", which cannot be opened: " + err.Error()
	} else {
		text += ", " + fingerprint(opened)
	}
	if id, err := seal.KeyOf(r.Token); err == nil {
		text += ", sealed with " + id
	}
	if r.Withdrawn {
		text += "; withdrawn: it is forgotten when the account has no machine"
	}
	return text
}

// budgetText is a budget that a sum is of.
func budgetText(sum int64) string {
	if sum < 0 {
		return "no limit"
	}
	return cloud.Money(sum).String()
}

func newAccountList() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts that have a token, limits or machines",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAccounts(cmd, path, func(ctx context.Context, a accounts) error { return a.list(ctx, cmd.OutOrStdout()) })
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func (a accounts) list(ctx context.Context, out io.Writer) error {
	logins, err := a.logins(ctx)
	if err != nil {
		return err
	}
	all, unread, err := a.store.Accounts(ctx)
	if err != nil {
		return err
	}
	with, err := a.store.Fleets(ctx)
	if err != nil {
		return err
	}
	for _, id := range with {
		if unread[id] == nil && !slices.ContainsFunc(all, func(r task.Account) bool { return r.ID == id }) {
			all = append(all, task.Account{ID: id})
		}
	}
	slices.SortFunc(all, func(x, y task.Account) int { return cmp.Compare(x.ID, y.ID) })
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ACCOUNT\tID\tTOKEN\tMACHINES\tTODAY\tTHIS MONTH")
	for _, r := range all {
		fleet, err := a.store.Fleet(ctx, r.ID, time.Now())
		if err != nil {
			return err
		}
		token := "none"
		switch {
		case r.Withdrawn:
			token = "withdrawn"
		case len(r.Token) > 0:
			token = "its own"
		case a.token != "":
			token = "the operator's"
		}
		m := a.machines.of(r)
		fmt.Fprintf(table, "%s\t%d\t%s\t%d of %d\t%s of %s\t%s of %s\n", cmp.Or(logins[r.ID], "?"), r.ID, token, len(fleet.Hours), m.caps.Machines,
			cloud.Money(fleet.Day), budgetText(m.caps.Daily), cloud.Money(fleet.Month), budgetText(m.caps.Monthly))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("list accounts: %w", err)
	}
	return errors.Join(slices.Collect(maps.Values(unread))...)
}
