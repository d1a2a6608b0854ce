package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"sam/agent/wire"
	"sam/task"
)

// brokered is what the git and the model broker ask of the gateway: who may do what, with which token, and where it is
// written down.
type brokered struct{ *Gateway }

const (
	headsPrefix = "refs/heads/"
	closed      = "this task does not run any more, so its remote is closed; ask for a new task to go on"
)

// Authorize implements GitGrants. A request needs both credentials: its node's, and the task's own, for the attempt
// that is the task's current one on that node.
func (b brokered) Authorize(r *http.Request, id string) (Grant, error) {
	node := b.caller(r)
	token := r.Header.Get(wire.TaskTokenHeader)
	if node == "" || token == "" {
		return Grant{}, ErrGitUnauthorized
	}
	t, err := b.store.Task(r.Context(), task.ID(id))
	if errors.Is(err, task.ErrNotFound) {
		return Grant{}, ErrGitUnauthorized
	}
	if err != nil {
		return Grant{}, err
	}
	if !b.keys.isTaskToken(token, t.ID, t.Epoch, node) {
		return Grant{}, ErrGitUnauthorized
	}
	if t.Node != node || t.State != task.Preparing && t.State != task.Running && t.State != task.Waiting {
		return Grant{}, &GitForbiddenError{Message: closed}
	}
	return Grant{
		Task: id, Epoch: t.Epoch, CloneURL: b.github.CloneURL(t.Repository), Branch: headsPrefix + t.Branch,
		RepositoryID: t.Project, Installation: t.Installation, Rewrite: t.Rewrite,
	}, nil
}

// FetchToken implements GitTokens.
func (b brokered) FetchToken(ctx context.Context, g Grant) (string, error) {
	return b.github.FetchToken(ctx, g.Installation, g.RepositoryID)
}

// PushToken implements GitTokens.
func (b brokered) PushToken(ctx context.Context, g Grant) (string, error) {
	return b.github.PushToken(ctx, g.Installation, g.RepositoryID)
}

// BeginPush implements GitRecords.
func (b brokered) BeginPush(ctx context.Context, g Grant, p Push) error {
	return inTime(b.store.BeginPush(ctx, task.ID(g.Task), g.Epoch, strings.TrimPrefix(p.Ref, headsPrefix), p.New))
}

// RecordPush implements GitRecords.
func (b brokered) RecordPush(ctx context.Context, g Grant, p Push) error {
	return inTime(b.store.RecordPush(ctx, task.ID(g.Task), g.Epoch, strings.TrimPrefix(p.Ref, headsPrefix), p.New))
}

// inTime tells a client of an attempt that has ended meanwhile that it has.
func inTime(err error) error {
	if errors.Is(err, task.ErrStale) {
		return &GitForbiddenError{Message: closed}
	}
	return err
}

// RecordUsage implements modelRecords.
func (b brokered) RecordUsage(ctx context.Context, g Grant, u task.Usage) error {
	return b.store.RecordUsage(ctx, task.ID(g.Task), g.Epoch, u)
}
