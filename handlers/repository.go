package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"sam/task"
)

// Repository takes what changes a repository as a whole: its name, its owner, whom it is shown to, and its end. Like the
// events of installations these only say that something changed; what is true now is asked of GitHub.
type Repository struct{ Base }

// repositoryActions are those that change what a project's record says.
var repositoryActions = []string{"renamed", actionTransferred, actionDeleted, actionEdited, "privatized", "publicized"}

// Handles implements event.
func (Repository) Handles() []string { return []string{"repository"} }

// Reduce implements event.
func (h Repository) Reduce(_ string, payload []byte) ([]byte, error) {
	var e struct {
		Action     string `json:"action"`
		Repository struct {
			ID int64 `json:"id"`
		} `json:"repository"`
		Installation struct {
			ID int64 `json:"id"`
		} `json:"installation"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	if e.Action != "" && !slices.Contains(repositoryActions, e.Action) {
		return nil, nil
	}
	if err := missing(map[string]bool{
		"action": e.Action != "", "repository.id": e.Repository.ID != 0, "installation.id": e.Installation.ID != 0,
	}); err != nil {
		return nil, err
	}
	return keep(asked{Action: e.Action, Installation: e.Installation.ID, Repository: e.Repository.ID})
}

// Handle implements event. A repository that went to another account is looked for with both: the event may come from
// either, and only one of them has it.
func (h Repository) Handle(ctx context.Context, d task.Delivery) error {
	var a asked
	if err := json.Unmarshal(d.Body, &a); err != nil {
		return fmt.Errorf("decode delivery %s: %w", d.ID, err)
	}
	before, err := h.Store.Project(ctx, a.Repository)
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return err
	}
	if err := h.refresh(ctx, "repository", a.Installation); err != nil {
		return err
	}
	if before.Installation == 0 || before.Installation == a.Installation {
		return nil
	}
	return h.refresh(ctx, "repository", before.Installation)
}
