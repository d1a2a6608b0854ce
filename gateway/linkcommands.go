package gateway

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"sam/agent/wire"
	"sam/task"
)

// command passes a command on. A start whose attempt is over by now is confirmed for the node: there is nothing to do.
func (l *link) command(ctx context.Context, c task.Command) error {
	ref := wire.Ref{Task: string(c.Task), Epoch: c.Epoch}
	switch c.Kind {
	case task.CommandStart:
		t, err := l.gateway.attempt(ctx, l.node, c.Task, c.Epoch, task.Preparing, task.Running)
		if errors.Is(err, errNotYours) {
			return l.gateway.store.ConfirmCommand(ctx, l.node, c.ID)
		}
		if err != nil {
			return err
		}
		if t, err = l.gateway.present(ctx, t); err != nil {
			return err
		}
		start := l.start(t, c)
		if start.Secrets, start.Withheld, err = l.gateway.environment(ctx, t); err != nil {
			return err
		}
		return l.write(ctx, wire.Frame{Type: wire.TypeStart, Start: start})
	case task.CommandAnswer:
		// Over a link of an older protocol the agent's end with its question is on the way.
		_, err := l.gateway.attempt(ctx, l.node, c.Task, c.Epoch, task.Running, task.Waiting)
		if errors.Is(err, errNotYours) || err == nil && l.protocol < wire.Answers {
			return l.gateway.store.ConfirmCommand(ctx, l.node, c.ID)
		}
		if err != nil {
			return err
		}
		return l.write(ctx, wire.Frame{Type: wire.TypeAnswer, Answer: &wire.Answer{Command: c.ID, Ref: ref, Ask: c.Ask, Text: c.Text}})
	case task.CommandStop:
		return l.write(ctx, wire.Frame{Type: wire.TypeStop, Stop: &wire.Stop{Command: c.ID, Ref: ref, Reason: c.Reason}})
	case task.CommandDrop:
		if err := l.drop(ctx, ref, c.Reason); err != nil {
			return err
		}
		return l.gateway.store.ConfirmCommand(ctx, l.node, c.ID)
	default:
		zerolog.Ctx(ctx).Error().Stringer("command", c).Msg("a command of a kind that this release does not know; left out")
		return l.gateway.store.ConfirmCommand(ctx, l.node, c.ID)
	}
}

func (l *link) start(t task.Task, c task.Command) *wire.Start {
	return &wire.Start{
		Command: c.ID, Ref: wire.Ref{Task: string(t.ID), Epoch: t.Epoch}, After: t.Last,
		Repository: t.Project, FullName: t.Repository, CloneURL: l.gateway.github.CloneURL(t.Repository),
		Thread: string(t.Thread), Base: t.Base, Branch: t.Branch, Agent: t.Agent,
		Rewrite: t.Rewrite && !t.OnPull, // on a pull request what agents obey is base's, whoever made it
		Prompt:  c.Prompt, Request: t.Request,
		Listed:     l.gateway.listed(t),
		AuthorName: l.gateway.author.Name, AuthorEmail: l.gateway.author.Email,
		Untrusted: t.Untrusted, Environment: t.Settings.Devcontainer, Network: l.gateway.network(t),
		Token: l.gateway.keys.taskToken(t.ID, t.Epoch, l.node),
	}
}
