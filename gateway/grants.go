package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

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

// admit returns the task that a request is for, and looks at one that is refused: its token may be a task's all the same.
func (b brokered) admit(r *http.Request, id string) (task.Task, error) {
	t, err := b.entitled(r, id)
	var forbidden *GitForbiddenError
	if errors.Is(err, ErrGitUnauthorized) || errors.As(err, &forbidden) {
		b.misuse(r, id)
	}
	return t, err
}

// entitled returns the task that a request is for. It needs both credentials: its node's, and the task's own, for the attempt
// that is the task's current one on that node.
func (b brokered) entitled(r *http.Request, id string) (task.Task, error) {
	node := b.caller(r)
	token := r.Header.Get(wire.TaskTokenHeader)
	if node == "" || token == "" {
		return task.Task{}, ErrGitUnauthorized
	}
	t, err := b.store.Task(r.Context(), task.ID(id))
	if errors.Is(err, task.ErrNotFound) {
		return task.Task{}, ErrGitUnauthorized
	}
	if err != nil {
		return task.Task{}, err
	}
	if !b.keys.isTaskToken(token, t.ID, t.Epoch, node) {
		return task.Task{}, ErrGitUnauthorized
	}
	if t.Node != node || t.State != task.Preparing && t.State != task.Running && t.State != task.Waiting {
		return task.Task{}, &GitForbiddenError{Message: closed}
	}
	return t, nil
}

// Authorize implements GitGrants.
func (b brokered) Authorize(r *http.Request, id string) (Grant, error) {
	t, err := b.admit(r, id)
	if err != nil {
		return Grant{}, err
	}
	return b.grant(t), nil
}

func (b brokered) grant(t task.Task) Grant {
	g := Grant{
		Task: string(t.ID), Epoch: t.Epoch, CloneURL: b.github.CloneURL(t.Repository), Branch: headsPrefix + t.Branch, Repository: t.Repository,
		RepositoryID: t.Project, Installation: t.Installation, Rewrite: t.Rewrite, Untrusted: t.Untrusted,
		Workflows: !t.Untrusted && b.git.workflowsOf(t.Repository),
	}
	if t.Base != "" {
		g.Base = headsPrefix + t.Base
	}
	for _, name := range b.listed(t) {
		g.Listed = append(g.Listed, GitRepository{FullName: name, CloneURL: b.github.CloneURL(name)})
	}
	return g
}

// gitRights are what the git broker asks for: it alone goes to GitHub by the repository's name.
type gitRights struct{ brokered }

// Authorize implements GitGrants.
func (b gitRights) Authorize(r *http.Request, id string) (Grant, error) {
	t, err := b.admit(r, id)
	if err != nil {
		return Grant{}, err
	}
	if t, err = b.present(r.Context(), t); err != nil {
		return Grant{}, err
	}
	return b.grant(t), nil
}

// present is a task with its repository's name and installation as they are now: both may have changed since it was asked for. One
// whose repository went to another account keeps what it had, and GitHub refuses that: such a task is to end.
func (g *Gateway) present(ctx context.Context, t task.Task) (task.Task, error) {
	p, err := g.store.Project(ctx, t.Project)
	switch {
	case errors.Is(err, task.ErrNotFound):
		return t, nil // GitHub says whether the App was removed
	case err != nil:
		return t, err
	case p.Account == t.Account:
		t.Repository, t.Installation = p.FullName(), p.Installation
	}
	return t, nil
}

// listed are the further repositories that a task may fetch. Work on a branch of people who may not write is let to none: they
// would read what they have no right to.
func (g *Gateway) listed(t task.Task) []string {
	if t.Untrusted {
		return nil
	}
	return g.git.listedFor(t.Repository)
}

// Guarded implements GitGrants.
func (b brokered) Guarded(ctx context.Context, g Grant, exists bool) (string, error) {
	owner, name, _ := strings.Cut(g.Repository, "/")
	p := task.Project{ID: g.RepositoryID, Installation: g.Installation, Owner: owner, Name: name}
	return b.github.Guarded(ctx, p, strings.TrimPrefix(g.Branch, headsPrefix), exists)
}

// FetchToken implements GitTokens.
func (b brokered) FetchToken(ctx context.Context, g Grant) (string, error) {
	token, err := b.github.FetchToken(ctx, g.Installation, g.RepositoryID)
	return token, withoutToken(err, g.Repository)
}

// PushToken implements GitTokens. An account whose installation was not granted what the configuration allows it pushes
// without that, and GitHub refuses what needs it.
func (b brokered) PushToken(ctx context.Context, g Grant) (string, error) {
	if g.Workflows {
		token, err := b.github.WorkflowsToken(ctx, g.Installation, g.RepositoryID)
		var unusable task.UnusableError
		if !errors.As(err, &unusable) {
			return token, withoutToken(err, g.Repository)
		}
		zerolog.Ctx(ctx).Warn().Str("reason", unusable.Reason).Msg("git.workflows lists an account that has not granted it; pushing without")
	}
	token, err := b.github.PushToken(ctx, g.Installation, g.RepositoryID)
	return token, withoutToken(err, g.Repository)
}

// ListedToken implements GitTokens.
func (b brokered) ListedToken(ctx context.Context, listed GitRepository) (string, error) {
	token, err := b.github.ReadToken(ctx, listed.FullName)
	return token, withoutToken(err, listed.FullName)
}

// ForgetToken implements GitTokens.
func (b brokered) ForgetToken(token string) { b.github.ForgetToken(token) }

// withoutToken tells a client why there is no token, where it helps to know.
func withoutToken(err error, repository string) error {
	switch {
	case errors.Is(err, task.ErrSuspended):
		return errors.Join(&GitForbiddenError{Message: "the SAM app is suspended on the account of " + repository + "; an owner of it can resume it in the account's settings"}, err)
	case errors.Is(err, task.ErrNotFound):
		return errors.Join(&GitForbiddenError{Message: "the SAM app is not installed on " + repository + ", or has no access to it; an owner of the account can give it that"}, err)
	}
	return err
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
