package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"sam/task"
)

// Installation takes the App's being installed and removed, and repositories being added and taken away: a project
// appears where SAM is installed. The payload only says that something changed; what is true now is asked of GitHub,
// so these events may come late, twice and out of order.
type Installation struct{ Base }

// Handles implements event.
func (Installation) Handles() []string { return []string{"installation", "installation_repositories"} }

type installed struct {
	Installation int64 `json:"installation"`
}

// Reduce implements event.
func (h Installation) Reduce(_ string, payload []byte) ([]byte, error) {
	var e struct {
		Action       string `json:"action"`
		Installation struct {
			ID    int64 `json:"id"`
			AppID int64 `json:"app_id"`
		} `json:"installation"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	if err := missing(map[string]bool{"action": e.Action != "", "installation.id": e.Installation.ID != 0}); err != nil {
		return nil, err
	}
	return keep(installed{e.Installation.ID})
}

// Handle implements event.
func (h Installation) Handle(ctx context.Context, d task.Delivery) error {
	var i installed
	if err := json.Unmarshal(d.Body, &i); err != nil {
		return fmt.Errorf("decode delivery %s: %w", d.ID, err)
	}
	now, err := h.GitHub.Projects(ctx, i.Installation)
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	before, err := h.Store.InstallationProjects(ctx, i.Installation)
	if err != nil {
		return err
	}
	still := map[int64]bool{}
	for _, p := range now {
		still[p.ID] = true
		if err := h.Store.SaveProject(ctx, p); err != nil {
			return err
		}
	}
	removed := 0
	for _, p := range before {
		// A project that another installation has taken over meanwhile is that one's: the App was removed and installed
		// anew, or the repository transferred, and this event comes late.
		if still[p.ID] || p.Installation != i.Installation {
			continue
		}
		removed++
		if err := h.Store.RemoveProject(ctx, p); err != nil {
			return err
		}
	}
	zerolog.Ctx(ctx).Info().Int64("installation", i.Installation).Int("projects", len(now)).Int("removed", removed).
		Msg("the installation's projects are up to date")
	return nil
}
