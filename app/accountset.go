package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/runner/cloud"
	"sam/runner/cloud/hetzner"
	"sam/runner/policy"
	"sam/seal"
	"sam/task"
)

// accountAsk is what `sam account set` is asked for; "" leaves as it is.
type accountAsk struct {
	tokenFile, machines, daily, monthly, policy string
	abandon                                     bool
}

func newAccountSet() *cobra.Command {
	var path string
	var ask accountAsk
	cmd := &cobra.Command{
		Use:   "set ACCOUNT",
		Short: "Set an account's token for Hetzner, and its limits",
		Long: "Set an account's token for Hetzner, and its limits. A token is of a project of Hetzner's, with read and write access (Cloud\n" +
			"Console, Security, API tokens). It is asked of Hetzner whether it is good before it is kept, sealed; then it is shown what a\n" +
			"machine costs and what the limits let it come to. The token is never an argument: whoever can list the machine's\n" +
			"processes would read it. A limit that is `default` is the server's again.",
		Example: "  sam account set octo --hetzner-token-file token.txt --daily-budget 2.50\n  sam account set 583231 --max-machines 0",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := ask.notEmpty(cmd.Flags().Changed); err != nil {
				return err
			}
			change, err := ask.limits()
			if err != nil {
				return err
			}
			return withAccounts(cmd, path, func(ctx context.Context, a accounts) error {
				w, err := a.find(ctx, args[0])
				if err != nil {
					return err
				}
				return a.set(ctx, w, ask, change, cmd.OutOrStdout())
			})
		},
	}
	configFlag(cmd, &path)
	flags := cmd.Flags()
	flags.StringVar(&ask.tokenFile, "hetzner-token-file", "", "read the account's own token from `FILE`, one line")
	flags.StringVar(&ask.machines, "max-machines", "", "at most `N` machines at once; 0: none")
	flags.StringVar(&ask.daily, "daily-budget", "", "at most `EUR` in a day of UTC, such as 2.50; 0: none may be spent; or unlimited")
	flags.StringVar(&ask.monthly, "monthly-budget", "", "at most `EUR` in a month of UTC, likewise")
	flags.StringVar(&ask.policy, "policy", "", "for how long idle machines are kept: `POLICY`, as in `sam simulate`")
	flags.BoolVar(&ask.abandon, "abandon", false, "leave machines that nobody's token reaches any more: you delete them yourself")
	return cmd
}

// notEmpty refuses a flag that is there and says nothing, as one does whose variable is not set: what it was to change would stay as
// it is, and nobody would know.
func (ask accountAsk) notEmpty(given func(flag string) bool) error {
	for _, one := range []struct{ flag, text string }{
		{"hetzner-token-file", ask.tokenFile}, {"max-machines", ask.machines}, {"daily-budget", ask.daily}, {"monthly-budget", ask.monthly}, {"policy", ask.policy},
	} {
		if given(one.flag) && one.text == "" {
			return fmt.Errorf("--%s is empty: give it a value, or leave it out", one.flag)
		}
	}
	return nil
}

// byDefault is the word for a limit that is the server's again.
const byDefault = "default"

// limits reads what is asked for, and returns what makes it of an account.
func (ask accountAsk) limits() (func(*task.Account), error) {
	var all []func(*task.Account)
	if ask.machines != "" {
		var most *int
		if ask.machines != byDefault {
			n, err := strconv.Atoi(ask.machines)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("--max-machines %s: it is a whole number, 0 for none, or %s", ask.machines, byDefault)
			}
			most = &n
		}
		all = append(all, func(a *task.Account) { a.Machines = most })
	}
	for _, one := range []struct {
		flag, text string
		of         func(*task.Account) **int64
	}{
		{"--daily-budget", ask.daily, func(a *task.Account) **int64 { return &a.Daily }},
		{"--monthly-budget", ask.monthly, func(a *task.Account) **int64 { return &a.Monthly }},
	} {
		if one.text == "" {
			continue
		}
		var sum *int64
		if one.text != byDefault {
			b, err := config.ParseBudget(one.text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w, or %s", one.flag, err, byDefault)
			}
			millionths := int64(b)
			sum = &millionths
		}
		all = append(all, func(a *task.Account) { *one.of(a) = sum })
	}
	if ask.policy != "" {
		var name *string
		if ask.policy != byDefault {
			if _, err := policy.Named(ask.policy); err != nil {
				return nil, fmt.Errorf("--policy: %w, or %s", err, byDefault)
			}
			name = &ask.policy
		}
		all = append(all, func(a *task.Account) { a.Policy = name })
	}
	if ask.abandon && ask.tokenFile == "" {
		return nil, errors.New("--abandon goes with --hetzner-token-file: it is about machines that a new token does not reach")
	}
	if len(all) == 0 && ask.tokenFile == "" {
		return nil, errors.New("nothing is to be set: give --hetzner-token-file, --max-machines, --daily-budget, --monthly-budget or --policy")
	}
	return func(a *task.Account) {
		for _, change := range all {
			change(a)
		}
	}, nil
}

// set checks what is asked for and keeps it, then shows the estimate and the caps.
func (a accounts) set(ctx context.Context, w who, ask accountAsk, limits func(*task.Account), out io.Writer) error {
	was, err := a.record(ctx, w.id)
	if err != nil {
		return err
	}
	wanted := was
	limits(&wanted)
	change := limits
	var said string
	var cost *estimate
	if ask.tokenFile != "" {
		token, err := readHetznerToken("--hetzner-token-file", ask.tokenFile)
		if err != nil {
			return err
		}
		e, err := a.admit(ctx, was, token, wanted, ask.abandon)
		if err != nil {
			return err
		}
		sealed, err := a.ring.Seal(was.SealedFor(), []byte(token))
		if err != nil {
			return fmt.Errorf("seal the token of %s: %w", w, err)
		}
		now := time.Now()
		change = func(r *task.Account) {
			limits(r)
			r.Token, r.Set, r.Withdrawn = sealed, now, false
		}
		said, cost = fmt.Sprintf("The token of %s is set (%s). It may read and write.\n", w, fingerprint([]byte(token))), &e
	}
	set, err := a.store.ChangeAccount(ctx, w.id, func(r task.Account) (task.Account, error) {
		change(&r)
		if w.login != "" {
			r.Login = w.login
		}
		return r, nil
	})
	if err != nil {
		return err
	}
	// What kept it from machines before may do so no more.
	if err := a.store.NoteObstacle(ctx, w.id, task.Obstacle{}); err != nil {
		return err
	}
	if said == "" {
		said = fmt.Sprintf("The limits of %s are set.\n", w)
	}
	if w.login == "" {
		said += "SAM knows no repository of it: check the id, or install the App there.\n"
	}
	if set.Withdrawn {
		said += "Its token is withdrawn: it has no machine until another is set.\n"
	}
	fmt.Fprint(out, said)
	if cost == nil {
		fmt.Fprint(out, a.costs(ctx, set))
		return nil
	}
	fmt.Fprint(out, cost.lines())
	return nil
}

// admit asks Hetzner whether a token is good for the account: it may read and write, machines as they are configured can be had in its
// project, and none is left in another.
func (a accounts) admit(ctx context.Context, was task.Account, token string, wanted task.Account, abandon bool) (e estimate, err error) {
	if a.ring.Newest() == "" {
		return e, fmt.Errorf("the token would be kept sealed: %w", seal.ErrNoKey)
	}
	if err := unreachable(a.config.Hetzner, a.config.Public.URL); err != nil {
		return e, err
	}
	fresh := a.project(token).Account(was.ID)
	if err := checkToken(ctx, fresh); err != nil {
		return e, err
	}
	if e, err = newEstimate(ctx, fresh, a.machines.of(wanted), int64(a.config.Hetzner.Memory)); err != nil {
		return e, err
	}
	before, _ := a.provider(was) // one whose token cannot be opened is worth as much as none
	return e, mayReplace(ctx, a.store, was.ID, fresh, before, abandon)
}

// checkToken asks Hetzner whether a token may read and write.
func checkToken(ctx context.Context, p hetzner.Provider) error {
	err := p.Check(ctx)
	var refused cloud.CredentialError
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("whether the token is good could not be asked of Hetzner, so it is not set: %w. Try again", err)
	}
	return err
}

// costs are the estimate and the caps of an account as it is now, or why they cannot be told.
func (a accounts) costs(ctx context.Context, r task.Account) string {
	p, err := a.provider(r)
	if p == nil && err == nil {
		return "It has no token, and there is none of the operator's: no machine is made for it. Set one with `sam account set --hetzner-token-file`.\n"
	}
	var e estimate
	if err == nil {
		e, err = newEstimate(ctx, p, a.machines.of(r), int64(a.config.Hetzner.Memory))
	}
	if err != nil {
		return fmt.Sprintf("What a machine costs cannot be told: %v.\n", err)
	}
	return e.lines()
}
