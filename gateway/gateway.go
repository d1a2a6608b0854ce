// Package gateway is the one door that nodes knock at: the node's WebSocket (link.go, links.go), tokens to fetch a mirror with,
// the git broker (git*.go), which is a workspace's only remote, and the model broker (model*.go), which is its only way to a
// model. A node dials in; nothing dials a node.
//
// What a node says is untrusted beyond its own tasks: every request is checked against the task's record, which says on
// which node and in which epoch it runs now.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// Store is what the gateway reads and writes.
type Store interface {
	Task(ctx context.Context, id task.ID) (task.Task, error)
	Project(ctx context.Context, project int64) (task.Project, error)
	AppendEvents(ctx context.Context, id task.ID, epoch int64, node string, events []task.Numbered) (last int64, err error)
	NoteProgress(ctx context.Context, t task.Task, epoch int64, p task.Progress, onStart []task.Effect) error
	Ask(ctx context.Context, t task.Task, epoch int64, q task.Question, c task.Change) error
	RenewFor(ctx context.Context, node string, id task.ID, epoch int64) error
	BeginPush(ctx context.Context, id task.ID, epoch int64, branch, commit string) error
	RecordPush(ctx context.Context, id task.ID, epoch int64, branch, commit string) error
	RecordUsage(ctx context.Context, id task.ID, epoch int64, u task.Usage) error
	NodeLinked(ctx context.Context, n task.Node) (link int64, err error)
	NodeBeat(ctx context.Context, name string, link int64, v task.Vitals, changed *task.Held) error
	NodeUnlinked(ctx context.Context, name string, link int64) error
	FollowCommands(ctx context.Context, node string, handle func(task.Command) error) error
	ConfirmCommand(ctx context.Context, node, command string) error
	NoteMisuse(ctx context.Context, id task.ID, how task.Misuse) error

	Machines
}

// GitHub is what the gateway asks of GitHub.
type GitHub interface {
	FetchToken(ctx context.Context, installation, repository int64) (string, error)
	MintFetchToken(ctx context.Context, installation, repository int64) (string, error)
	PushToken(ctx context.Context, installation, repository int64) (string, error)
	WorkflowsToken(ctx context.Context, installation, repository int64) (string, error)
	ReadToken(ctx context.Context, fullName string) (string, error)
	ForgetToken(token string)
	Guarded(ctx context.Context, p task.Project, branch string, exists bool) (why string, err error)
	CloneURL(fullName string) string
}

// Author is whom SAM's commits are by.
type Author struct{ Name, Email string }

// Options are what a Gateway is made of.
type Options struct {
	Store  Store
	GitHub GitHub
	Keys   Keys
	Author Author
	HTTP   *http.Client // for the git broker's way to GitHub
	Git    GitPolicy
	// Metrics is where the gateway's metrics are registered; nil: nowhere.
	Metrics prometheus.Registerer
	// Secrets are for workspaces whose projects ask for them; nil: there are none.
	Secrets Secrets
	// Network is what workspaces may reach beside the brokers; nil: nothing.
	Network    *wire.Network
	Registries *Registries // private ones; nil: there are none
	// From is the address that a request came from, as Behind tells it; nil: the connection's.
	From func(*http.Request) netip.Addr
	// Programs are what new machines fetch; nil: there are none.
	Programs *Programs
	Model    *Model // what NewModel returned; nil: requests for a model are refused, with what to do
}

// Gateway serves the nodes of one replica.
type Gateway struct {
	store  Store
	github GitHub
	keys   Keys
	author Author
	git    GitPolicy
	out    *wire.Network
	mux    *http.ServeMux
	clocks clocks

	redactors redactors
	identity  identity
	misused   *misused

	serving sync.WaitGroup // counts open

	mu     sync.Mutex
	open   map[*link]struct{} // every link
	links  map[string]*link   // by node: the newest wins
	closed bool
}

// New returns a gateway. Close it before its store.
func New(o Options) *Gateway {
	g := &Gateway{
		store: o.Store, github: o.GitHub, keys: o.Keys, author: o.Author, git: o.Git, out: o.Network, mux: http.NewServeMux(), clocks: newClocks(o.Metrics),
		redactors: redactors{secrets: o.Secrets, of: map[int64]projectRedactor{}}, misused: newMisused(o.Metrics),
		identity: identity{machines: o.Store, keys: o.Keys, from: o.From, now: time.Now, refused: newMachineRefusals(o.Metrics)},
		open:     map[*link]struct{}{}, links: map[string]*link{},
	}
	if g.identity.from == nil {
		g.identity.from = connected
	}
	g.mux.HandleFunc("GET "+wire.LinkPath, g.serveLink)
	g.mux.HandleFunc("POST "+wire.FetchTokenPath, g.serveFetchToken)
	g.mux.HandleFunc("GET "+wire.CredentialPath, g.identity.serveChallenge)
	g.mux.HandleFunc("POST "+wire.CredentialPath, g.identity.serveCredential)
	o.Programs.register(o.Metrics)
	g.mux.Handle(wire.ProgramPath, o.Programs.handler(g.identity.from))
	git := NewGit(gitRights{brokered{g}}, brokered{g}, brokered{g}, o.HTTP)
	git.Hidden = g.redactors.project
	git.Limits.PackBytes, git.Limits.Objects = o.Git.MaxPack, o.Git.MaxObjects
	g.mux.Handle(wire.GitPath, git.Handler())
	o.Model.register(o.Metrics)
	if o.Registries == nil {
		o.Registries = NewRegistries(nil, &http.Client{})
	}
	g.mux.Handle(wire.RegistryPath, o.Registries.handler(brokered{g}))
	g.mux.Handle(wire.ModelPath, o.Model.handler(brokered{g}, brokered{g}))
	return g
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// caller returns the node whose credential a request carries, "" for none.
func (g *Gateway) caller(r *http.Request) string {
	node, _ := g.holder(r)
	return node
}

// holder is caller, and says whether the node is a machine that SAM made.
func (g *Gateway) holder(r *http.Request) (node string, made bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", false
	}
	return g.keys.node(token, g.identity.now())
}

// Errors of a request for a task, by what the caller is told.
var (
	errNoCredential = errors.New("no credential of a node, or a wrong one: start sam node with the token that this server wrote for it")
	errNotYours     = errors.New("this task is not this node's: it does not exist, runs elsewhere, or is over")
)

// attempt returns the task that a node asks something for, when that attempt is the task's current one, is with that node
// and is in one of the states; else errNotYours.
func (g *Gateway) attempt(ctx context.Context, node string, id task.ID, epoch int64, in ...task.State) (task.Task, error) {
	t, err := g.store.Task(ctx, id)
	if errors.Is(err, task.ErrNotFound) {
		return task.Task{}, errNotYours
	}
	if err != nil {
		return task.Task{}, err
	}
	if t.Node != node || t.Epoch != epoch || !slices.Contains(in, t.State) {
		return task.Task{}, errNotYours
	}
	return t, nil
}

// serveFetchToken mints the token with which a node fetches its mirror of a task's repository.
func (g *Gateway) serveFetchToken(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	node := g.caller(r)
	if node == "" {
		http.Error(w, errNoCredential.Error(), http.StatusUnauthorized)
		return
	}
	var request wire.FetchTokenRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&request); err != nil {
		http.Error(w, fmt.Sprintf("not a request for a token: %v", err), http.StatusBadRequest)
		return
	}
	t, err := g.attempt(ctx, node, task.ID(request.Task), request.Epoch, task.Preparing, task.Running)
	if errors.Is(err, errNotYours) {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if err != nil {
		g.failed(w, r, "reading the task failed", err)
		return
	}
	if t, err = g.present(ctx, t); err != nil {
		g.failed(w, r, "reading the project failed", err)
		return
	}
	token, err := g.github.MintFetchToken(ctx, t.Installation, t.Project)
	if err != nil {
		g.failed(w, r, "GitHub gave no token to fetch with", err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(wire.FetchTokenReply{Token: token}); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("node", node).Msg("sending a token failed")
	}
}

func (g *Gateway) failed(w http.ResponseWriter, r *http.Request, what string, err error) {
	zerolog.Ctx(r.Context()).Error().Err(err).Msg(what)
	http.Error(w, what+"; try again", http.StatusBadGateway)
}
