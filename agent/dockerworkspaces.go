package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/agent/shim"
	"sam/agent/wire"
)

// makeDocker makes the workspace of an attempt as a container. The tree is written while the container starts.
func (w *workspaces) makeDocker(ctx context.Context, s wire.Start, from heads) (_ Workspace, note string, err error) {
	tree, home := w.tree(s.Thread), w.home(s.Thread)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, "", fmt.Errorf("make the workspace's home: %w", err)
	}
	if note, err = w.clear(tree, func() bool { return w.preciousInDocker(ctx, s, from) }); err != nil {
		return nil, "", err
	}
	if err := os.Mkdir(tree, 0o700); err != nil {
		return nil, "", fmt.Errorf("make the workspace's tree: %w", err)
	}
	made, b := w.container(s, from)
	defer func() {
		if err != nil {
			_ = made.Close(context.WithoutCancel(ctx))
		}
	}()
	if w.hasDevcontainer(ctx, s, from) { // which the tree tells; Node.environment goes on
		if err := w.clone(ctx, s, tree, from, made.Broker()+wire.GitPath+s.Task); err != nil {
			return nil, "", fmt.Errorf("make workspace: %w", err)
		}
		made.waiting = &b
		return made, note, nil
	}
	if err := giveHome(home, b.owner()); err != nil {
		return nil, "", err
	}
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return made.up(inner, b) })
	group.Go(func() error {
		if err := w.clone(inner, s, tree, from, made.Broker()+wire.GitPath+s.Task); err != nil {
			return fmt.Errorf("make workspace: %w", err)
		}
		return giveTree(tree, b.owner())
	})
	if err := group.Wait(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, "", err
	}
	return made, note, w.connect(ctx, made, s)
}

// container is a workspace that is not up, and what it is to be made for.
func (w *workspaces) container(s wire.Start, from heads) (*dockerWorkspace, box) {
	run := runFolder(filepath.Join(w.runs, s.Thread))
	made := &dockerWorkspace{
		engine: w.engine, id: w.engine.name(s.Thread), thread: s.Thread, shim: newShimClient(run), run: run, ending: w.ending,
		env:  slices.Concat(boxEnvironment(), workspaceGit(s, "http://"+shim.Listen+"/").env(), proxyEnvironment(s, shim.Listen)),
		wait: patience{interrupt: waitInterrupt, terminate: waitTerminate},
	}
	return made, box{
		thread: s.Thread, task: s.Task, epoch: s.Epoch, tree: w.tree(s.Thread), home: w.home(s.Thread),
		objects: filepath.Join(from.mirror, "objects"), run: run,
	}
}

// connect opens the workspace's way to the gateway.
func (w *workspaces) connect(ctx context.Context, made *dockerWorkspace, s wire.Start) error {
	if made.attached {
		if err := made.recall(ctx); err != nil {
			return err
		}
	}
	if err := w.quota.output(s.Thread, made.run); err != nil {
		return err
	}
	out, err := w.ways(s)
	if err != nil {
		return err
	}
	listener, err := made.run.listen(ctx)
	if err != nil {
		return err
	}
	out.alone = true
	made.forward = forwardOn(ctx, listener, shim.Listen, w.gateway, s.Task, s.Token, out)
	return nil
}

// attach is the workspace of an attempt that another process of sam node began, in a container that runs. It is not
// connected yet.
func (w *workspaces) attach(s wire.Start, from heads, id string) *dockerWorkspace {
	made, _ := w.container(s, from)
	made.id, made.attached = id, true
	return made
}

// preciousInDocker starts a container for an earlier tree, to ask git there: its configuration is the agent's.
func (w *workspaces) preciousInDocker(ctx context.Context, s wire.Start, from heads) bool {
	made, b := w.container(s, from)
	made.env = boxEnvironment()
	if owner, err := ownerOfFolder(b.tree); err == nil && os.Getuid() == 0 {
		b.as = &owner // else git would not trust what is another's
	}
	defer func() { _ = made.Close(context.WithoutCancel(ctx)) }()
	return made.up(ctx, b) != nil || precious(ctx, made)
}

// settle closes the workspace of an attempt that is over. What git says of the tree is asked while the container is there,
// and noted beside the tree: the next attempt then need not start a container to ask.
func (w *workspaces) settle(ctx context.Context, s wire.Start, made Workspace) {
	if box, ok := made.(*dockerWorkspace); ok {
		limited, cancel := context.WithTimeout(ctx, engineAnswers)
		if box.waiting != nil || !precious(limited, made) { // nothing ran in one that waits
			if err := os.WriteFile(w.tree(s.Thread)+pushedSuffix, nil, 0o600); err != nil {
				zerolog.Ctx(ctx).Warn().Err(err).Msg("that the workspace's work is pushed is not noted")
			}
		}
		cancel()
	}
	if err := made.Close(ctx); err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("workspace not closed in order")
	}
}
