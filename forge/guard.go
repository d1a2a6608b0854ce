package forge

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v62/github"
	"golang.org/x/sync/errgroup"

	"sam/task"
)

// Guarded says why SAM must not push to a branch, "" when it may: it is the default branch, or a protected one, or the
// repository is not the one with that id any more. GitHub is asked anew each time. Whoever asks says whether the branch exists: when
// it does and GitHub does not find it, as at times right after it was made, that is an error.
func (f *Forge) Guarded(ctx context.Context, p task.Project, branch string, exists bool) (string, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return "", err
	}
	var repository *github.Repository
	var protected bool
	group, within := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		repository, _, err = client.Repositories.Get(within, p.Owner, p.Name)
		return err
	})
	group.Go(func() error {
		found, res, err := client.Repositories.GetBranch(within, p.Owner, p.Name, branch, 1)
		if res != nil && res.StatusCode == http.StatusNotFound && !exists { // it will be created, and GitHub's rules for that hold then
			return nil
		}
		protected = found.GetProtected()
		return err
	})
	if err := group.Wait(); err != nil {
		return "", fmt.Errorf("ask whether %s of %s is protected: %w", branch, p.FullName(), err)
	}
	switch {
	case repository.GetID() != p.ID:
		return fmt.Sprintf("%s is another repository by now than the one that this task is for", p.FullName()), nil
	case strings.EqualFold(branch, repository.GetDefaultBranch()):
		return fmt.Sprintf("%s is the default branch, and SAM never pushes there", branch), nil
	case protected:
		return fmt.Sprintf("%s is protected, and SAM never pushes to a protected branch", branch), nil
	}
	return "", nil
}
