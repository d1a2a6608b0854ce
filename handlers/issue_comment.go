package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// IssueComment takes "/sam …" in a new comment on an issue or a pull request.
type IssueComment struct{ Base }

// Handles implements event.
func (IssueComment) Handles() []string { return []string{"issue_comment"} }

// asked is what is kept of an event in which a person asks for something.
type asked struct {
	Installation int64     `json:"installation"`
	Repository   int64     `json:"repository"`
	Number       int       `json:"number"`
	OnPull       bool      `json:"on_pull"`
	Issue        int64     `json:"issue"`
	Title        string    `json:"title"`
	Body         string    `json:"body"` // of the issue or pull request
	Comment      int64     `json:"comment,omitempty"`
	Words        string    `json:"words,omitempty"` // of the comment
	Label        string    `json:"label,omitempty"`
	Who          person    `json:"who"`
	At           time.Time `json:"at"`
}

// maxIssueBody is how much of an issue's text goes along with a task, bytes.
const maxIssueBody = 64 << 10

// Reduce implements event.
func (h IssueComment) Reduce(_ string, payload []byte) ([]byte, error) {
	var e struct {
		github.IssueCommentEvent
		Comment *struct { // go-github v62 does not read by which App a comment was made
			github.IssueComment
			Via *struct {
				ID int64 `json:"id"`
			} `json:"performed_via_github_app"`
		} `json:"comment"`
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	if e.GetAction() != "created" {
		return nil, nil
	}
	if err := missing(map[string]bool{
		"issue.number": e.GetIssue().GetNumber() != 0, "comment.id": e.Comment != nil && e.Comment.GetID() != 0,
		"repository.id": e.GetRepo().GetID() != 0, "sender.login": e.GetSender().GetLogin() != "",
		"installation.id": e.GetInstallation().GetID() != 0,
	}); err != nil {
		return nil, err
	}
	if e.Comment.Via != nil && e.Comment.Via.ID == h.AppID || len(ParseCommands(e.Comment.GetBody())) == 0 {
		return nil, nil
	}
	issue := e.GetIssue()
	return keep(asked{
		Installation: e.GetInstallation().GetID(), Repository: e.GetRepo().GetID(),
		Number: issue.GetNumber(), OnPull: issue.IsPullRequest(), Issue: issue.GetID(),
		Title: issue.GetTitle(), Body: head(issue.GetBody(), maxIssueBody),
		Comment: e.Comment.GetID(), Words: e.Comment.GetBody(),
		Who: person{e.GetSender().GetLogin(), e.GetSender().GetID()}, At: e.Comment.GetCreatedAt().Time,
	})
}

// Handle implements event.
func (h IssueComment) Handle(ctx context.Context, d task.Delivery) error {
	a, p, standing, err := h.heard(ctx, d)
	if err != nil || standing == task.Stranger {
		return err
	}
	key := "comment-" + strconv.FormatInt(a.Comment, 10)
	if standing == task.Member {
		return h.Store.Owe(ctx, p.Installation,
			task.ReactionEffect(p.ID, a.Number, a.Comment, reactionConfused),
			task.ReplyEffect(p.ID, a.Number, key, needsWrite(a.Who)))
	}
	for i, command := range ParseCommands(a.Words) {
		if answer := command.answer(); answer != "" {
			reply := task.ReplyEffect(p.ID, a.Number, fmt.Sprintf("%s-%d", key, i), answer)
			if err := h.Store.Owe(ctx, p.Installation, reply); err != nil {
				return err
			}
			continue
		}
		if err := h.request(ctx, p, a, d.At, task.CommentSource(a.Comment), i, command.Text); err != nil {
			return err
		}
	}
	return nil
}

// heard reads what was kept of a delivery: who asks for what, where, and with what standing. In a project that is not
// SAM's everyone is a stranger.
func (b Base) heard(ctx context.Context, d task.Delivery) (asked, task.Project, task.Standing, error) {
	var a asked
	if err := json.Unmarshal(d.Body, &a); err != nil {
		return a, task.Project{}, task.Stranger, fmt.Errorf("decode delivery %s: %w", d.ID, err)
	}
	p, ok, err := b.project(ctx, a.Installation, a.Repository)
	if err != nil || !ok {
		return a, p, task.Stranger, err
	}
	standing, err := b.standing(ctx, p, a.Who)
	return a, p, standing, err
}

// request makes a task of what a writer asked for, with the eyes reaction and the status comment owed for it.
func (b Base) request(ctx context.Context, p task.Project, a asked, accepted time.Time, source task.Source, index int, words string) error {
	thread := task.IssueThread(p.ID, a.Number)
	spec := task.Spec{
		ID: task.NewID(p.ID, source, index), Project: p.ID, Installation: p.Installation, Account: p.Account,
		Repository: p.FullName(), Thread: thread, Number: a.Number, OnPull: a.OnPull,
		Title: a.Title, Body: a.Body, Request: words, Requester: a.Who.Login, RequesterID: a.Who.ID,
		Source: source, Comment: a.Comment, Index: index, Agent: b.Agent, Created: a.At, Accepted: accepted,
	}
	created, err := b.Store.CreateTask(ctx, spec, task.Change{
		Entry: &task.Entry{Kind: task.EntryRequest, Thread: thread, Number: a.Number, Task: spec.ID, Author: a.Who.Login, Text: words},
		Effects: []task.Effect{
			task.ReactionEffect(p.ID, a.Number, a.Comment, reactionSeen),
			task.StatusEffect(spec),
		},
	})
	if err != nil {
		return err
	}
	b.Metrics.task(created)
	return nil
}

// head is the first n bytes of text, on a character's boundary.
func head(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
