package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v62/github"

	"sam/task"
)

// tokenLasts is how long a token that is handed out is good for at the least: GitHub's last an hour, and one operation of
// git's half of one.
const tokenLasts = 35 * time.Minute

// ungrantedFor is how long is taken for granted that an installation lacks a permission, once GitHub has said so: every push of an
// account in git.workflows would ask in vain else.
const ungrantedFor = 10 * time.Minute

// maxTokens is how many tokens are remembered before those that have expired are dropped.
const maxTokens = 1000

// scope is what a token may do in its one repository.
type scope string

const (
	reads           scope = "read"
	pushes          scope = "push"
	pushesWorkflows scope = "push workflows"
)

func (s scope) permissions() *github.InstallationPermissions {
	switch s {
	case pushes:
		return &github.InstallationPermissions{Contents: github.String("write")}
	case pushesWorkflows:
		return &github.InstallationPermissions{Contents: github.String("write"), Workflows: github.String("write")}
	default:
		return &github.InstallationPermissions{Contents: github.String("read")}
	}
}

// FetchToken returns a token that can read one repository, and nothing else. Like every token here it is good for 35
// minutes at the least. task.ErrSuspended and task.ErrNotFound are of the installation, and of the repository in it.
func (f *Forge) FetchToken(ctx context.Context, installation, repository int64) (string, error) {
	return f.tokens.get(ctx, tokenKey{installation: installation, repository: repository, scope: reads})
}

// MintFetchToken is FetchToken with a token that nobody else has: for who keeps it where SAM does not hear of it when
// GitHub forgets it.
func (f *Forge) MintFetchToken(ctx context.Context, installation, repository int64) (string, error) {
	token, err := f.tokens.fresh(ctx, tokenKey{installation: installation, repository: repository, scope: reads})
	return token.GetToken(), err
}

// PushToken returns a token that can push to one repository. It cannot create or update workflows.
func (f *Forge) PushToken(ctx context.Context, installation, repository int64) (string, error) {
	return f.tokens.get(ctx, tokenKey{installation: installation, repository: repository, scope: pushes})
}

// WorkflowsToken returns a token that can push to one repository, workflows included. task.UnusableError when the
// installation has not been granted that, or had not ten minutes ago.
func (f *Forge) WorkflowsToken(ctx context.Context, installation, repository int64) (string, error) {
	return f.tokens.get(ctx, tokenKey{installation: installation, repository: repository, scope: pushesWorkflows})
}

// ReadToken returns a token that can read one repository, which is named owner/name and may belong to any account that
// the App is installed on. task.ErrNotFound when it is not installed there.
func (f *Forge) ReadToken(ctx context.Context, fullName string) (string, error) {
	return f.tokens.get(ctx, tokenKey{name: strings.ToLower(fullName), scope: reads})
}

// ForgetToken makes sure that a token is not handed out again: GitHub did not take it.
func (f *Forge) ForgetToken(token string) { f.tokens.forget(token) }

// tokenKey says what a token is for: a repository by its id, or by its full name where SAM knows no more of it.
type tokenKey struct {
	installation, repository int64
	name                     string
	scope                    scope
}

func (k tokenKey) String() string {
	if k.name != "" {
		return fmt.Sprintf("mint a token to %s in %s", k.scope, k.name)
	}
	return fmt.Sprintf("mint a token to %s in repository %d of installation %d", k.scope, k.repository, k.installation)
}

// tokens mints installation tokens for one repository each and hands them out while they last. They are in memory only.
type tokens struct {
	app *github.Client

	mu sync.Mutex
	of map[tokenKey]*minted
}

// minted is the token of one key. Turn is held while it is minted, so that many who want it at once have one minted.
type minted struct {
	turn chan struct{}

	// Guarded by tokens.mu:
	value   string
	expires time.Time // by the word of GitHub
	refused error     // instead of a value: the installation lacks the permission
	asked   time.Time // when it was refused
}

func newTokens(app *github.Client) *tokens {
	return &tokens{app: app, of: map[tokenKey]*minted{}}
}

func (t *tokens) get(ctx context.Context, key tokenKey) (string, error) {
	m := t.entry(key)
	if token, err := t.known(m); token != "" || err != nil {
		return token, err
	}
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token, err := t.known(m); token != "" || err != nil { // while we waited
		return token, err
	}
	fresh, err := t.fresh(ctx, key)
	var ungranted task.UnusableError
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.As(err, &ungranted) {
		m.refused, m.asked = err, time.Now()
	}
	if err != nil {
		return "", err
	}
	m.value, m.expires, m.refused = fresh.GetToken(), fresh.GetExpiresAt().Time, nil
	return m.value, nil
}

// entry finds or makes a key's place.
func (t *tokens) entry(key tokenKey) *minted {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.of[key]
	if m == nil {
		if len(t.of) >= maxTokens {
			t.dropExpired()
		}
		m = &minted{turn: make(chan struct{}, 1)}
		t.of[key] = m
	}
	return m
}

// dropExpired is called with mu held. Who waits for a place that is dropped keeps it to itself.
func (t *tokens) dropExpired() {
	now := time.Now()
	for key, m := range t.of {
		if !now.Before(m.expires) {
			delete(t.of, key)
		}
	}
}

// known is a place's token while it lasts long enough, or why there is none for now; "" and nil when GitHub is to be asked.
func (t *tokens) known(m *minted) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case m.refused != nil && time.Since(m.asked) < ungrantedFor:
		return "", m.refused
	case time.Until(m.expires) < tokenLasts:
		return "", nil
	}
	return m.value, nil
}

func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, m := range t.of {
		if m.value == token {
			delete(t.of, key)
		}
	}
}

// fresh mints a token. The error says what it was for.
func (t *tokens) fresh(ctx context.Context, key tokenKey) (*github.InstallationToken, error) {
	token, err := t.mint(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, meaningOf(err, key.scope))
	}
	return token, nil
}

func (t *tokens) mint(ctx context.Context, key tokenKey) (*github.InstallationToken, error) {
	options := &github.InstallationTokenOptions{Permissions: key.scope.permissions()}
	if key.name == "" {
		options.RepositoryIDs = []int64{key.repository}
		token, _, err := t.app.Apps.CreateInstallationToken(ctx, key.installation, options)
		return token, err
	}
	owner, name, ok := strings.Cut(key.name, "/")
	if !ok || owner == "" || name == "" {
		return nil, fmt.Errorf("%w: %q is not owner/name", task.ErrNotFound, key.name)
	}
	installation, _, err := t.app.Apps.FindRepositoryInstallation(ctx, owner, name)
	if err != nil {
		return nil, err
	}
	options.Repositories = []string{name}
	token, _, err := t.app.Apps.CreateInstallationToken(ctx, installation.GetID(), options)
	return token, err
}

// meaningOf says what it means that GitHub minted no token.
func meaningOf(err error, s scope) error {
	switch meaning, _ := judge(err); {
	case meaning == suspended:
		return fmt.Errorf("%w: %w", task.ErrSuspended, err)
	case meaning == missing:
		return fmt.Errorf("%w: %w", task.ErrNotFound, err)
	case status(err) != http.StatusUnprocessableEntity:
		return err
	case s == pushesWorkflows && strings.Contains(refusal(err), "permissions"):
		return errors.Join(task.UnusableError{Reason: "the SAM app has not been granted `workflows: write` on this account"}, err)
	case strings.Contains(refusal(err), "repository"):
		return fmt.Errorf("%w: %w", task.ErrNotFound, err)
	default:
		return err
	}
}
