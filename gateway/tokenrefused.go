package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// Why a task's token was refused, as the metric has it.
const (
	tokenElsewhere = string(task.Elsewhere)
	tokenEnded     = string(task.AfterEnd)
	tokenUnknown   = "unknown" // it is no task's, or was not looked for: see strangerPause
)

// Bounds of what strangers cost: how often a task is read for one, and how many refusals are remembered, for each to be logged
// once.
const (
	strangerPause = 20 * time.Millisecond
	maxMisused    = 10_000
)

// olderEpochs is how many attempts before a task's newest a token is recognised of.
const olderEpochs = 8

// misused counts, logs and tells of tokens that were refused. One that is known and refused has left its workspace.
type misused struct {
	refused *prometheus.CounterVec

	mu     sync.Mutex
	next   time.Time // when a task may be read for a stranger
	logged map[misuse]bool
	told   map[misuse]bool
}

type misuse struct {
	wire.Ref
	why string
}

func newMisused(r prometheus.Registerer) *misused {
	m := &misused{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sam_task_token_refused_total",
			Help: "Requests at the brokers with a task's token that were refused, by why: elsewhere is not over its node's link, after_end is after its attempt's end, unknown is no task's. Of the first two each attempt is logged once.",
		}, []string{"why"}),
		logged: map[misuse]bool{}, told: map[misuse]bool{},
	}
	for _, why := range []string{tokenElsewhere, tokenEnded, tokenUnknown} {
		m.refused.WithLabelValues(why)
	}
	if r != nil {
		r.MustRegister(m.refused)
	}
	return m
}

// may reports whether a task may be read for a stranger now: anybody can knock, and as often as they like.
func (m *misused) may(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.next) {
		return false
	}
	m.next = now.Add(strangerPause)
	return true
}

// first reports whether something is new to a list, and notes it.
func (m *misused) first(list map[misuse]bool, one misuse) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if list[one] {
		return false
	}
	if len(list) >= maxMisused {
		clear(list)
	}
	list[one] = true
	return true
}

func (m *misused) forget(list map[misuse]bool, one misuse) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(list, one)
}

// misuse looks at a request that was refused. A token that belongs to the task is counted by what was wrong with it, and the
// task's page tells of it once: by an event while an attempt is under way whose node this replica can reach, else by the task's
// record, since nothing is appended to what has ended.
func (g *Gateway) misuse(r *http.Request, id string) {
	shown := tokensOf(r)
	if len(shown) == 0 {
		return
	}
	ctx := context.WithoutCancel(r.Context())
	one, running, ok := g.whose(ctx, r, task.ID(id), shown)
	if !ok {
		g.misused.refused.WithLabelValues(tokenUnknown).Inc()
		return
	}
	g.misused.refused.WithLabelValues(one.why).Inc()
	if g.misused.first(g.misused.logged, one) {
		zerolog.Ctx(ctx).Warn().Str("task", one.Task).Int64("epoch", one.Epoch).Str("why", one.why).Stringer("from", g.identity.from(r)).
			Msg("a task's token was refused: it has left its workspace")
	}
	if !g.misused.first(g.misused.told, one) {
		return
	}
	if running != nil && g.tell(ctx, *running, one) == nil {
		return
	}
	if err := g.store.NoteMisuse(ctx, task.ID(one.Task), task.Misuse(one.why)); err != nil {
		g.misused.forget(g.misused.told, one)
		zerolog.Ctx(ctx).Warn().Err(err).Str("task", one.Task).Msg("that a task's token was refused is not told on its page")
	}
}

// tokensOf are what a request shows that may be a task's token.
func tokensOf(r *http.Request) []string {
	var shown []string
	if token := r.Header.Get(wire.TaskTokenHeader); token != "" {
		shown = append(shown, token)
	}
	if _, password, ok := r.BasicAuth(); ok && password != "" {
		shown = append(shown, password)
	}
	return shown
}

// whose finds of which attempt of the task one of the tokens is. running is the task when an attempt of it is under way.
func (g *Gateway) whose(ctx context.Context, r *http.Request, id task.ID, shown []string) (one misuse, running *task.Task, ok bool) {
	caller := g.caller(r)
	if caller == "" && !g.misused.may(time.Now()) {
		return misuse{}, nil, false
	}
	t, err := g.store.Task(ctx, id)
	if err != nil {
		return misuse{}, nil, false
	}
	if t.State == task.Preparing || t.State == task.Running || t.State == task.Waiting {
		running = &t
	}
	for epoch := t.Epoch; epoch > max(0, t.Epoch-olderEpochs); epoch-- {
		for _, token := range shown {
			// An earlier attempt may have been on another node, which is known when it is that node that asks.
			if !g.keys.isTaskToken(token, t.ID, epoch, t.Node) && (caller == "" || !g.keys.isTaskToken(token, t.ID, epoch, caller)) {
				continue
			}
			one = misuse{wire.Ref{Task: string(t.ID), Epoch: epoch}, tokenEnded}
			if running != nil && epoch == t.Epoch {
				one.why = tokenElsewhere
			}
			return one, running, true
		}
	}
	return misuse{}, nil, false
}

// errNoLink: the node's link is another replica's, or older than what is to be told.
var errNoLink = errors.New("this replica has no link to the task's node that could tell it")

// tell has the task's node say on its page what was refused.
func (g *Gateway) tell(ctx context.Context, t task.Task, one misuse) error {
	g.mu.Lock()
	l := g.links[t.Node]
	g.mu.Unlock()
	if l == nil || !l.welcomed.Load() || l.protocol < wire.Notices {
		return errNoLink
	}
	text := "This task's token was used from somewhere else than its node, and was refused: it opens the task's brokers over its own node's link alone. "
	if one.why == tokenEnded {
		text = "The token of an earlier attempt of this task was used, and was refused: it ended with that attempt. "
	}
	return l.write(ctx, wire.Frame{Type: wire.TypeNotice, Notice: &wire.Notice{
		Ref: wire.Ref{Task: string(t.ID), Epoch: t.Epoch},
		Refused: wire.Refused{Code: "token_refused", Subject: "the task's token, " + map[string]string{tokenElsewhere: "elsewhere", tokenEnded: "after its attempt"}[one.why],
			Text: text + "Something gave it away that had it: look at what the agent did, and stop the task if it should not have."},
	}})
}
