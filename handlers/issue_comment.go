package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/rs/zerolog"

	"sam/task"
)

// IssueComment takes "/sam …" in a new comment on an issue or a pull request, and what becomes of such a comment. Its
// events may come in any order: what is known of a comment is merged in the store, and each event then acts on the whole.
//
//   - A deletion ends the comment's tasks. One that comes before the creation keeps it from making any.
//   - An edit replaces the request of a task that is still queued, and takes one back that the words ask for no more. One
//     that comes before the creation makes that use the newer words. An edit never makes a task, and changes none that has
//     begun.
type IssueComment struct{ Base }

// Handles implements event.
func (IssueComment) Handles() []string { return []string{"issue_comment"} }

// The actions of a comment that SAM takes.
const (
	actionCreated = "created"
	actionEdited  = "edited"
	actionDeleted = "deleted"
)

// asked is what is kept of an event in which a person asks for something, or takes it back.
type asked struct {
	Action       string    `json:"action,omitempty"` // of a comment; none means created
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
	Author       person    `json:"author,omitzero"` // of an edited comment: Who is the editor
	At           time.Time `json:"at"`              // when the words were written, or the label was put on
}

// maxIssueBody is how much of an issue's text goes along with a task, bytes.
const maxIssueBody = 64 << 10

// commentEvent is GitHub's payload with what go-github v62 does not read: by which App a comment was made.
type commentEvent struct {
	github.IssueCommentEvent
	Comment *struct {
		github.IssueComment
		Via *struct {
			ID int64 `json:"id"`
		} `json:"performed_via_github_app"`
	} `json:"comment"`
}

// Reduce implements event.
func (h IssueComment) Reduce(_ string, payload []byte) ([]byte, error) {
	var e commentEvent
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	action := e.GetAction()
	if action != actionCreated && action != actionEdited && action != actionDeleted {
		return nil, missing(map[string]bool{"action": action != ""})
	}
	there, edited := e.Comment != nil, action == actionEdited
	if err := missing(map[string]bool{
		"issue.number": e.GetIssue().GetNumber() != 0, "comment.id": there && e.Comment.GetID() != 0,
		"comment.created_at": !there || !e.Comment.GetCreatedAt().IsZero(),
		"comment.updated_at": !there || !edited || !e.Comment.GetUpdatedAt().IsZero(),
		"comment.user.login": !there || !edited || e.Comment.GetUser().GetLogin() != "",
		"repository.id":      e.GetRepo().GetID() != 0, "sender.login": e.GetSender().GetLogin() != "",
		"installation.id": e.GetInstallation().GetID() != 0,
	}); err != nil {
		return nil, err
	}
	if e.Comment.Via != nil && e.Comment.Via.ID == h.AppID {
		return nil, nil
	}
	asks := len(ParseCommands(e.Comment.GetBody())) > 0
	switch {
	case action == actionCreated && !asks:
		return nil, nil
	case edited && !asks && len(ParseCommands(e.GetChanges().GetBody().GetFrom())) == 0:
		return nil, nil // a deletion is kept whatever it says: the words may have been edited away
	}
	issue := e.GetIssue()
	a := asked{
		Action: action, Installation: e.GetInstallation().GetID(), Repository: e.GetRepo().GetID(),
		Number: issue.GetNumber(), OnPull: issue.IsPullRequest(), Issue: issue.GetID(),
		Comment: e.Comment.GetID(), Words: e.Comment.GetBody(),
		Who: person{e.GetSender().GetLogin(), e.GetSender().GetID()}, At: e.Comment.GetCreatedAt().Time,
	}
	switch action {
	case actionCreated:
		a.Title, a.Body = issue.GetTitle(), head(issue.GetBody(), maxIssueBody)
	case actionEdited:
		a.Author, a.At = person{e.Comment.GetUser().GetLogin(), e.Comment.GetUser().GetID()}, e.Comment.GetUpdatedAt().Time
	}
	return keep(a)
}

// Handle implements event.
func (h IssueComment) Handle(ctx context.Context, d task.Delivery) error {
	a, p, ok, err := h.read(ctx, d)
	if err != nil || !ok {
		return err
	}
	switch a.Action {
	case actionDeleted:
		return h.deleted(ctx, p, a)
	case actionEdited:
		return h.edited(ctx, p, a)
	default:
		return h.created(ctx, p, a, d.At)
	}
}

func (h IssueComment) created(ctx context.Context, p task.Project, a asked, accepted time.Time) error {
	seen := task.Heard{Created: true, Words: a.Words, At: a.At, Commands: len(ParseCommands(a.Words))}
	heard, err := h.Store.Hear(ctx, p.ID, a.Comment, seen)
	if err != nil {
		return err
	}
	if heard.Deleted {
		zerolog.Ctx(ctx).Info().Int64("comment", a.Comment).Msg("the comment was deleted before its creation arrived; ignored")
		h.Metrics.ignored("deleted")
		return h.takeBack(ctx, p, a.Comment, heard.Commands)
	}
	standing, err := h.standing(ctx, p, a.Who)
	if err != nil || standing == task.Stranger {
		return err
	}
	key := "comment-" + strconv.FormatInt(a.Comment, 10)
	if standing == task.Member {
		return h.Store.Owe(ctx, p.Installation,
			task.ReactionEffect(p.ID, a.Number, a.Comment, reactionConfused),
			task.ReplyEffect(p.ID, a.Number, key, needsWrite(a.Who)))
	}
	for i, command := range ParseCommands(heard.Words) {
		answered, err := h.answer(ctx, p, a, i, command)
		if err != nil {
			return err
		}
		if answered {
			continue
		}
		if answer := command.answer(); answer != "" {
			reply := task.ReplyEffect(p.ID, a.Number, fmt.Sprintf("%s-%d", key, i), answer)
			if err := h.Store.Owe(ctx, p.Installation, reply); err != nil {
				return err
			}
			continue
		}
		if err := h.request(ctx, p, a, accepted, task.CommentSource(a.Comment), i, command.Text); err != nil {
			return err
		}
	}
	// An edit or a deletion that was handled meanwhile found no task. Each side writes first and reads then, so one of the
	// two sees the other.
	now, err := h.Store.Hear(ctx, p.ID, a.Comment, seen)
	switch {
	case err != nil:
		return err
	case now.Deleted:
		return h.takeBack(ctx, p, a.Comment, now.Commands)
	case now.Words != heard.Words:
		return h.revise(ctx, p, a, now)
	}
	return nil
}

func (h IssueComment) deleted(ctx context.Context, p task.Project, a asked) error {
	heard, err := h.Store.Hear(ctx, p.ID, a.Comment, task.Heard{Deleted: true, Commands: len(ParseCommands(a.Words))})
	if err != nil {
		return err
	}
	h.notEarly(ctx, a, heard)
	return h.takeBack(ctx, p, a.Comment, heard.Commands)
}

// takeBack ends the tasks that a comment asked for, now that it is gone.
func (h IssueComment) takeBack(ctx context.Context, p task.Project, comment int64, commands int) error {
	for i := range commands {
		if err := h.unwanted(ctx, "issue_comment", task.NewID(p.ID, task.CommentSource(comment), i), task.CommentDeleted); err != nil {
			return err
		}
	}
	return nil
}

// edited takes newer words when both who wrote the comment and who edited it may ask for work: else anybody's request
// could be made into another's, or a maintainer's slip into a stranger's request.
func (h IssueComment) edited(ctx context.Context, p task.Project, a asked) error {
	for _, who := range []person{a.Who, a.Author} {
		standing, err := h.standing(ctx, p, who)
		if err != nil || standing != task.Writer {
			return err
		}
		if a.Who.Login == a.Author.Login {
			break
		}
	}
	heard, err := h.Store.Hear(ctx, p.ID, a.Comment, task.Heard{
		Edited: true, Words: a.Words, At: a.At, Commands: len(ParseCommands(a.Words)),
	})
	if err != nil {
		return err
	}
	h.notEarly(ctx, a, heard)
	if heard.Deleted {
		return h.takeBack(ctx, p, a.Comment, heard.Commands)
	}
	return h.revise(ctx, p, a, heard)
}

// revise makes the queued tasks of a comment follow its newest words.
func (h IssueComment) revise(ctx context.Context, p task.Project, a asked, heard task.Heard) error {
	commands := ParseCommands(heard.Words)
	for i := range heard.Commands {
		id := task.NewID(p.ID, task.CommentSource(a.Comment), i)
		if i >= len(commands) || commands[i].Verb != VerbRequest {
			if err := h.unwanted(ctx, "issue_comment", id, "The comment that asked was edited, and asks for this no more.", task.Queued); err != nil {
				return err
			}
			continue
		}
		thread := task.IssueThread(p.ID, a.Number)
		amended, err := h.Store.Amend(ctx, id, commands[i].Text, heard.At, task.Change{
			Entry:   &task.Entry{Kind: task.EntryRequest, Thread: thread, Number: a.Number, Task: id, Author: a.Who.Login, Text: commands[i].Text},
			Effects: []task.Effect{task.StatusEffect(task.Spec{ID: id, Project: p.ID, Number: a.Number})},
		})
		if err != nil {
			return err
		}
		if amended {
			zerolog.Ctx(ctx).Info().Str("task", string(id)).Msg("the request was edited before its task began")
			h.Metrics.task("amended")
		}
	}
	return nil
}

// notEarly notes an edit or a deletion of a comment whose creation was not seen: it is still to come, or came so long ago
// that it is forgotten, or did not ask for anything.
func (h IssueComment) notEarly(ctx context.Context, a asked, heard task.Heard) {
	if heard.Created || a.Action == actionDeleted && heard.Commands == 0 {
		return
	}
	zerolog.Ctx(ctx).Info().Int64("comment", a.Comment).Str("action", a.Action).
		Msg("a comment was " + a.Action + " whose creation was not seen; it is remembered")
	h.Metrics.tooEarly(a.Action)
}
