// Package handlers is GitHub coming in: the webhook's door, and one file for each kind of event. A handler takes what it
// needs of a payload when the delivery arrives (Reduce: that and nothing else is kept), and acts on it later, when a
// consumer reads it from the store (Handle). In between it is on Redis's disk, not in memory.
package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// Store is what handlers record.
type Store interface {
	Accept(ctx context.Context, d task.Delivery) (fresh bool, err error)
	CreateTask(ctx context.Context, spec task.Spec, c task.Change) (created bool, err error)
	Owe(ctx context.Context, installation int64, effects ...task.Effect) error
	Project(ctx context.Context, id int64) (task.Project, error)
	SaveProject(ctx context.Context, p task.Project) error
	RemoveProject(ctx context.Context, p task.Project) error
	InstallationProjects(ctx context.Context, installation int64) ([]task.Project, error)
	Projects(ctx context.Context) ([]task.Project, error)
	// AccountLeft has the machines go of an account that has removed the App, and its token for them be forgotten then.
	AccountLeft(ctx context.Context, account int64) error

	// Hear adds what an event says of a comment to what is known of it, and returns the whole: newer words replace older
	// ones, an edit wins over a creation of the same second, and deleted is for ever. It is kept for 7 days.
	Hear(ctx context.Context, project, comment int64, h task.Heard) (task.Heard, error)
	// Amend replaces the request of a task that is still queued, unless it has newer words already. False when it is past
	// that, or does not exist.
	Amend(ctx context.Context, id task.ID, words string, at time.Time, c task.Change) (bool, error)
	// Cancel notes why a task is not wanted any more and has it ended; with states, only while it is in one of them. False
	// when it is over, is in another, was cancelled before, or does not exist.
	Cancel(ctx context.Context, id task.ID, why string, in ...task.State) (bool, error)
	// Asking returns the task of a thread that waits for an answer; task.ErrNotFound when none does. In is any ID of a task of
	// the repository.
	Asking(ctx context.Context, thread task.ThreadID, in task.ID) (task.Task, error)
	// Answer gives it the answer, with which instead is no task, for ever. False for what made a task before, or was written
	// before the question; task.ErrStale when the task does not wait for that any more.
	Answer(ctx context.Context, t task.Task, answer task.Answer, instead task.ID, at time.Time, c task.Change) (bool, error)
	// HasAnswered reports whether the words that would make that task have answered a question instead.
	HasAnswered(ctx context.Context, instead task.ID) (bool, error)
	// OpenTasks lists the tasks of a project that are not final.
	OpenTasks(ctx context.Context, project int64) ([]task.Task, error)
}

// GitHub is what handlers ask GitHub.
type GitHub interface {
	// Role is what a person may do in a project; task.ErrNotFound and task.ErrSuspended of its installation.
	Role(ctx context.Context, p task.Project, login string) (task.Role, error)
	// Projects lists an installation's repositories; task.ErrNotFound when GitHub knows no such installation,
	// task.ErrSuspended when it answers nothing about it.
	Projects(ctx context.Context, installation int64) ([]task.Project, error)
	// Whereabouts is a project as it is now, found by the repository's id, wherever it went; task.ErrNotFound when SAM is not
	// installed on it, and task.ErrSuspended.
	Whereabouts(ctx context.Context, p task.Project) (task.Project, error)
	// ThreadState is what has become of what a task stands on; task.ErrNotFound when the repository is gone for SAM, and
	// task.ErrSuspended.
	ThreadState(ctx context.Context, p task.Project, t task.Task) (task.ThreadState, error)
	// Closed reports whether a task has been done and told of, whatever the store knows.
	Closed(ctx context.Context, p task.Project, s task.Spec) (bool, error)
}

// Base is what every handler has.
type Base struct {
	Store   Store
	GitHub  GitHub
	AppID   int64  // of SAM: what it wrote itself is not listened to
	Agent   string // the agent that new tasks are given to
	Metrics *Metrics
}

// event is one kind of webhook event, or a few that share their body.
type event interface {
	// Handles lists the event types.
	Handles() []string
	// Reduce keeps what Handle needs of a payload, as JSON; nil when SAM has nothing to do with it. An error means that
	// the payload is not what GitHub's documentation says.
	Reduce(eventType string, payload []byte) ([]byte, error)
	// Handle acts on what Reduce kept. It may be called twice for the same delivery.
	Handle(ctx context.Context, d task.Delivery) error
}

// errPayload: a payload of an event that SAM takes lacks what GitHub promises.
var errPayload = errors.New("the payload is not what GitHub documents")

// missing names the fields that should be there and are not.
func missing(fields map[string]bool) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !fields[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: it lacks %s", errPayload, strings.Join(names, ", "))
}

func keep(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode what is kept of the payload: %w", err)
	}
	return b, nil
}

// project returns the project that an event speaks of. One that SAM has no record of, or that it knows under another
// installation, is looked up at GitHub: its installation event may have been missed. False when GitHub does not know it
// either; then there is nobody to answer.
func (b Base) project(ctx context.Context, installation, repository int64) (task.Project, bool, error) {
	p, err := b.Store.Project(ctx, repository)
	if err == nil && p.Installation == installation {
		return p, true, nil
	}
	if err != nil && !errors.Is(err, task.ErrNotFound) {
		return task.Project{}, false, err
	}
	projects, err := b.GitHub.Projects(ctx, installation)
	switch {
	case errors.Is(err, task.ErrNotFound):
		return b.elsewhere(ctx, installation, repository, "unknown_installation")
	case errors.Is(err, task.ErrSuspended):
		b.suspended(ctx, installation)
		return task.Project{}, false, nil
	}
	if err != nil {
		return task.Project{}, false, err
	}
	for _, found := range projects {
		if found.ID != repository {
			continue
		}
		if err := b.adopt(ctx, "unannounced", found); err != nil {
			return task.Project{}, false, err
		}
		zerolog.Ctx(ctx).Info().Int64("installation", installation).Str("repository", found.FullName()).
			Msg("adopted a project whose installation was not announced")
		return found, true, nil
	}
	return b.elsewhere(ctx, installation, repository, "unknown_repository")
}

// elsewhere is the project of a delivery whose installation does not have it, or is none of ours: it may have gone to another
// one since. What was asked for is then asked of the project where it is, by what its writer may do there. unknown is why
// it is ignored when it is nowhere.
func (b Base) elsewhere(ctx context.Context, installation, repository int64, unknown string) (task.Project, bool, error) {
	now, err := b.GitHub.Whereabouts(ctx, task.Project{ID: repository})
	switch {
	case errors.Is(err, task.ErrNotFound) || err == nil && now.Installation == installation:
		zerolog.Ctx(ctx).Warn().Int64("installation", installation).Int64("repository", repository).Str("why", unknown).
			Msg("a delivery speaks of a repository that SAM is not installed on; ignored")
		b.Metrics.ignored(unknown)
		return task.Project{}, false, nil
	case errors.Is(err, task.ErrSuspended):
		b.Metrics.ignored("suspended")
		return task.Project{}, false, nil
	case err != nil:
		return task.Project{}, false, err
	}
	return now, true, b.adopt(ctx, "moved", now)
}

// person is who sent an event.
type person struct {
	Login string `json:"login"`
	ID    int64  `json:"id"`
}

// standing asks GitHub what a person may do. The payload's author_association is not to be believed: it calls private
// members contributors.
func (b Base) standing(ctx context.Context, p task.Project, who person) (task.Standing, error) {
	role, err := b.GitHub.Role(ctx, p, who.Login)
	switch {
	case errors.Is(err, task.ErrSuspended):
		b.suspended(ctx, p.Installation)
		return task.Stranger, nil
	case errors.Is(err, task.ErrNotFound):
		zerolog.Ctx(ctx).Warn().Err(err).Str("repository", p.FullName()).Msg("SAM is no longer installed where it was asked; ignored")
		b.Metrics.ignored("unknown_installation")
		return task.Stranger, nil
	case err != nil:
		return task.Stranger, err
	}
	standing := task.StandingOf(role, p.Private)
	if standing != task.Writer {
		zerolog.Ctx(ctx).Info().Str("login", who.Login).Str("role", string(role)).Str("repository", p.FullName()).
			Msg("asked by someone who may not")
		b.Metrics.ignored(string(standing))
	}
	return standing, nil
}

// suspended notes that a delivery is left out because GitHub answers nothing about its installation: it must not come
// back until that is undone, which may be never.
func (b Base) suspended(ctx context.Context, installation int64) {
	zerolog.Ctx(ctx).Warn().Int64("installation", installation).Msg("a delivery speaks of an installation that is suspended; ignored")
	b.Metrics.ignored("suspended")
}

func needsWrite(who person) string {
	return fmt.Sprintf("@%s, SAM takes requests from people with write access to this repository. Ask a maintainer to repeat yours, or to give you the role `write`.", who.Login)
}

const reactionSeen, reactionConfused = "eyes", "confused"
