package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sam/seal"
	"sam/store"
	"sam/task"
)

func newSecret() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Set, list and remove the secrets that a project's workspaces are given",
		Long: "Secrets are values for the environment of a project's workspaces. They are sealed in Redis. A workspace is given those that\n" +
			".github/sam.yml on the project's default branch lists under environment. docs/secrets.md says who can read them then.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretSet(), newSecretList(), newSecretRemove())
	return cmd
}

func newSecretSet() *cobra.Command {
	var path, file string
	cmd := &cobra.Command{
		Use:   "set OWNER/NAME NAME",
		Short: "Set a secret of a project to what stands on standard input, or in a file",
		Long: "Set a secret of a project to what stands on standard input, or in a file. One line's end behind it is no part of it. It is\n" +
			"never an argument: whoever can list the machine's processes would read it.",
		Example: "  sam secret set octo/hello API_TOKEN --file token.txt\n  pass show api | sam secret set octo/hello API_TOKEN",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if why := task.NotSecretName(args[1]); why != "" {
				return errors.New(why)
			}
			value, err := readSecret(cmd, file)
			if err != nil {
				return err
			}
			return withStore(cmd, path, func(ctx context.Context, s *store.Store, ring seal.Ring) error {
				return setSecret(ctx, s, ring, args[0], task.Secret{Name: args[1], Value: value}, cmd.OutOrStdout())
			})
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&file, "file", "", "read the value from `FILE` instead of standard input")
	return cmd
}

// readSecret reads a value and checks it.
func readSecret(cmd *cobra.Command, file string) (string, error) {
	in := cmd.InOrStdin()
	if file != "" {
		opened, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read the value: %w", err)
		}
		defer func() { _ = opened.Close() }() // nothing was written
		in = opened
	} else if isInput(in) {
		fmt.Fprintln(cmd.ErrOrStderr(), "Type or paste the value, which is shown, then Enter and Ctrl-D:")
	}
	data, err := io.ReadAll(io.LimitReader(in, task.MaxSecret+3))
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if why := task.NotSecretValue(value); why != "" {
		return "", errors.New(why)
	}
	return value, nil
}

// isInput reports whether a person types what is read.
func isInput(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func setSecret(ctx context.Context, s *store.Store, ring seal.Ring, repository string, secret task.Secret, out io.Writer) error {
	p, err := findProject(ctx, s, repository)
	if err != nil {
		return err
	}
	one := task.SealedSecret{Project: p.ID, Account: p.Account, Name: secret.Name, Set: time.Now()}
	if one.Sealed, err = ring.Seal(one.Owner(), []byte(secret.Value)); err != nil {
		return err
	}
	all, err := s.Secrets(ctx, p.ID)
	if err != nil {
		return err
	}
	bytes := len(one.Sealed) // a little more than the values have
	for _, other := range all {
		if other.Replaced.IsZero() && other.Name != one.Name {
			bytes += len(other.Sealed)
		}
	}
	if bytes > task.MaxAllSecrets {
		return fmt.Errorf("the secrets of %s would have %d bytes together and may have %d: remove one with `sam secret remove`", p.FullName(), bytes, task.MaxAllSecrets)
	}
	switch err := s.PutSecret(ctx, one); {
	case errors.Is(err, task.ErrTooManySecrets):
		return fmt.Errorf("%s has %d secrets, and no project may have more: remove one with `sam secret remove`", p.FullName(), task.MaxSecrets)
	case err != nil:
		return err
	}
	fmt.Fprintf(out, "%s of %s is set. Tasks that are placed from now on have it, if .github/sam.yml on the default branch lists it under environment.\n", one.Name, p.FullName())
	return nil
}

func newSecretList() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "list OWNER/NAME",
		Short: "List the names of a project's secrets; their values are never shown",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, path, func(ctx context.Context, s *store.Store, ring seal.Ring) error {
				return listSecrets(ctx, s, ring, args[0], cmd.OutOrStdout())
			})
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func listSecrets(ctx context.Context, s *store.Store, ring seal.Ring, repository string, out io.Writer) error {
	p, err := findProject(ctx, s, repository)
	if err != nil {
		return err
	}
	all, err := s.Secrets(ctx, p.ID)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSET\tKEY\tSTATE")
	for _, one := range all {
		if !one.Replaced.IsZero() {
			continue
		}
		state := "ready"
		id, err := seal.KeyOf(one.Sealed)
		if err == nil {
			_, err = ring.Open(one.Owner(), one.Sealed)
		}
		switch {
		case err != nil:
			state = "cannot be opened: " + err.Error()
		case one.Account != p.Account:
			state = "not given: set while another account owned the repository; set it again"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", one.Name, one.Set.UTC().Format("2006-01-02 15:04"), id, state)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("list secrets: %w", err)
	}
	return nil
}

func newSecretRemove() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "remove OWNER/NAME NAME",
		Short: "Remove a secret of a project",
		Long: "Remove a secret of a project. Attempts that have it keep it until they end. Its value stays sealed in Redis for 30 days more,\n" +
			"so that it is still redacted from what agents say.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withStore(cmd, path, func(ctx context.Context, s *store.Store, _ seal.Ring) error {
				p, err := findProject(ctx, s, args[0])
				if err != nil {
					return err
				}
				switch err := s.RemoveSecret(ctx, p.ID, args[1]); {
				case errors.Is(err, task.ErrNotFound):
					return fmt.Errorf("%s has no secret %s: `sam secret list %s` shows those it has", p.FullName(), args[1], p.FullName())
				case err != nil:
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s of %s is removed.\n", args[1], p.FullName())
				return nil
			})
		},
	}
	configFlag(cmd, &path)
	return cmd
}

// findProject finds a project by the name that GitHub has for its repository.
func findProject(ctx context.Context, s *store.Store, repository string) (task.Project, error) {
	projects, err := s.Projects(ctx)
	if err != nil {
		return task.Project{}, err
	}
	projects = slices.DeleteFunc(projects, func(p task.Project) bool { return !strings.EqualFold(p.FullName(), repository) })
	switch {
	case len(projects) == 1:
		return projects[0], nil
	case len(projects) > 1: // one of them has another name by now, and a secret must not go to the wrong one
		return task.Project{}, fmt.Errorf("SAM knows two repositories as %q, since one was renamed and another took its name; a server that runs learns their names within minutes: try again then", repository)
	}
	return task.Project{}, fmt.Errorf("SAM is not installed on %q, as far as it knows: give OWNER/NAME as GitHub has it now, and install the App there first", repository)
}
