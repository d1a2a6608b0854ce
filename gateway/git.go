package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"sam/redact"
)

// Grant is what one task may do with git at this moment.
type Grant struct {
	Task         string
	Epoch        int64
	CloneURL     string // the repository upstream, e.g. https://github.com/o/r.git; never with credentials in it
	Branch       string // the only ref the task may push, in full: refs/heads/sam/…
	Base         string // the branch that the work goes to, in full; never pushed, "" when it is not known
	Repository   string // owner/name
	RepositoryID int64
	Installation int64
	Listed       []GitRepository // what the task may fetch besides: submodules of its repository, mostly
	Workflows    bool            // the account lets SAM push workflows

	// Rewrite says that SAM created Branch, so that the task may create it and may update it in any way.
	// Without it the branch is somebody else's: it must exist, and only an update that is shown to be
	// a fast-forward is admitted.
	Rewrite bool

	// Untrusted says that what runs in the workspace may be by people who may not write to the repository. It is let to nothing
	// that they could not read otherwise.
	Untrusted bool
}

// GitRepository is a repository that a task may fetch and no more.
type GitRepository struct {
	FullName string // owner/name
	CloneURL string // upstream, without credentials
}

// Push is one ref update that upstream has accepted. Old is forty zeros when the ref was created.
type Push struct {
	Ref, Old, New string
}

// ErrGitUnauthorized is what GitGrants.Authorize returns when a request has no credentials, or wrong ones.
var ErrGitUnauthorized = errors.New("git credentials are missing or not valid")

// GitForbiddenError refuses a request whose sender is known. Message is shown to the person or agent at the
// other end: what happened, why, and what to do.
type GitForbiddenError struct{ Message string }

func (e *GitForbiddenError) Error() string { return e.Message }

// GitGrants decides who may do what. Authorize returns ErrGitUnauthorized, a *GitForbiddenError, or any other
// error when it cannot tell now (the client then gets a 503). Guarded is asked before every push whether the repository's host
// guards the grant's branch, which exists or is to be created, as the default or a protected one; why is for the client, "" when
// the push may go on.
type GitGrants interface {
	Authorize(r *http.Request, task string) (Grant, error)
	Guarded(ctx context.Context, g Grant, exists bool) (why string, err error)
}

// GitTokens are the installation tokens that upstream traffic carries. Each is limited to one repository and lasts longer
// than GitLimits.Time; those to fetch with can only read. A *GitForbiddenError is passed on to the client, any other error only
// to the log. ForgetToken says that the repository's host does not know a token any more.
type GitTokens interface {
	FetchToken(ctx context.Context, g Grant) (string, error)
	PushToken(ctx context.Context, g Grant) (string, error)
	ListedToken(ctx context.Context, listed GitRepository) (string, error)
	ForgetToken(token string)
}

// GitRecords remembers what was pushed. BeginPush is called before anything of it goes upstream, and stops the push when it
// fails: a *GitForbiddenError is passed on to the client. RecordPush is called after upstream accepted the update and before the client hears of it;
// it may be called twice for one push, and must then succeed twice.
type GitRecords interface {
	BeginPush(ctx context.Context, g Grant, p Push) error
	RecordPush(ctx context.Context, g Grant, p Push) error
}

// GitLimits bounds one request. A zero field means its default.
type GitLimits struct {
	PackBytes    int64         // one push's pack as it travels, after any Content-Encoding, or one file of LFS; 2 GiB
	Objects      int64         // commits, trees and files in one push's pack; 250,000
	Commands     int           // ref updates in one push; 64
	CommandBytes int64         // the command list of a push with its shallow lines; 1 MiB
	FetchBytes   int64         // the body of one fetch request, as sent; 64 MiB
	DrainBytes   int64         // what is still read of a refused push, so that git sees the answer; 64 MiB
	DrainTime    time.Duration // and for how long; 30 s
	Time         time.Duration // a whole request; 30 min
}

func (l GitLimits) withDefaults() GitLimits {
	return GitLimits{
		PackBytes:    orDefault(l.PackBytes, 2<<30),
		Objects:      orDefault(l.Objects, 250_000),
		Commands:     orDefault(l.Commands, 64),
		CommandBytes: orDefault(l.CommandBytes, 1<<20),
		FetchBytes:   orDefault(l.FetchBytes, 64<<20),
		DrainBytes:   orDefault(l.DrainBytes, 64<<20),
		DrainTime:    orDefault(l.DrainTime, 30*time.Second),
		Time:         orDefault(l.Time, 30*time.Minute),
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Git is the git broker: the only remote that a workspace has. It speaks git's smart HTTP protocol on both sides and is
// the only one that holds a token for the upstream repository. A fetch passes through. A push passes only when it
// updates the granted branch and nothing else; what the broker recorded is what was done.
//
//	workspace -> node's forwarder -> Git -> GitHub
//
//	GET  /git/{task}/info/refs?service=git-upload-pack|git-receive-pack
//	POST /git/{task}/git-upload-pack
//	POST /git/{task}/git-receive-pack
//	     /git/{task}/sub/{owner}/{name}/…   the same without the last, for a listed repository
//	     …/info/lfs/objects/batch, …/lfs/…  files of Git LFS, see gitlfs.go
//
// A refusal before a push's commands are read is an HTTP status with a line of text; git shows it as `remote: …`.
// After that it is told in the protocol, as `! [remote rejected] main -> main (…)`.
type Git struct {
	Limits   GitLimits
	SpoolDir string // where packs wait while they are checked; "" is the system's temporary folder
	// Hidden are the secrets of a project, by its id, that no push may hold; nil finds none.
	Hidden func(ctx context.Context, project int64) (*redact.Redactor, error)

	grants  GitGrants
	tokens  GitTokens
	records GitRecords
	client  *http.Client
	turns   pushTurns
}

// NewGit returns a broker that sends all its upstream traffic through client's transport. Client's own timeout,
// cookies and redirect policy are not used: a transfer may be long, and a redirect would take a token elsewhere.
func NewGit(grants GitGrants, tokens GitTokens, records GitRecords, client *http.Client) *Git {
	return &Git{
		grants:  grants,
		tokens:  tokens,
		records: records,
		client: &http.Client{
			Transport:     client.Transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Handler serves the routes. Requests log to the logger that their context carries.
func (g *Git) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /git/{task}/info/refs", g.granted(g.infoRefs))
	mux.Handle("POST /git/{task}/git-upload-pack", g.granted(g.uploadPack))
	mux.Handle("POST /git/{task}/git-receive-pack", g.granted(g.receivePack))
	const sub = "/git/{task}/sub/{owner}/{name}"
	mux.Handle("GET "+sub+"/info/refs", g.granted(g.listed(g.infoRefs)))
	mux.Handle("POST "+sub+"/git-upload-pack", g.granted(g.listed(g.uploadPack)))
	mux.Handle("POST "+sub+"/git-receive-pack", g.granted(g.listed(g.receivePack)))
	g.handleLFS(mux, "/git/{task}", func(serve gitHandler) http.Handler { return g.granted(serve) })
	g.handleLFS(mux, sub, func(serve gitHandler) http.Handler { return g.granted(g.listed(serve)) })
	return mux
}

// gitHandler serves a request that was let in.
type gitHandler func(http.ResponseWriter, *gitRequest)

// gitRequest is one admitted request with its bounds.
type gitRequest struct {
	*http.Request
	grant  Grant
	sub    *GitRepository // the listed repository that is asked for; nil: the task's own
	limits GitLimits
	log    *zerolog.Logger
}

func (g *Git) granted(serve gitHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limits := g.Limits.withDefaults()
		task := r.PathValue("task")
		grant, err := g.grants.Authorize(r, task)
		if err == nil && grant.Task != task {
			err = &GitForbiddenError{Message: "this credential belongs to another task; use the remote that SAM configured in this workspace"}
		}
		if err != nil {
			refuseEntry(w, r, err)
			return
		}

		ctx, cancel := context.WithTimeout(r.Context(), limits.Time)
		defer cancel()
		log := zerolog.Ctx(ctx).With().Str("task", grant.Task).Int64("epoch", grant.Epoch).
			Int64("repository", grant.RepositoryID).Int64("installation", grant.Installation).Logger()
		ctx = log.WithContext(ctx)

		defer untimed(ctx, w, limits.DrainTime)()
		serve(w, &gitRequest{Request: r.WithContext(ctx), grant: grant, limits: limits, log: &log})
	})
}

// untimed replaces the server's own timeouts by the end of ctx, until the returned func is called. A context does not
// interrupt a read from a stalled client, a deadline does; telling is what is left of writing time for telling the client.
func untimed(ctx context.Context, w http.ResponseWriter, telling time.Duration) (restore func()) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Time{})
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(cut)
		_ = conn.SetReadDeadline(time.Now())
		_ = conn.SetWriteDeadline(time.Now().Add(telling))
	})
	return func() {
		if !stop() {
			<-cut
		}
		_ = conn.SetWriteDeadline(time.Time{}) // the connection may serve other requests
	}
}

// refuseEntry answers a request that Authorize did not admit. Only a request without credentials is asked for some:
// a client that sent wrong ones would otherwise be asked for ever.
func refuseEntry(w http.ResponseWriter, r *http.Request, err error) {
	var forbidden *GitForbiddenError
	switch {
	case errors.Is(err, ErrGitUnauthorized):
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="sam"`)
		}
		http.Error(w, "SAM does not know these git credentials; use the remote that SAM configured in this workspace", http.StatusUnauthorized)
	case errors.As(err, &forbidden):
		http.Error(w, forbidden.Message, http.StatusForbidden)
	default:
		zerolog.Ctx(r.Context()).Error().Err(err).Msg("authorize git request")
		http.Error(w, "SAM cannot check this task's rights at the moment; try again shortly", http.StatusServiceUnavailable)
	}
}
