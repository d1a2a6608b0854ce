package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// Issues takes the label "sam" put on an issue: the issue itself is the request.
type Issues struct{ Base }

// labelName is the label that asks SAM to work on an issue.
const labelName = "sam"

// Handles implements event.
func (Issues) Handles() []string { return []string{"issues"} }

// Reduce implements event.
func (h Issues) Reduce(_ string, payload []byte) ([]byte, error) {
	var e github.IssuesEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	if e.GetAction() != "labeled" || !strings.EqualFold(e.GetLabel().GetName(), labelName) {
		return nil, nil
	}
	if err := missing(map[string]bool{
		"issue.id": e.GetIssue().GetID() != 0, "issue.number": e.GetIssue().GetNumber() != 0,
		"issue.updated_at": !e.GetIssue().GetUpdatedAt().IsZero(), "repository.id": e.GetRepo().GetID() != 0,
		"sender.login": e.GetSender().GetLogin() != "", "installation.id": e.GetInstallation().GetID() != 0,
	}); err != nil {
		return nil, err
	}
	issue := e.GetIssue()
	return keep(asked{
		Installation: e.GetInstallation().GetID(), Repository: e.GetRepo().GetID(),
		Number: issue.GetNumber(), OnPull: issue.IsPullRequest(), Issue: issue.GetID(),
		Title: issue.GetTitle(), Body: head(issue.GetBody(), maxIssueBody), Label: labelName,
		Who: person{e.GetSender().GetLogin(), e.GetSender().GetID()}, At: issue.GetUpdatedAt().Time,
	})
}

// Handle implements event. Who put the label on is asked for, not who wrote the issue: with triage one may label.
func (h Issues) Handle(ctx context.Context, d task.Delivery) error {
	a, p, standing, err := h.heard(ctx, d)
	if err != nil || standing == task.Stranger {
		return err
	}
	source := task.LabelSource(a.Issue, a.Label, a.At)
	if standing == task.Member {
		return h.Store.Owe(ctx, p.Installation,
			task.ReactionEffect(p.ID, a.Number, 0, reactionConfused),
			task.ReplyEffect(p.ID, a.Number, string(task.NewID(p.ID, source, 0)), needsWrite(a.Who)))
	}
	return h.request(ctx, p, a, d.At, source, 0, a.Title)
}
