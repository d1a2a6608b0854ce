// Package runner decides what happens to a task next, and does it. It holds no task in memory: Advance claims one under a
// lease, takes it one step on, and lets it go; whatever comes after is another call, in this process or another.
//
//	queued, placing     choose a branch and a node, write the command to start
//	preparing, running  nothing while its node lives: the gateway writes what the node says. When the attempt ended
//	                    or the node is lost, the task is claimed like any other.
//	publishing          the one place where a task that ran ends, whichever way it ended
package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/cloud"
	"sam/task"
)

// Store is where the runner's decisions are kept.
type Store interface {
	// Claim takes a task over under a lease of task.Deadline and a new epoch; task.NotYoursError.
	Claim(ctx context.Context, id task.ID) (task.Claimed, error)
	// Renew pushes the lease on; task.ErrStale when it is lost.
	Renew(ctx context.Context, t task.Task) error
	// Move, Starve and Place write nothing and return task.ErrStale when the claim is over.
	Move(ctx context.Context, t task.Task, to task.State, c task.Change) error
	Starve(ctx context.Context, t task.Task, again time.Duration, c task.Change) error
	// Place gives the task to a node; task.ErrFull when the node cannot take it.
	Place(ctx context.Context, t task.Task, node string, start task.Command, c task.Change) error
	Nodes(ctx context.Context) ([]task.Node, error)
	EnsureNode(ctx context.Context, n task.Node) error
	Project(ctx context.Context, id int64) (task.Project, error)
}

// GitHub is what the runner asks of GitHub.
type GitHub interface {
	// Branch chooses where the thread's commits go; task.UnusableError.
	Branch(ctx context.Context, p task.Project, s task.Spec) (task.Branch, error)
	// Publish finds or creates the pull request of the task's branch; task.UnusableError.
	Publish(ctx context.Context, p task.Project, t task.Task) (task.PullRequest, error)
}

// maxAttempts is how many nodes a task is given to before it fails: a node may be lost, an agent that fails may not.
const maxAttempts = 2

// publishFor is how long a result is tried to be published before the task fails, its commits kept on the branch.
const publishFor = time.Hour

// Runner advances tasks. It is safe for concurrent use, by any number of processes on one store.
type Runner struct {
	store    Store
	github   GitHub
	provider cloud.Provider
}

// New returns a runner.
func New(s Store, g GitHub, p cloud.Provider) *Runner { return &Runner{s, g, p} }

// Prepare records the nodes that exist without being created.
func (r *Runner) Prepare(ctx context.Context) error {
	nodes, err := r.provider.Standing(ctx)
	if err != nil {
		return fmt.Errorf("ask provider %s for its nodes: %w", r.provider.Name(), err)
	}
	for _, n := range nodes {
		if err := r.store.EnsureNode(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// Advance takes a task one step on, if it is anybody's to take. What fails is left to its lease: the sweep brings it back.
func (r *Runner) Advance(ctx context.Context, id task.ID) {
	log := zerolog.Ctx(ctx).With().Str("task", string(id)).Logger()
	// A step that was begun is finished though SAM is stopping; each is bounded by the lease.
	ctx = log.WithContext(context.WithoutCancel(ctx))
	claimed, err := r.store.Claim(ctx, id)
	var not task.NotYoursError
	if errors.As(err, &not) {
		log.Debug().Str("why", not.Why).Msg("nothing to do for the task now")
		return
	}
	if err != nil {
		log.Error().Err(err).Msg("claiming the task failed; the sweep tries again")
		return
	}
	log = log.With().Int64("epoch", claimed.Epoch).Logger()
	ctx = log.WithContext(ctx)
	if err := r.holding(ctx, claimed.Task, func(ctx context.Context) error { return r.step(ctx, claimed) }); err != nil {
		log.Error().Err(err).Str("state", string(claimed.State)).Msg("a step failed; it is tried again when its lease is over")
	}
}

// holding runs a step under the claim's lease, renewed at a third of its length. When the lease is lost the step's
// context ends: whatever it would still write is refused anyway.
func (r *Runner) holding(ctx context.Context, t task.Task, step func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		tick := time.NewTicker(task.Deadline(task.Placing) / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := r.store.Renew(ctx, t); errors.Is(err, task.ErrStale) {
					cancel()
					return
				}
			}
		}
	}()
	err := step(ctx)
	cancel()
	<-renewed
	return err
}

func (r *Runner) step(ctx context.Context, c task.Claimed) error {
	project, err := r.store.Project(ctx, c.Project)
	if errors.Is(err, task.ErrNotFound) {
		return r.fail(ctx, c.Task, "SAM is no longer installed on this repository.")
	}
	if err != nil {
		return err
	}
	switch c.State {
	case task.Placing:
		return r.place(ctx, project, c.Task)
	case task.Publishing:
		return r.publish(ctx, project, c)
	case task.Preparing, task.Running:
		return r.ended(ctx, project, c)
	default:
		return fmt.Errorf("claimed in state %s", c.State)
	}
}

// ended decides about an attempt that is over before the agent could finish: its node is lost, or preparing failed.
func (r *Runner) ended(ctx context.Context, p task.Project, c task.Claimed) error {
	if c.End != nil && c.End.Outcome != task.Lost {
		return r.fail(ctx, c.Task, c.End.Reason)
	}
	reason := fmt.Sprintf("Its node %s has been silent for %s.", c.Node, task.NodeSilence)
	if c.End != nil {
		reason = c.End.Reason
	}
	if c.Attempts >= maxAttempts {
		return r.fail(ctx, c.Task, fmt.Sprintf("%s It was attempt %d of %d. Ask again when the nodes are well.", reason, c.Attempts, maxAttempts))
	}
	zerolog.Ctx(ctx).Warn().Str("node", c.Node).Str("reason", reason).Msg("the attempt is lost; the task is placed again")
	if err := r.store.Move(ctx, c.Task, task.Placing, task.Change{
		Fields:  map[task.Field]string{task.FieldNode: "", task.FieldWaits: reason + " It is tried once more."},
		Effects: []task.Effect{task.StatusEffect(c.Spec)},
	}); err != nil {
		return err
	}
	again := c.Task
	again.State, again.Node = task.Placing, ""
	return r.place(ctx, p, again)
}

// fail ends a task with words for the person.
func (r *Runner) fail(ctx context.Context, t task.Task, why string) error {
	zerolog.Ctx(ctx).Warn().Str("from", string(t.State)).Str("why", why).Msg("the task failed")
	return r.store.Move(ctx, t, task.Failed, task.Change{
		Fields:  map[task.Field]string{task.FieldFailure: why},
		Entry:   result(t, task.Failed, why),
		Effects: []task.Effect{task.ClosingEffect(t.Spec), task.StatusEffect(t.Spec)},
	})
}

func result(t task.Task, s task.State, words string) *task.Entry {
	return &task.Entry{Kind: task.EntryResult, Thread: t.Thread, Number: t.Number, Task: t.ID, Text: words, State: s, Pull: t.Pull}
}
