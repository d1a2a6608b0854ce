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
}

// GitHub is what handlers ask GitHub.
type GitHub interface {
	// Role is what a person may do in a project.
	Role(ctx context.Context, p task.Project, login string) (task.Role, error)
	// Projects lists an installation's repositories; task.ErrNotFound when GitHub knows no such installation.
	Projects(ctx context.Context, installation int64) ([]task.Project, error)
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
	if errors.Is(err, task.ErrNotFound) {
		zerolog.Ctx(ctx).Warn().Int64("installation", installation).Int64("repository", repository).
			Msg("a delivery speaks of an installation that GitHub does not know as ours; ignored")
		b.Metrics.ignored("unknown_installation")
		return task.Project{}, false, nil
	}
	if err != nil {
		return task.Project{}, false, err
	}
	for _, found := range projects {
		if found.ID != repository {
			continue
		}
		if err := b.Store.SaveProject(ctx, found); err != nil {
			return task.Project{}, false, err
		}
		zerolog.Ctx(ctx).Info().Int64("installation", installation).Str("repository", found.FullName()).
			Msg("adopted a project whose installation was not announced")
		return found, true, nil
	}
	zerolog.Ctx(ctx).Warn().Int64("installation", installation).Int64("repository", repository).
		Msg("a delivery speaks of a repository outside its installation; ignored")
	b.Metrics.ignored("unknown_repository")
	return task.Project{}, false, nil
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
	if err != nil {
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

func needsWrite(who person) string {
	return fmt.Sprintf("@%s, SAM takes requests from people with write access to this repository. Ask a maintainer to repeat yours, or to give you the role `write`.", who.Login)
}

const reactionSeen, reactionConfused = "eyes", "confused"
