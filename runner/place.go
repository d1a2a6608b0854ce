package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"sam/runner/policy"
	"sam/task"
)

const (
	// placeAgain is when a task without a node is looked at again, should nothing wake it before.
	placeAgain = 10 * time.Second
	// trouble is how long GitHub may err before a task that waits for it says so.
	trouble = 2 * time.Minute
)

// Desk gives out the places in flight, in turn between accounts.
type Desk interface {
	Admit(ctx context.Context, s task.Spec, l task.Limits) (task.Admission, error)
	Leave(ctx context.Context, s task.Spec, l task.Limits) error
	// InFlight lists the tasks that have a place.
	InFlight(ctx context.Context) ([]task.ID, error)
}

// place gives a task a branch and a node.
func (r *Runner) place(ctx context.Context, p task.Project, t task.Task) error {
	admission, err := r.store.Admit(ctx, t.Spec, r.Bounds.InFlight)
	if err != nil {
		return err
	}
	if !admission.In {
		return r.starve(ctx, t, admission.Words(r.Bounds.InFlight))
	}
	settings, err := r.settings(ctx, p)
	var bad task.SettingsError
	switch {
	case errors.As(err, &bad):
		// Without a place: whoever mends the file may take days.
		if err := r.store.Leave(ctx, t.Spec, r.Bounds.InFlight); err != nil {
			return err
		}
		return r.starve(ctx, t, bad.Reason)
	case err != nil:
		return r.undecided(ctx, t, err)
	}
	branch, err := r.github.Branch(ctx, p, t.Spec)
	var unusable task.UnusableError
	switch {
	case errors.As(err, &unusable):
		return r.fail(ctx, t, unusable.Reason)
	case err != nil:
		return r.undecided(ctx, t, err)
	}
	// A pull request of SAM's and its issue are two threads on one branch: whose task is first works on it alone, or the
	// other's push would be refused at its end.
	holder, err := r.store.HoldBranch(ctx, t.Spec, branch.Name)
	if err != nil {
		return err
	}
	if holder != t.ID {
		// Without a place: the one that has the branch may wait for a place itself, when an answer brought it back.
		if err := r.store.Leave(ctx, t.Spec, r.Bounds.InFlight); err != nil {
			return err
		}
		return r.starve(ctx, t, fmt.Sprintf("The task `%s` works on the branch `%s` now; this starts when that is done.", holder, branch.Name))
	}
	asked, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("encode the settings of project %d: %w", p.ID, err)
	}
	start := t
	start.Branch, start.Base = branch.Name, branch.Base
	if start.Body, err = r.store.WholeBody(ctx, t.Spec); err != nil {
		zerolog.Ctx(ctx).Error().Err(err).Msg("the issue's text cannot be read where it is kept beside Redis; trying again")
		return r.starve(ctx, t, "The text of the issue cannot be read where SAM keeps it (`blob` in its configuration). This starts by itself when that is mended.")
	}
	nodes, err := r.store.Nodes(ctx)
	if err != nil {
		return err
	}
	for {
		decision, err := r.choose(ctx, t, nodes)
		if err != nil {
			return err
		}
		if decision.Node == "" {
			return r.starveFor(ctx, t, decision.Wait, true)
		}
		tip := t.Tip
		if tip == "" || t.Branch != branch.Name {
			tip = branch.Tip // of an attempt before, what it pushed is the task's own
		}
		err = r.store.Place(ctx, t, decision.Node, task.Command{
			Kind: task.CommandStart, Task: t.ID, Epoch: t.Epoch, Prompt: prompt(start),
		}, task.Change{
			Fields: map[task.Field]string{
				task.FieldBranch: branch.Name, task.FieldBase: branch.Base, task.FieldRewrite: truth(branch.Rewrite), task.FieldTip: tip,
				task.FieldPull: strconv.Itoa(branch.Pull), task.FieldPullURL: branch.PullURL,
				task.FieldWorkspace: workspaceOf(nodes, decision.Node), task.FieldWaits: "", task.FieldNodeless: truth(false), task.FieldAvoid: "",
				task.FieldSilence:  strconv.FormatInt(r.Bounds.Silence.Milliseconds(), 10),
				task.FieldSettings: string(asked), task.FieldUntrusted: truth(branch.Untrusted),
			},
			Entry:   &task.Entry{Kind: task.EntryStarted, Thread: t.Thread, Number: t.Number, Task: t.ID, Text: placed(t, decision.Node)},
			Effects: []task.Effect{task.StatusEffect(t.Spec)},
		})
		if errors.Is(err, task.ErrFull) {
			nodes = without(nodes, decision.Node) // another took its last slot since we looked
			continue
		}
		if err == nil {
			if err := r.store.NoteArrival(ctx, t.Spec, t.Claimed); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("when the task came is not noted; a policy that learns from it does without")
			}
			zerolog.Ctx(ctx).Info().Str("node", decision.Node).Str("branch", branch.Name).Msg("the task is placed")
		}
		return err
	}
}

// placed says where a task's attempt is, and why it is not the first.
func placed(t task.Task, node string) string {
	if t.Avoid == "" {
		return "Placed on " + node
	}
	return fmt.Sprintf("Placed on %s once more: the attempt on %s was lost", node, t.Avoid)
}

// choose finds a node among those that there are.
func (r *Runner) choose(ctx context.Context, t task.Task, nodes []task.Node) (policy.Placement, error) {
	if r.Pool == nil {
		return policy.Place(policy.Wanted{Spec: t.Spec, Avoid: t.Avoid, Now: t.Claimed}, nodes), nil
	}
	return r.Pool.Choose(ctx, policy.RequestOf(t), nodes, t.Claimed)
}

// settings are what the project's file says.
func (r *Runner) settings(ctx context.Context, p task.Project) (task.Settings, error) {
	if r.Files == nil {
		return task.Settings{}, nil
	}
	return r.Files.Settings(ctx, p)
}

// undecided leaves a task of which GitHub does not tell what must be known to the next look, and has the person know when that lasts.
func (r *Runner) undecided(ctx context.Context, t task.Task, err error) error {
	zerolog.Ctx(ctx).Warn().Err(err).Msg("GitHub does not tell what the task needs to begin; trying again")
	why := t.Waits
	if t.Claimed.Sub(t.Sought) > trouble {
		why = "GitHub does not answer what SAM has to know before it can begin. SAM goes on asking, and this starts by itself; https://www.githubstatus.com may say more."
	}
	return r.starve(ctx, t, why)
}

// starve leaves a task in placing for something else than a node.
func (r *Runner) starve(ctx context.Context, t task.Task, why string) error {
	return r.starveFor(ctx, t, why, false)
}

// starveFor leaves a task in placing until what it waits for may be there, and tells the person why when that is news. A node may be
// made for one that is nodeless: it needs nothing else. A task that has looked for too long fails with the reason.
func (r *Runner) starveFor(ctx context.Context, t task.Task, why string, nodeless bool) error {
	if waited := t.Claimed.Sub(t.Sought); !t.Sought.IsZero() && waited > r.Bounds.Place {
		return r.fail(ctx, t, fmt.Sprintf("It could not be started within %s, so SAM gave up. %s Ask again when that has changed.", r.Bounds.Place, why))
	}
	change := task.Change{}
	if t.Waits != why || t.Nodeless != nodeless {
		zerolog.Ctx(ctx).Info().Str("why", why).Msg("the task waits for a node")
		change.Fields = map[task.Field]string{task.FieldWaits: why, task.FieldNodeless: truth(nodeless)}
		change.Effects = []task.Effect{task.StatusEffect(t.Spec)}
	}
	if err := r.store.Starve(ctx, t, placeAgain, change); err != nil {
		return err
	}
	if nodeless && r.Pool != nil {
		r.Pool.Kick()
	}
	return nil
}

func without(nodes []task.Node, name string) []task.Node {
	var rest []task.Node
	for _, n := range nodes {
		if n.Name != name {
			rest = append(rest, n)
		}
	}
	return rest
}

func workspaceOf(nodes []task.Node, name string) string {
	for _, n := range nodes {
		if n.Name == name {
			return n.Workspace
		}
	}
	return ""
}

func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
