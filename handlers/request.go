package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"sam/task"
)

// read reads what was kept of a delivery, and whose project it is about; false when that is not SAM's.
func (b Base) read(ctx context.Context, d task.Delivery) (asked, task.Project, bool, error) {
	var a asked
	if err := json.Unmarshal(d.Body, &a); err != nil {
		return a, task.Project{}, false, fmt.Errorf("decode delivery %s: %w", d.ID, err)
	}
	p, ok, err := b.project(ctx, a.Installation, a.Repository)
	return a, p, ok, err
}

// late is how old a request may be that is taken for new without a look at GitHub. An older one was missed, or it was done
// and Redis has lost what it knew of it: only GitHub can tell.
const late = 10 * time.Minute

// request makes a task of what a writer asked for, with the eyes reaction and the status comment owed for it. Where there
// is no room for one the writer is told, and nothing is tried again.
func (b Base) request(ctx context.Context, p task.Project, a asked, accepted time.Time, source task.Source, index int, words string) error {
	thread := task.IssueThread(p.ID, a.Number)
	spec := task.Spec{
		ID: task.NewID(p.ID, source, index), Project: p.ID, Installation: p.Installation, Account: p.Account,
		Repository: p.FullName(), Thread: thread, Number: a.Number, OnPull: a.OnPull,
		Title: a.Title, Body: a.Body, Request: words, Requester: a.Who.Login, RequesterID: a.Who.ID,
		Source: source, Comment: a.Comment, Index: index, Agent: b.Agent, Created: a.At, Accepted: accepted,
	}
	if accepted.Sub(a.At) > late {
		closed, err := b.GitHub.Closed(ctx, p, spec)
		if err != nil {
			return err
		}
		if closed {
			zerolog.Ctx(ctx).Warn().Str("task", string(spec.ID)).Msg("the request was done before, as GitHub shows, and Redis has lost it; it is not done again")
			b.Metrics.task("duplicate")
			return nil
		}
	}
	created, err := b.Store.CreateTask(ctx, spec, task.Change{
		Entry: &task.Entry{Kind: task.EntryRequest, Thread: thread, Number: a.Number, Task: spec.ID, Author: a.Who.Login, Text: words},
		Effects: []task.Effect{
			task.ReactionEffect(p.ID, a.Number, a.Comment, reactionSeen),
			task.StatusEffect(spec),
		},
	})
	log := zerolog.Ctx(ctx).With().Str("task", string(spec.ID)).Str("repository", p.FullName()).Int("number", a.Number).Logger()
	switch {
	case errors.Is(err, task.ErrNoRoom):
		log.Error().Err(err).Msg("a request was refused: give Redis more memory")
		b.Metrics.ignored("no_room")
		return b.Store.Owe(ctx, p.Installation,
			task.ReactionEffect(p.ID, a.Number, a.Comment, reactionConfused),
			task.ReplyEffect(p.ID, a.Number, "room-"+string(spec.ID), noRoom(a.Who)))
	case err != nil:
		return err
	case created:
		log.Info().Str("requester", a.Who.Login).Msg("a task is created")
		b.Metrics.task("created")
	default:
		log.Info().Msg("the request has its task already: it came before, under this GUID or another")
		b.Metrics.task("duplicate")
	}
	return nil
}

func noRoom(who person) string {
	return fmt.Sprintf("@%s, nothing was started: the Redis in which SAM keeps its work is nearly full, so it takes no new tasks. "+
		"What is under way goes on. Ask again in a while; if this stays, the operator gives Redis more memory (`maxmemory`).", who.Login)
}

// unwanted has a task ended that is not wanted any more; with states, only while it is in one of them. A task that is
// over, or does not exist, stays as it is.
func (b Base) unwanted(ctx context.Context, event string, id task.ID, why string, in ...task.State) error {
	cancelled, err := b.Store.Cancel(ctx, id, why, in...)
	if err != nil {
		return err
	}
	if cancelled {
		zerolog.Ctx(ctx).Info().Str("task", string(id)).Str("why", why).Msg("the task is not wanted any more")
		b.Metrics.unwanted(event)
	}
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
