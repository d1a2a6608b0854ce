package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sam/config"
	"sam/seal"
	"sam/store"
	"sam/task"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make the keys that seal projects' secrets and accounts' tokens, and change them",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeysNew(), newKeysRotate())
	return cmd
}

func newKeysNew() *cobra.Command {
	return &cobra.Command{
		Use:   "new PATH",
		Short: "Write a new key to a file, or into a folder, for its owner's eyes only",
		Long: "Write a new key to a file, or into a folder by its own name. Name it in keys.files or keys.dir of the configuration of\n" +
			"every replica, and start those again. Keep a copy where no backup of Redis is: without its key nothing opens.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, path, err := seal.Create(args[0], time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Wrote key %s to %s.\nName it in `keys` of the configuration of every replica, then run `sam keys rotate`.\n", k.ID, path)
			return nil
		},
	}
}

func newKeysRotate() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Seal everything anew with the newest key",
		Long: "Seal everything in Redis anew with the newest key, beside running replicas. It may be stopped and run again. Give every\n" +
			"replica the new key first. It says which keys are still needed; the others' files can go when it says so.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(cmd, path, func(ctx context.Context, s *store.Store, ring seal.Ring) error {
				return rotate(ctx, s, ring, cmd.OutOrStdout())
			})
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", os.Getenv("SAM_CONFIG"), "the server's configuration `FILE` (YAML); also SAM_CONFIG")
}

// withStore runs what needs the server's Redis and its keys, and no more of the server. It refuses a configuration without keys.
func withStore(cmd *cobra.Command, path string, run func(context.Context, *store.Store, seal.Ring) error) error {
	c, ring, err := loadServer(path)
	if err != nil {
		return err
	}
	if ring.Newest() == "" {
		return config.Error{Key: "keys", Why: "names no key: make one with `sam keys new` and give its file in keys.files"}
	}
	return useStore(cmd, c, func(ctx context.Context, s *store.Store) error { return run(ctx, s, ring) })
}

// loadServer reads the server's configuration for a command beside it, and the keys that it names, which may be none.
func loadServer(path string) (config.Server, seal.Ring, error) {
	c, err := config.Load(path, os.Environ())
	if err != nil && path == "" {
		err = fmt.Errorf("%w\nNo configuration was named: give the server's by --config FILE, or by SAM_CONFIG", err)
	}
	if err != nil {
		return c, seal.Ring{}, err
	}
	ring, err := loadKeys(c.Keys)
	return c, ring, err
}

// useStore runs what needs the server's Redis.
func useStore(cmd *cobra.Command, c config.Server, run func(context.Context, *store.Store) error) error {
	c.Log.Level = "warn"
	ctx := newLog(c.Log, cmd.ErrOrStderr()).WithContext(cmd.Context())
	s, err := openStore(ctx, c.Redis, c.Tasks.Keep, nil)
	if err != nil {
		return err
	}
	return errors.Join(run(ctx, s), s.Close())
}

// rotate seals everything that the store keeps under the newest key. Each secret is replaced by itself, and only if it is still
// what was read: whatever else happens to it meanwhile wins, and is looked at again.
func rotate(ctx context.Context, s *store.Store, ring seal.Ring, out io.Writer) error {
	projects, err := s.SealedProjects(ctx)
	if err != nil {
		return err
	}
	slices.Sort(projects)
	secrets := &rotation{ring: ring, needed: map[string]int{}}
	for _, project := range projects {
		done, err := rotateProject(ctx, s, ring, project)
		secrets.anew += done
		if err != nil {
			return fmt.Errorf("%w. %d secrets were sealed anew; run it again to go on", err, secrets.anew)
		}
		all, err := s.Secrets(ctx, project)
		if err != nil {
			return err
		}
		for _, one := range all {
			secrets.look(fmt.Sprintf("%s of project %d", one.Name, project), one.Owner(), one.Sealed)
		}
	}
	tokens, err := rotateAccounts(ctx, s, ring, secrets.needed)
	if err != nil {
		return fmt.Errorf("%w. %d secrets and %d accounts' tokens were sealed anew; run it again to go on", err, secrets.anew, tokens.anew)
	}
	fmt.Fprintf(out, "%d of %d secrets were sealed anew; %d are sealed with %s.\n", secrets.anew, secrets.sealed, secrets.sealed-len(secrets.left), ring.Newest())
	if tokens.sealed > 0 {
		fmt.Fprintf(out, "%d of %d accounts' tokens were sealed anew; %d are sealed with %s.\n", tokens.anew, tokens.sealed, tokens.sealed-len(tokens.left), ring.Newest())
	}
	if left := slices.Concat(secrets.left, tokens.left); len(left) > 0 {
		for _, id := range slices.Sorted(maps.Keys(secrets.needed)) {
			fmt.Fprintf(out, "Key %s is still needed by %d.\n", id, secrets.needed[id])
		}
		return fmt.Errorf("%d secrets are left as they were:\n  %s\nName their keys in `keys` and run it again, or set them again with `sam secret set` and `sam account set`",
			len(left), strings.Join(left, "\n  "))
	}
	if old := ring.IDs()[1:]; len(old) > 0 {
		fmt.Fprintf(out, "Nothing in Redis needs %s any more. A backup of Redis from before does.\n", strings.Join(old, ", "))
	}
	return nil
}

// rotation counts what became of one kind of what is sealed.
type rotation struct {
	ring         seal.Ring
	anew, sealed int
	needed       map[string]int // by other keys, how many
	left         []string       // what is left as it was, and why
}

// look counts one that is there after it was seen to.
func (r *rotation) look(what, owner string, sealed []byte) {
	r.sealed++
	id, err := seal.KeyOf(sealed)
	if err == nil && id == r.ring.Newest() {
		return
	}
	if err == nil {
		r.needed[id]++
		_, err = r.ring.Open(owner, sealed)
	}
	if err == nil {
		err = errors.New("it was set a moment ago")
	}
	r.left = append(r.left, fmt.Sprintf("%s: %v", what, err))
}

// rotateProject seals a project's secrets anew and returns how many. What cannot be opened stays as it is.
func rotateProject(ctx context.Context, s *store.Store, ring seal.Ring, project int64) (done int, err error) {
	for again := true; again; {
		all, err := s.Secrets(ctx, project)
		if err != nil {
			return done, err
		}
		again = false
		for _, was := range all {
			now, ok, err := reseal(ring, was)
			if err != nil {
				return done, err
			}
			if !ok {
				continue
			}
			replaced, err := s.ResealSecret(ctx, was, now)
			if err != nil {
				return done, err
			}
			if replaced {
				done++
			} else {
				again = true // somebody else has changed it
			}
		}
	}
	return done, nil
}

// reseal is a secret under the newest key; false when it is, or cannot be opened.
func reseal(ring seal.Ring, was task.SealedSecret) (now task.SealedSecret, ok bool, err error) {
	now = was
	now.Sealed, ok, err = underNewest(ring, was.Owner(), was.Sealed)
	return now, ok, err
}

// underNewest is what is sealed under the newest key; false when it is, or cannot be opened, of which rotation.look tells.
func underNewest(ring seal.Ring, owner string, sealed []byte) (anew []byte, ok bool, err error) {
	if id, err := seal.KeyOf(sealed); err != nil || id == ring.Newest() {
		return sealed, false, nil //nolint:nilerr // as the comment says
	}
	text, err := ring.Open(owner, sealed)
	if err != nil {
		return sealed, false, nil //nolint:nilerr // likewise
	}
	anew, err = ring.Seal(owner, text)
	return anew, err == nil, err
}
