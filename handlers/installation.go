package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rs/zerolog"

	"sam/task"
)

// Installation takes the App's being installed, suspended and removed, and repositories being added and taken away: a
// project appears where SAM is installed. The payload only says that something changed; what is true now is asked of
// GitHub, so these events may come late, twice and out of order.
type Installation struct{ Base }

// Handles implements event.
func (Installation) Handles() []string { return []string{"installation", "installation_repositories"} }

type installed struct {
	Installation int64 `json:"installation"`
	Account      int64 `json:"account,omitempty"` // that it is on; 0 where an older release kept the delivery
}

// Reduce implements event.
func (h Installation) Reduce(_ string, payload []byte) ([]byte, error) {
	var e struct {
		Action       string `json:"action"`
		Installation struct {
			ID      int64 `json:"id"`
			AppID   int64 `json:"app_id"`
			Account struct {
				ID int64 `json:"id"`
			} `json:"account"`
		} `json:"installation"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	if err := missing(map[string]bool{"action": e.Action != "", "installation.id": e.Installation.ID != 0}); err != nil {
		return nil, err
	}
	return keep(installed{e.Installation.ID, e.Installation.Account.ID})
}

// Handle implements event.
func (h Installation) Handle(ctx context.Context, d task.Delivery) error {
	var i installed
	if err := json.Unmarshal(d.Body, &i); err != nil {
		return fmt.Errorf("decode delivery %s: %w", d.ID, err)
	}
	return h.refresh(ctx, d.Event, i.Installation, i.Account)
}

// Why the tasks of a project end with its installation, for the person.
const (
	whySuspended = "SAM's installation was suspended by the account's owner, so it can neither read nor push. Ask again when it is active."
	whyRemoved   = "SAM has no access to this repository any more: it was removed from it, or the repository was deleted or moved to another account."
)

// refresh makes the projects of an installation what GitHub says that they are. Machines go before credentials do: a
// project that is gone has its tasks ended first, and is forgotten by a later look once none is left. The accounts are those that are
// known to have the installation, beside those of its projects.
func (b Base) refresh(ctx context.Context, event string, installation int64, accounts ...int64) error {
	log := zerolog.Ctx(ctx).With().Int64("installation", installation).Logger()
	before, err := b.Store.InstallationProjects(ctx, installation)
	if err != nil {
		return err
	}
	now, err := b.GitHub.Projects(ctx, installation)
	if errors.Is(err, task.ErrSuspended) {
		log.Warn().Int("projects", len(before)).Msg("the installation is suspended")
		for _, p := range before {
			if _, err := b.endAll(ctx, p, event, whySuspended); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	still := map[int64]bool{}
	for _, p := range now {
		still[p.ID] = true
		if err := b.adopt(ctx, event, p); err != nil {
			return err
		}
	}
	uninstalled := err != nil
	var gone []task.Project
	leaving := 0
	for _, p := range before {
		// A project that another installation has taken over meanwhile is that one's: the App was removed and installed
		// anew, or the repository transferred, and this event comes late.
		if still[p.ID] || p.Installation != installation {
			continue
		}
		none, err := b.endAll(ctx, p, event, whyRemoved)
		if err != nil {
			return err
		}
		if !none {
			leaving++
			continue
		}
		gone = append(gone, p)
	}
	if uninstalled && leaving == 0 {
		for _, p := range gone {
			accounts = append(accounts, p.Account)
		}
		if err := b.withdraw(ctx, installation, accounts); err != nil {
			return err
		}
	}
	for _, p := range gone { // at last: whoever dies before this does it all again
		if err := b.Store.RemoveProject(ctx, p); err != nil {
			return err
		}
	}
	level := zerolog.InfoLevel
	if event == sweepEvent && len(gone)+leaving == 0 {
		level = zerolog.DebugLevel // looked at every few minutes, and nothing to tell
	}
	log.WithLevel(level).Int("projects", len(now)).Int("removed", len(gone)).Int("leaving", leaving).Msg("the installation's projects are up to date")
	return nil
}

// withdraw has the machines go of accounts that have removed an installation, and then their tokens be forgotten.
func (b Base) withdraw(ctx context.Context, installation int64, accounts []int64) error {
	projects, err := b.Store.Projects(ctx)
	if err != nil {
		return err
	}
	slices.Sort(accounts)
	for _, account := range slices.Compact(accounts) {
		anew := slices.ContainsFunc(projects, func(p task.Project) bool { return p.Account == account && p.Installation != installation })
		if account == 0 || anew {
			continue
		}
		if err := b.Store.AccountLeft(ctx, account); err != nil {
			return err
		}
	}
	return nil
}

// adopt records a project as GitHub describes it now. One that went to another account takes none of its tasks along: they
// were asked for, and are paid for, by the one that it left.
func (b Base) adopt(ctx context.Context, event string, p task.Project) error {
	before, err := b.Store.Project(ctx, p.ID)
	switch {
	case err != nil && !errors.Is(err, task.ErrNotFound):
		return err
	case err == nil && before == p:
		return nil
	case err == nil && before.Account != p.Account:
		why := fmt.Sprintf("The repository went from %s to %s. Ask again there.", before.FullName(), p.FullName())
		if _, err := b.endAll(ctx, p, event, why); err != nil {
			return err
		}
	case err == nil && before.FullName() != p.FullName():
		zerolog.Ctx(ctx).Info().Str("before", before.FullName()).Str("repository", p.FullName()).Msg("the repository has a new name")
	}
	return b.Store.SaveProject(ctx, p)
}
