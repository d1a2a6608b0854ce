// Package forge is GitHub going out: clients and tokens, permissions, branches, the pull request, and the delivery of
// effects owed (reactions, the status comment, the closing comment, questions, replies); and what SAM asks of GitHub to
// find out what it has missed. With handlers it is the only room that imports go-github.
//
// GitHub has no idempotent create. What SAM creates therefore carries a hidden marker, and whoever creates looks for the
// marker first. That is not enough when an answer is lost or two processes are at it, for GitHub's lists lag behind: then
// a look for twins is owed as well, and all but the oldest are removed within a minute.
//
// Calls that create or change anything go at a pace that all replicas keep together, and all of them leave GitHub alone
// for as long as it asks: see Pacer. Nobody waits for that while holding anything; what must wait comes again.
package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
	"github.com/palantir/go-githubapp/githubapp"

	"sam/task"
)

// callTimeout bounds one exchange with GitHub.
const callTimeout = 20 * time.Second

// Options say which App SAM is, and where.
type Options struct {
	APIURL     string // https://api.github.com/, or https://HOST/api/v3/
	WebURL     string // https://github.com
	Pages      string // address of the dashboard, for links in comments; empty: no links
	AppID      int64
	PrivateKey []byte // PEM
	UserAgent  string
	Transport  http.RoundTripper // nil: the default one
	Pacer      Pacer             // nil: calls are not paced
}

// Pacer keeps all replicas together under GitHub's limits.
type Pacer interface {
	// Pace asks for one content-creating call; it returns zero when it is granted, else when to ask again.
	Pace(ctx context.Context, installation int64, urgency int) (time.Duration, error)
	// Hold keeps everybody from calling for a time, 0 when GitHub did not say for how long; it returns how long that is.
	Hold(ctx context.Context, installation int64, length time.Duration) (time.Duration, error)
	// Held is how long nobody must call, zero when anybody may.
	Held(ctx context.Context, installation int64) (time.Duration, error)
}

// Forge speaks to GitHub as the App and as its installations. It is safe for concurrent use.
type Forge struct {
	clients *clients
	pacer   Pacer
	app     *github.Client
	tokens  *tokens
	files   files
	webURL  string
	pages   pages
	self    Identity
}

// New makes the clients and asks GitHub who the App is. It fails when the App's id and its key do not belong together.
func New(ctx context.Context, o Options) (*Forge, error) {
	transport := o.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	limits := bounded{transport}
	app, err := githubapp.NewClientCreator(o.APIURL, o.APIURL, o.AppID, o.PrivateKey,
		githubapp.WithClientUserAgent(o.UserAgent), githubapp.WithTransport(limits)).NewAppClient()
	if err != nil {
		return nil, fmt.Errorf("make the App's GitHub client (is the private key a PEM of GitHub's?): %w", err)
	}
	public := github.NewClient(&http.Client{Transport: transport, Timeout: callTimeout})
	public.BaseURL = app.BaseURL
	self, err := identify(ctx, app, public, o.AppID)
	if err != nil {
		return nil, err
	}
	return &Forge{
		clients: &clients{options: o, next: limits, base: app.BaseURL, of: map[int64]*github.Client{}}, pacer: o.Pacer, app: app,
		tokens: newTokens(app), webURL: strings.TrimSuffix(o.WebURL, "/"), pages: pages(strings.TrimSuffix(o.Pages, "/")), self: self,
	}, nil
}

// Identity is who SAM is on GitHub: the author of its commits and comments.
type Identity struct {
	AppID  int64
	Slug   string
	Login  string // <slug>[bot]
	UserID int64
	Email  string // the address by which GitHub shows commits as the bot's
}

func identify(ctx context.Context, client, public *github.Client, id int64) (Identity, error) {
	app, _, err := client.Apps.Get(ctx, "")
	if err != nil {
		return Identity{}, fmt.Errorf("ask GitHub who App %d is (check github.app_id, github.private_key_file and github.api_url): %w", id, err)
	}
	self := Identity{AppID: app.GetID(), Slug: app.GetSlug(), Login: app.GetSlug() + "[bot]"}
	// A JWT opens no user's page, and there may be no installation yet whose token would: the page is public.
	user, _, err := public.Users.Get(ctx, self.Login)
	if err != nil {
		return Identity{}, fmt.Errorf("ask GitHub for the App's user %s: %w", self.Login, err)
	}
	self.UserID = user.GetID()
	self.Email = fmt.Sprintf("%d+%s@users.noreply.github.com", self.UserID, self.Login)
	return self, nil
}

// Self is who SAM is on GitHub.
func (f *Forge) Self() Identity { return f.self }

// ours reports whether a comment was written by the App.
func (f *Forge) ours(c *github.IssueComment) bool { return c.GetUser().GetID() == f.self.UserID }

// CloneURL is where git fetches a repository from.
func (f *Forge) CloneURL(fullName string) string { return f.webURL + "/" + fullName + ".git" }

// client returns an installation's client.
func (f *Forge) client(installation int64) (*github.Client, error) {
	return f.clients.get(installation)
}

// pace asks for one content-creating call; task.LaterError when it must wait.
func (f *Forge) pace(ctx context.Context, installation int64, urgency int) error {
	if f.pacer == nil {
		return nil
	}
	wait, err := f.pacer.Pace(ctx, installation, urgency)
	if err != nil {
		return err
	}
	if wait > 0 {
		return task.LaterError{After: wait}
	}
	return nil
}

// Projects lists the repositories of an installation. task.ErrNotFound when GitHub knows no such installation of this
// App, task.ErrSuspended when its owner has suspended it.
func (f *Forge) Projects(ctx context.Context, installation int64) ([]task.Project, error) {
	if err := f.Installation(ctx, installation); err != nil {
		return nil, err
	}
	client, err := f.client(installation)
	if err != nil {
		return nil, err
	}
	var projects []task.Project
	for page := 1; page != 0; {
		list, response, err := client.Apps.ListRepos(ctx, &github.ListOptions{PerPage: 100, Page: page})
		if err != nil {
			return nil, fmt.Errorf("list repositories of installation %d: %w", installation, err)
		}
		for _, r := range list.Repositories {
			projects = append(projects, project(installation, r))
		}
		page = response.NextPage
	}
	return projects, nil
}

func project(installation int64, r *github.Repository) task.Project {
	return task.Project{
		ID: r.GetID(), Installation: installation, Account: r.GetOwner().GetID(), Owner: r.GetOwner().GetLogin(),
		Name: r.GetName(), DefaultBranch: r.GetDefaultBranch(), Private: r.GetPrivate(),
	}
}

// Role is what a person may do in a project, by GitHub's permission endpoint. It returns task.RoleNone for who is no
// collaborator or does not exist, and fails closed: a custom role's name is not one SAM knows. task.ErrSuspended and
// task.ErrNotFound are of the installation.
func (f *Forge) Role(ctx context.Context, p task.Project, login string) (task.Role, error) {
	client, err := f.client(p.Installation)
	if err != nil {
		return task.RoleNone, err
	}
	// go-github v62 reads only the legacy permission, which calls a triager a reader and a maintainer a writer.
	request, err := client.NewRequest(http.MethodGet,
		fmt.Sprintf("repos/%s/%s/collaborators/%s/permission", p.Owner, p.Name, url.PathEscape(login)), nil)
	if err != nil {
		return task.RoleNone, fmt.Errorf("ask for the permission of %s in %s: %w", login, p.FullName(), err)
	}
	var level struct {
		RoleName string `json:"role_name"`
	}
	_, err = client.Do(ctx, request, &level)
	switch meaning, _ := judge(err); {
	case err == nil:
		return task.ParseRole(level.RoleName), nil
	case meaning == missing:
		return task.RoleNone, nil
	case meaning == suspended:
		err = fmt.Errorf("%w: %w", task.ErrSuspended, err)
	case meaning == uninstalled:
		err = fmt.Errorf("%w: %w", task.ErrNotFound, err)
	}
	return task.RoleNone, fmt.Errorf("ask for the permission of %s in %s: %w", login, p.FullName(), err)
}

// refusal is what GitHub says of a request that it will not take.
func refusal(err error) string {
	var refused *github.ErrorResponse
	if !errors.As(err, &refused) {
		return err.Error()
	}
	for _, e := range refused.Errors {
		if e.Message != "" {
			return e.Message
		}
		if e.Field != "" {
			return fmt.Sprintf("%s (%s: %s)", refused.Message, e.Field, e.Code)
		}
	}
	return refused.Message
}
