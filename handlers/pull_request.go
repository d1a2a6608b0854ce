package handlers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// PullRequest takes the end of a pull request, merged or not: a task that works on its branch has nowhere to go.
type PullRequest struct{ Base }

// Handles implements event.
func (PullRequest) Handles() []string { return []string{"pull_request"} }

// Reduce implements event.
func (h PullRequest) Reduce(_ string, payload []byte) ([]byte, error) {
	var e github.PullRequestEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	if e.GetAction() != actionClosed {
		return nil, missing(map[string]bool{"action": e.GetAction() != ""})
	}
	if err := missing(map[string]bool{
		"number": e.GetNumber() != 0, "repository.id": e.GetRepo().GetID() != 0, "installation.id": e.GetInstallation().GetID() != 0,
	}); err != nil {
		return nil, err
	}
	return keep(asked{Action: actionClosed, Installation: e.GetInstallation().GetID(), Repository: e.GetRepo().GetID(), Number: e.GetNumber(), OnPull: true})
}

// Handle implements event.
func (h PullRequest) Handle(ctx context.Context, d task.Delivery) error {
	a, p, ok, err := h.read(ctx, d)
	if err != nil || !ok {
		return err
	}
	return h.lookAgain(ctx, p, "pull_request", d.At, func(t task.Task) bool { return t.Number == a.Number || t.Pull == a.Number })
}
