package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// parked is an attempt that an earlier process of sam node left in a container that runs. It waits for the next link: only
// then is it certain that the gateway still wants it, and only with the link comes its token.
type parked struct {
	record    record
	container string
	unlock    func() // of its thread
}

// equip finds the engine, as the options ask for it, and sets what kind of workspace the node makes.
func (n *Node) equip(ctx context.Context) error {
	w := n.workspaces
	w.kind, w.ending = KindProcess, n.ending
	if n.options.Workspace != KindDocker && n.options.Workspace != WorkspaceAuto {
		return nil
	}
	client, err := openEngine(ctx, n.options.Engine)
	if err != nil {
		if n.options.Workspace == WorkspaceAuto {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("no container engine answers: workspaces are processes, without isolation, and real agents are refused")
			return nil
		}
		return fmt.Errorf("the node is to work in containers: %w", err)
	}
	w.kind = KindDocker
	w.engine = &engine{
		client: client, image: n.options.Image, memory: n.options.Memory, cpus: n.options.CPUs, sudo: n.options.Sudo,
		node: n.options.Name, folder: n.options.Dir, sam: n.options.Executable, agents: w.agents,
	}
	return nil
}

// park finds the attempts that can be gone on with, and removes the containers of all others.
func (n *Node) park(ctx context.Context) error {
	records, err := n.records.all()
	if err != nil {
		return err
	}
	containers := map[wire.Ref]left{}
	if n.workspaces.engine != nil {
		found, err := n.workspaces.engine.list(ctx)
		if err != nil {
			return err
		}
		for _, c := range found {
			containers[wire.Ref{Task: c.task, Epoch: c.epoch}] = c
		}
	}
	for _, one := range records {
		ref := one.Start.Ref
		c, exists := containers[ref]
		spool := n.spools.get(ref)
		if exists && c.running && c.thread == one.Start.Thread && spool != nil && !spool.hasEnded() {
			unlock, err := n.workspaces.locks.lock(ctx, one.Start.Thread)
			if err != nil {
				return err
			}
			n.parked[ref] = &parked{record: one, container: c.id, unlock: unlock}
			delete(containers, ref)
			continue
		}
		if err := n.records.remove(ref); err != nil {
			return err
		}
	}
	for ref, c := range containers {
		zerolog.Ctx(ctx).Info().Str("task", ref.Task).Str("thread", c.thread).Msg("a container that an earlier process left is removed")
		if err := n.workspaces.engine.remove(ctx, c.id); err != nil {
			return err
		}
	}
	return nil
}

// abandonWithin bounds how long the containers of a node that will not come back may take to go.
const abandonWithin = 20 * time.Second

// abandon removes every container of this node, for nobody will attach to them.
func (n *Node) abandon(ctx context.Context) {
	if n.workspaces.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWithin)
	defer cancel()
	left, err := n.workspaces.engine.list(ctx)
	for _, one := range left {
		err = errors.Join(err, n.workspaces.engine.remove(ctx, one.id))
	}
	if err != nil {
		zerolog.Ctx(ctx).Warn().Err(err).Msg("containers stay behind: docker ps lists them by the label sam.node")
	}
}

// discard gives up a parked attempt with its container.
func (n *Node) discard(ctx context.Context, ref wire.Ref) error {
	p := n.parked[ref]
	if p == nil {
		return nil
	}
	delete(n.parked, ref)
	defer p.unlock()
	return errors.Join(n.workspaces.engine.remove(ctx, p.container), n.records.remove(ref))
}

// resume puts a spool where the gateway wants it, and goes on with its attempt if that is parked. ctx is the node's.
func (n *Node) resume(ctx context.Context, wanted wire.Resume) error {
	spool := n.spools.get(wanted.Ref)
	if spool == nil {
		return n.discard(ctx, wanted.Ref)
	}
	p := n.parked[wanted.Ref]
	goOn := p != nil && wanted.Token != "" && spool.adopt(wanted.After)
	if p != nil && !goOn {
		if err := n.discard(ctx, wanted.Ref); err != nil {
			return err
		}
	}
	if err := spool.resume(wanted.After, lostWith()); err != nil || !goOn {
		return err
	}
	delete(n.parked, wanted.Ref)
	start := p.record.Start
	start.Token = wanted.Token
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begin(ctx, &attempt{start: start, spool: spool, parked: p}, nil)
	return nil
}
