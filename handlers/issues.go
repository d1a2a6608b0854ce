package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// Issues takes the label "sam" put on an issue, where the issue itself is the request, and the end of an issue, which
// makes what was asked on it unwanted.
type Issues struct{ Base }

// labelName is the label that asks SAM to work on an issue.
const labelName = "sam"

// The actions of an issue or a pull request that SAM takes.
const (
	actionLabeled     = "labeled"
	actionClosed      = "closed"
	actionTransferred = "transferred"
)

// Handles implements event.
func (Issues) Handles() []string { return []string{"issues"} }

// Reduce implements event.
func (h Issues) Reduce(_ string, payload []byte) ([]byte, error) {
	var e github.IssuesEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	issue, action := e.GetIssue(), e.GetAction()
	labeled := action == actionLabeled
	switch {
	case labeled && !strings.EqualFold(e.GetLabel().GetName(), labelName):
		return nil, nil
	case !labeled && action != actionClosed && action != actionDeleted && action != actionTransferred:
		return nil, missing(map[string]bool{"action": action != ""})
	}
	if err := missing(map[string]bool{
		"issue.id": !labeled || issue.GetID() != 0, "issue.number": issue.GetNumber() != 0,
		"issue.updated_at": !labeled || !issue.GetUpdatedAt().IsZero(), "repository.id": e.GetRepo().GetID() != 0,
		"sender.login": !labeled || e.GetSender().GetLogin() != "", "installation.id": e.GetInstallation().GetID() != 0,
	}); err != nil {
		return nil, err
	}
	a := asked{
		Action: action, Installation: e.GetInstallation().GetID(), Repository: e.GetRepo().GetID(), Number: issue.GetNumber(),
	}
	if labeled {
		a.OnPull, a.Issue, a.Title, a.Body, a.Label = issue.IsPullRequest(), issue.GetID(), issue.GetTitle(), head(issue.GetBody(), maxIssueBody), labelName
		a.Who, a.At = person{e.GetSender().GetLogin(), e.GetSender().GetID()}, issue.GetUpdatedAt().Time
	}
	return keep(a)
}

// Handle implements event.
func (h Issues) Handle(ctx context.Context, d task.Delivery) error {
	a, p, ok, err := h.read(ctx, d)
	if err != nil || !ok {
		return err
	}
	switch a.Action {
	case actionClosed:
		return h.lookAgain(ctx, p, "issues", d.At, func(t task.Task) bool { return t.Number == a.Number })
	case actionDeleted, actionTransferred:
		return h.gone(ctx, p, "issues", a.Number)
	default:
		return h.labeled(ctx, p, a, d.At)
	}
}

// labeled makes a task of the issue. Who put the label on is asked for, not who wrote the issue: with triage one may label.
func (h Issues) labeled(ctx context.Context, p task.Project, a asked, accepted time.Time) error {
	standing, err := h.standing(ctx, p, a.Who)
	if err != nil || standing == task.Stranger {
		return err
	}
	source := task.LabelSource(a.Issue, a.Label, a.At)
	if standing == task.Member {
		return h.Store.Owe(ctx, p.Installation,
			task.ReactionEffect(p.ID, a.Number, 0, reactionConfused),
			task.ReplyEffect(p.ID, a.Number, string(task.NewID(p.ID, source, 0)), needsWrite(a.Who)))
	}
	return h.request(ctx, p, a, accepted, source, 0, a.Title)
}
