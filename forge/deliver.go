package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// replyQuiet is how long a reply is remembered that was made. What asks may be handled twice, and GitHub's list may not have
// the reply yet: owed again within this time it is looked for later, and as one that may be there.
const replyQuiet = 30 * time.Second

// deliver does what the effect is.
func (d *delivery) deliver(ctx context.Context) error {
	switch d.body.Kind {
	case task.EffectReaction:
		return d.react(ctx)
	case task.EffectReply:
		d.quiet = replyQuiet
		return d.comment(ctx, replyText(d.body), time.Time{})
	case task.EffectQuestion, task.EffectClosing, task.EffectStatus, task.EffectTwins:
	default:
		return fmt.Errorf("%w: unknown kind %q", errMoot, d.body.Kind)
	}
	t, err := d.task(ctx)
	if err != nil {
		return err
	}
	switch d.body.Kind {
	case task.EffectTwins:
		return d.removeTwins(ctx, t)
	case task.EffectStatus:
		return d.status(ctx, t)
	case task.EffectClosing:
		return d.comment(ctx, d.outbox.forge.pages.closingText(t), t.Created)
	default:
		if t.State.Final() {
			return fmt.Errorf("%w: the task is over, and so is its question", errMoot)
		}
		return d.comment(ctx, d.outbox.forge.pages.questionText(t, d.body), t.Created)
	}
}

// task is the task that the effect is about, the zero one for what is about none.
func (d *delivery) task(ctx context.Context) (task.Task, error) {
	if d.body.Task == "" {
		return task.Task{}, nil
	}
	t, err := d.outbox.ledger.Task(ctx, d.body.Task)
	if errors.Is(err, task.ErrNotFound) {
		return t, fmt.Errorf("%w: %w", errMoot, err)
	}
	return t, err
}

// marker is the hidden line of the comment that the effect makes.
func (d *delivery) marker() string {
	switch d.body.Kind {
	case task.EffectReply:
		return marker("reply", d.body.Key)
	case task.EffectQuestion:
		return questionMarker(d.body)
	case task.EffectTwins:
		return d.body.Key
	default:
		return marker(string(d.body.Kind), string(d.body.Task))
	}
}

// react is idempotent at GitHub: the same reaction twice is one.
func (d *delivery) react(ctx context.Context) error {
	var err error
	if d.body.Comment != 0 {
		_, _, err = d.client.Reactions.CreateIssueCommentReaction(ctx, d.project.Owner, d.project.Name, d.body.Comment, d.body.Reaction)
	} else {
		_, _, err = d.client.Reactions.CreateIssueReaction(ctx, d.project.Owner, d.project.Name, d.body.Number, d.body.Reaction)
	}
	if err != nil {
		return fmt.Errorf("react with %s: %w", d.body.Reaction, err)
	}
	return nil
}

// comment creates a comment unless one with its marker is there already, made no earlier than since. It looks at the
// first attempt too: what asks may be handled twice, and nothing is kept of a comment that was made and settled.
func (d *delivery) comment(ctx context.Context, text string, since time.Time) error {
	if found, err := d.find(ctx, since); err != nil || len(found) > 0 {
		return err
	}
	_, err := d.create(ctx, text)
	return err
}

// status creates the task's status comment or edits it in place. When its id is not known, or leads nowhere, it is looked
// for even at the first attempt: attempts start anew with each version, and an earlier version may have been delivered
// and not noted.
func (d *delivery) status(ctx context.Context, t task.Task) error {
	text, known := d.outbox.forge.pages.statusText(t), t.StatusComment
	if !t.State.Final() {
		d.quiet = editEvery
	}
	var gone error
	if known != 0 {
		if gone = d.edit(ctx, known, text); status(gone) != http.StatusNotFound {
			return gone
		}
	}
	found, err := d.find(ctx, t.Created)
	if err != nil {
		return err
	}
	if known != 0 && slices.Contains(found, known) {
		return gone // it is there: of what was made a moment ago GitHub may say 404
	}
	if len(found) > 0 {
		if err := d.edit(ctx, found[0], text); err != nil {
			return err
		}
		return d.outbox.ledger.NoteStatusComment(ctx, t.ID, found[0])
	}
	switch {
	case known != 0 && t.State.Final() && d.owed.Attempts < 2:
		return gone
	case known != 0 && t.State.Final():
		return fmt.Errorf("%w: somebody deleted the status comment", errMoot)
	case known != 0: // it was deleted, or it is there and GitHub's list lags behind as well
		if err := d.expectTwins(ctx); err != nil {
			return err
		}
	}
	id, err := d.create(ctx, text)
	if err != nil {
		return err
	}
	return d.outbox.ledger.NoteStatusComment(ctx, t.ID, id)
}

func (d *delivery) edit(ctx context.Context, comment int64, text string) error {
	_, _, err := d.client.Issues.EditComment(ctx, d.project.Owner, d.project.Name, comment, &github.IssueComment{Body: &text})
	if err != nil {
		return fmt.Errorf("edit comment %d: %w", comment, err)
	}
	return nil
}

// create makes a comment. Where that may be for the second time, whatever the search for the first has found, a look for
// twins is owed before: GitHub's lists lag behind, and this process may die right after.
func (d *delivery) create(ctx context.Context, text string) (int64, error) {
	// An effect that is owed anew while it is on its way counts its attempts anew, but not its versions.
	if d.owed.Attempts > 1 || d.owed.Version != "1" {
		if err := d.expectTwins(ctx); err != nil {
			return 0, err
		}
	}
	made, _, err := d.client.Issues.CreateComment(ctx, d.project.Owner, d.project.Name, d.body.Number, &github.IssueComment{Body: &text})
	if err != nil {
		return 0, fmt.Errorf("comment on #%d of %s: %w", d.body.Number, d.project.FullName(), err)
	}
	return made.GetID(), nil
}

// find returns the ids of the App's own comments with the effect's marker, the oldest first.
func (d *delivery) find(ctx context.Context, since time.Time) ([]int64, error) {
	return d.outbox.forge.marked(ctx, d.client, d.project, d.body.Number, d.marker(), since)
}

// marked returns the ids of the App's own comments with a marker, the oldest first. A marker in anybody else's comment does
// not count. Since bounds the search on a long thread: the time, by GitHub's clock, of what the comment answers.
func (f *Forge) marked(ctx context.Context, client *github.Client, p task.Project, number int, mark string, since time.Time) ([]int64, error) {
	options := &github.IssueListCommentsOptions{}
	if !since.IsZero() {
		options.Since = &since
	}
	var found []int64
	for page := 1; page != 0; {
		options.ListOptions = github.ListOptions{PerPage: 100, Page: page}
		comments, response, err := client.Issues.ListComments(ctx, p.Owner, p.Name, number, options)
		if err != nil {
			return nil, fmt.Errorf("look for %s on #%d of %s: %w", mark, number, p.FullName(), err)
		}
		for _, c := range comments {
			if strings.Contains(c.GetBody(), mark) && f.ours(c) {
				found = append(found, c.GetID())
			}
		}
		page = response.NextPage
	}
	slices.Sort(found)
	return found, nil
}

// Closed reports whether GitHub has the comment that tells how a task ended: it was done, whatever is known of it here.
func (f *Forge) Closed(ctx context.Context, p task.Project, s task.Spec) (bool, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return false, err
	}
	found, err := f.marked(ctx, client, p, s.Number, marker(string(task.EffectClosing), string(s.ID)), s.Created)
	if meaning, _ := judge(err); meaning == missing {
		return false, nil // there is no such issue, or none yet
	}
	return len(found) > 0, err
}
