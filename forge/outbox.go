package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/rs/zerolog"

	"sam/task"
)

// How the outbox tries again: from retryFirst, doubled each time, to retryMost; a limit of GitHub's says for itself
// when. After giveUpAfter attempts an effect that GitHub refuses for good is dropped, with an error in the log.
const (
	retryFirst  = time.Second
	retryMost   = 5 * time.Minute
	giveUpAfter = 3
	takeAtOnce  = 32
)

// Ledger is where effects and tasks are kept.
type Ledger interface {
	TakeOwed(ctx context.Context, installation int64, limit int) ([]task.Owed, error)
	Settle(ctx context.Context, o task.Owed) error
	PutOff(ctx context.Context, o task.Owed, after time.Duration) error
	Task(ctx context.Context, id task.ID) (task.Task, error)
	Project(ctx context.Context, id int64) (task.Project, error)
	NoteStatusComment(ctx context.Context, id task.ID, comment int64) error
}

// Outbox delivers what is owed to GitHub, each effect at least once, and so that twice is the same as once.
type Outbox struct {
	forge  *Forge
	ledger Ledger
}

// NewOutbox returns an outbox that reads and settles effects in a ledger.
func NewOutbox(f *Forge, l Ledger) *Outbox { return &Outbox{f, l} }

// Deliver delivers what is due to one installation, the most urgent first, one after the other.
func (o *Outbox) Deliver(ctx context.Context, installation int64) {
	for ctx.Err() == nil {
		owed, err := o.ledger.TakeOwed(ctx, installation, takeAtOnce)
		if err != nil {
			zerolog.Ctx(ctx).Error().Err(err).Int64("installation", installation).Msg("taking what is owed failed")
			return
		}
		if len(owed) == 0 {
			return
		}
		slices.SortStableFunc(owed, func(a, b task.Owed) int { return urgency(a) - urgency(b) })
		for _, effect := range owed {
			o.deliverOne(ctx, effect)
		}
	}
}

func urgency(o task.Owed) int {
	b, err := task.ParseEffect(o.Effect)
	if err != nil {
		return 0
	}
	return b.Kind.Urgency()
}

func (o *Outbox) deliverOne(ctx context.Context, owed task.Owed) {
	log := zerolog.Ctx(ctx).With().Int64("installation", owed.Installation).Str("effect", owed.Target).Int("attempt", owed.Attempts).Logger()
	// What was begun is finished though SAM is stopping: half an effect is a twin tomorrow.
	ctx, cancel := context.WithTimeout(log.WithContext(context.WithoutCancel(ctx)), 2*callTimeout)
	defer cancel()
	err := o.deliver(ctx, owed)
	switch {
	case err == nil:
		err = o.ledger.Settle(ctx, owed)
	case errors.Is(err, errMoot):
		log.Info().Err(err).Msg("what was owed has no place to go any more")
		err = o.ledger.Settle(ctx, owed)
	case Refused(err) && owed.Attempts >= giveUpAfter:
		log.Error().Err(err).Msg("GitHub refuses what is owed; giving it up")
		err = o.ledger.Settle(ctx, owed)
	default:
		after := retryAfter(err, owed.Attempts)
		log.Warn().Err(err).Dur("again_in", after).Msg("delivering what is owed failed")
		err = o.ledger.PutOff(ctx, owed, after)
	}
	if err != nil {
		log.Error().Err(err).Msg("noting a delivery failed; the effect will come again and be found delivered")
	}
}

// errMoot: the thread, the comment or the project that an effect is for is gone.
var errMoot = errors.New("gone")

// retryAfter obeys GitHub where it says when to come back, and else doubles.
func retryAfter(err error, attempts int) time.Duration {
	var primary *github.RateLimitError
	if errors.As(err, &primary) {
		return clamp(time.Until(primary.Rate.Reset.Time))
	}
	var secondary *github.AbuseRateLimitError
	if errors.As(err, &secondary) && secondary.RetryAfter != nil {
		return clamp(*secondary.RetryAfter)
	}
	var refused *github.ErrorResponse // go-github v62 knows limits by 403 alone, and GitHub says them by 429 too
	if errors.As(err, &refused) && status(err) == http.StatusTooManyRequests {
		if s, convErr := strconv.Atoi(refused.Response.Header.Get("Retry-After")); convErr == nil {
			return clamp(time.Duration(s) * time.Second)
		}
	}
	return clamp(retryFirst << min(attempts-1, 20))
}

func clamp(d time.Duration) time.Duration { return min(max(d, retryFirst), retryMost) }

func (o *Outbox) deliver(ctx context.Context, owed task.Owed) error {
	body, err := task.ParseEffect(owed.Effect)
	if err != nil {
		return fmt.Errorf("%w: %w", errMoot, err)
	}
	project, err := o.ledger.Project(ctx, body.Project)
	if errors.Is(err, task.ErrNotFound) {
		return fmt.Errorf("%w: SAM is no longer installed there: %w", errMoot, err)
	}
	if err != nil {
		return err
	}
	client, err := o.forge.client(project.Installation)
	if err != nil {
		return err
	}
	d := delivery{outbox: o, client: client, project: project, body: body}
	// A reply is owed anew when its delivery is handled twice, and nothing is kept of the first that was settled.
	d.again = owed.Attempts > 1 || body.Kind == task.EffectReply
	switch body.Kind {
	case task.EffectReaction:
		err = d.react(ctx)
	case task.EffectReply:
		err = d.comment(ctx, marker("reply", body.Key), replyText(body), time.Time{})
	case task.EffectStatus, task.EffectClosing:
		var t task.Task
		if t, err = o.ledger.Task(ctx, body.Task); err != nil {
			return err
		}
		if body.Kind == task.EffectClosing {
			err = d.comment(ctx, marker("closing", string(t.ID)), o.forge.pages.closingText(t), t.Created)
		} else {
			err = d.status(ctx, t)
		}
	default:
		return fmt.Errorf("%w: unknown kind %q", errMoot, body.Kind)
	}
	if s := status(err); s == http.StatusGone || s == http.StatusNotFound && owed.Attempts >= giveUpAfter {
		return fmt.Errorf("%w: %w", errMoot, err) // a read right after an event may say 404 too: so not at the first try
	}
	return err
}

// delivery is one effect on its way.
type delivery struct {
	outbox  *Outbox
	client  *github.Client
	project task.Project
	body    task.EffectBody
	again   bool // it may have been delivered before
}

// react is idempotent at GitHub: the same reaction twice is one.
func (d delivery) react(ctx context.Context) error {
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

// comment creates a comment unless one with its marker is there already, made no earlier than since.
func (d delivery) comment(ctx context.Context, mark, text string, since time.Time) error {
	if d.again {
		if id, err := d.find(ctx, mark, since); err != nil || id != 0 {
			return err
		}
	}
	_, err := d.create(ctx, text)
	return err
}

// status creates the task's status comment or edits it in place. When its id is not known it is looked for even at the
// first attempt: attempts start anew with each version, and an earlier version may have been delivered and not noted.
func (d delivery) status(ctx context.Context, t task.Task) error {
	text, id := d.outbox.forge.pages.statusText(t), t.StatusComment
	if id == 0 {
		found, err := d.find(ctx, marker("status", string(t.ID)), t.Created)
		if err != nil {
			return err
		}
		id = found
	}
	if id != 0 {
		_, _, err := d.client.Issues.EditComment(ctx, d.project.Owner, d.project.Name, id, &github.IssueComment{Body: &text})
		if status(err) != http.StatusNotFound {
			if err == nil && t.StatusComment == 0 {
				err = d.outbox.ledger.NoteStatusComment(ctx, t.ID, id)
			}
			if err != nil {
				return fmt.Errorf("edit status comment %d: %w", id, err)
			}
			return nil
		}
		if t.State.Final() {
			return fmt.Errorf("%w: somebody deleted the status comment", errMoot)
		}
	}
	id, err := d.create(ctx, text)
	if err != nil {
		return err
	}
	return d.outbox.ledger.NoteStatusComment(ctx, t.ID, id)
}

func (d delivery) create(ctx context.Context, text string) (int64, error) {
	made, _, err := d.client.Issues.CreateComment(ctx, d.project.Owner, d.project.Name, d.body.Number, &github.IssueComment{Body: &text})
	if err != nil {
		return 0, fmt.Errorf("comment on #%d of %s: %w", d.body.Number, d.project.FullName(), err)
	}
	return made.GetID(), nil
}

// find returns the id of the App's own comment with a marker, 0 when there is none. A marker in anybody else's comment
// does not count. Since bounds the search on a long thread: the time, by GitHub's clock, of what the comment answers.
func (d delivery) find(ctx context.Context, mark string, since time.Time) (int64, error) {
	options := &github.IssueListCommentsOptions{}
	if !since.IsZero() {
		options.Since = &since
	}
	for page := 1; page != 0; {
		options.ListOptions = github.ListOptions{PerPage: 100, Page: page}
		comments, response, err := d.client.Issues.ListComments(ctx, d.project.Owner, d.project.Name, d.body.Number, options)
		if err != nil {
			return 0, fmt.Errorf("look for %s on #%d of %s: %w", mark, d.body.Number, d.project.FullName(), err)
		}
		for _, c := range comments {
			if strings.Contains(c.GetBody(), mark) && d.outbox.forge.ours(c) {
				return c.GetID(), nil
			}
		}
		page = response.NextPage
	}
	return 0, nil
}
