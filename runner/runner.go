// Package runner decides what happens to a task next, and does it. It holds no task in memory: Advance claims one under a
// lease, takes it one step on, and lets it go; whatever comes after is another call, in this process or another.
//
//	queued, placing     choose a branch and a node, write the command to start
//	preparing, running  nothing while its node lives: the gateway writes what the node says. When the attempt ended
//	                    or the node is lost, the task is claimed like any other.
//	waiting             remind, and let go of a node that is lost; the answer itself is the handlers'
//	publishing          the one place where a task that ran ends well
//
// A task has one finaliser whatever door it ends by: finish, called by whoever holds the claim. Who finds that a task is
// not wanted any more (an event of GitHub's, the reconciler, a person) only notes so in the store; the claim that follows
// ends it.
package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/policy"
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
	// Wait looks after a task that waits for an answer, as it was read, and says what it did; see runner/waiting.go.
	Wait(ctx context.Context, t task.Task, alone []task.Effect) (task.Waited, error)
	// HoldBranch gives a branch to the task unless another that is not over has it, and returns the one that has it then.
	HoldBranch(ctx context.Context, s task.Spec, branch string) (task.ID, error)
	// RecordPush notes the commit that is on the task's branch at GitHub.
	RecordPush(ctx context.Context, id task.ID, epoch int64, branch, commit string) error
	// Events reads the task's events with numbers above after.
	Events(ctx context.Context, id task.ID, after, limit int64) ([]task.Numbered, error)
	Nodes(ctx context.Context) ([]task.Node, error)
	EnsureNode(ctx context.Context, n task.Node) error
	// NoteArrival notes when a task came, for policies that learn from it.
	NoteArrival(ctx context.Context, t task.Spec, now time.Time) error
	Project(ctx context.Context, id int64) (task.Project, error)
	// WholeBody is the text of the task's issue, of which the task may have the beginning only.
	WholeBody(ctx context.Context, s task.Spec) (string, error)
	Task(ctx context.Context, id task.ID) (task.Task, error)

	Desk
	Reconciled
}

// GitHub is what the runner asks of GitHub.
type GitHub interface {
	// Branch chooses where the thread's commits go; task.UnusableError.
	Branch(ctx context.Context, p task.Project, s task.Spec) (task.Branch, error)
	// Publish finds or creates the pull request of the task's branch; task.UnusableError.
	Publish(ctx context.Context, p task.Project, t task.Task) (task.PullRequest, error)
	// Tip is the commit that a branch points at, task.NoCommit when there is none.
	Tip(ctx context.Context, p task.Project, branch string) (string, error)
	// Landed looks at GitHub for commits of the task's on its branch, should their push be recorded nowhere. It returns the
	// newest; false when there are none.
	Landed(ctx context.Context, p task.Project, t task.Task) (head string, landed bool, err error)
	// ThreadState is what has become of what a task stands on; task.ErrNotFound, task.ErrSuspended.
	ThreadState(ctx context.Context, p task.Project, t task.Task) (task.ThreadState, error)
}

// Standing is a provider, as far as its nodes are there without being created.
type Standing interface {
	// Name is the provider's word in configuration and records: local.
	Name() string
	// Standing lists the nodes.
	Standing(ctx context.Context) ([]task.Node, error)
}

// Bounds limit how long things may take and how often they are tried.
type Bounds struct {
	Attempts int           // nodes that a task is given to before it fails: a node may be lost, an agent that fails may not
	Place    time.Duration // how long a task looks for a node
	Publish  time.Duration // how long a result is tried to be published; its commits stay on the branch
	Silence  time.Duration // how long an agent may give no sign
	Last     time.Duration // how long a step that was begun may go on when SAM is stopping
	InFlight task.Limits   // tasks from placing to their end, at once
}

// DefaultBounds are what New begins with.
func DefaultBounds() Bounds {
	return Bounds{
		Attempts: 2, Place: 24 * time.Hour, Publish: time.Hour, Silence: task.AgentSilence, Last: 10 * time.Second,
		InFlight: task.Limits{Account: 20, All: 100},
	}
}

// Runner advances tasks. It is safe for concurrent use, by any number of processes on one store.
type Runner struct {
	store    Store
	github   GitHub
	provider Standing
	// Bounds, Files and Pool are not to be changed once tasks are advanced.
	Bounds Bounds
	Files  Files // nil: no project has one
	Pool   Pool  // nil: there are the nodes that stand
}

// Pool has machines made for tasks that find no node.
type Pool interface {
	// Choose finds the node for a task, or says why there is none yet.
	Choose(ctx context.Context, r policy.Request, nodes []task.Node, now time.Time) (policy.Placement, error)
	// Kick has it look for who needs a machine.
	Kick()
}

// Files reads what projects say of themselves, in a file on their default branch.
type Files interface {
	// Settings are what a project's file says now; task.SettingsError when it is bad.
	Settings(ctx context.Context, p task.Project) (task.Settings, error)
}

// New returns a runner with DefaultBounds.
func New(s Store, g GitHub, p Standing) *Runner {
	return &Runner{store: s, github: g, provider: p, Bounds: DefaultBounds()}
}

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
	// A step that was begun is finished though SAM is stopping, if that does not take long: another process takes it else,
	// when the lease is over.
	ctx, release := r.outlasting(log.WithContext(ctx))
	defer release()
	claimed, err := r.store.Claim(ctx, id)
	var not task.NotYoursError
	if errors.As(err, &not) && not.Why == string(task.Waiting) {
		if err := r.waiting(ctx, id); err != nil {
			log.Error().Err(err).Msg("looking after a task that waits for an answer failed; the sweep tries again")
		}
		return
	}
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
	var later task.LaterError
	switch err := r.holding(ctx, claimed.Task, func(ctx context.Context) error { return r.step(ctx, claimed) }); {
	case err == nil:
	case errors.As(err, &later), errors.Is(err, task.ErrStale):
		log.Info().Err(err).Str("state", string(claimed.State)).Msg("a step was not taken; the task is looked at again when its lease is over")
	default:
		log.Error().Err(err).Str("state", string(claimed.State)).Msg("a step failed; it is tried again when its lease is over")
	}
}

// outlasting returns a context that ends Bounds.Last after the given one, or with release.
func (r *Runner) outlasting(ctx context.Context) (out context.Context, release context.CancelFunc) {
	out, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		last := time.NewTimer(r.Bounds.Last)
		defer last.Stop()
		select {
		case <-out.Done():
		case <-last.C:
			end()
		}
	})
	return out, func() {
		stop()
		end()
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
	if c.Cancel != "" && c.Ask != nil && c.Ask.Expired {
		return r.fail(ctx, c.Task, c.Cancel)
	}
	if c.Cancel != "" {
		return r.cancelled(ctx, c.Task, c.Cancel)
	}
	project, err := r.store.Project(ctx, c.Project)
	if errors.Is(err, task.ErrNotFound) {
		return r.fail(ctx, c.Task, "SAM is no longer installed on this repository.")
	}
	if err != nil {
		return err
	}
	if c.Account != 0 && project.Account != 0 && c.Account != project.Account {
		// Whoever learned of it may have written down where it is, and not have come to its tasks.
		return r.cancelled(ctx, c.Task, fmt.Sprintf("The repository went from %s to %s, to another account. Ask again there.", c.Repository, project.FullName()))
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
