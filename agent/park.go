package agent

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// parked is an attempt that an earlier process of sam node left in a container that runs. It waits for the next link: only
// then is it certain that the gateway still wants it, and only with the link comes its token.
type parked struct {
	record    record
	container string
	services  []string // their containers, beside it
	unlock    func()   // of its thread
}

// equip finds the engine, as the options ask for it, and sets what kind of workspace the node makes.
func (n *Node) equip(ctx context.Context) error {
	w := n.workspaces
	w.kind, w.ending = KindProcess, n.ending
	if n.options.Workspace == KindProcess {
		n.tellOfProcesses(ctx, zerolog.InfoLevel, "workspaces are processes, as the node is told")
		return nil
	}
	client, err := openEngine(ctx, n.options.Engine)
	if err != nil && n.options.Workspace == WorkspaceAuto {
		n.tellOfProcesses(ctx, zerolog.WarnLevel, "workspaces are processes, for no container engine answers: "+err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("the node is to work in containers: %w", err)
	}
	w.kind = KindDocker
	w.engine = &engine{
		client: client, image: n.options.Image, sudo: n.options.Sudo,
		memory: n.options.Memory, cpus: n.options.CPUs, processes: n.options.Processes,
		node: n.options.Name, folder: n.options.Dir, sam: n.options.Executable, agents: w.agents,
		limit: n.options.environmentLimit,
	}
	if n.options.Transient {
		self, err := ownerOf(os.Getpid())
		if err != nil {
			return err
		}
		w.engine.owner = self.String()
	}
	return w.engine.settle(ctx)
}

// tellOfProcesses logs what becomes of real agents on a node that makes no containers, and why it makes none.
func (n *Node) tellOfProcesses(ctx context.Context, level zerolog.Level, why string) {
	if n.options.UnsafeNoIsolation {
		zerolog.Ctx(ctx).Warn().Msg("NO ISOLATION: real agents run as this node's user, because of --unsafe-no-isolation; " + why)
		return
	}
	zerolog.Ctx(ctx).WithLevel(level).Msg("real agents are refused on this node, for nothing would isolate them; " + why)
}

// park finds the attempts that can be gone on with, and removes the containers of all others.
func (n *Node) park(ctx context.Context) error {
	records, err := n.records.all()
	if err != nil {
		return err
	}
	containers, services := map[wire.Ref]left{}, map[wire.Ref][]string{}
	if n.workspaces.engine != nil {
		if err := n.workspaces.engine.sweep(ctx); err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Msg("what a killed node left is not all removed")
		}
		found, err := n.workspaces.engine.list(ctx)
		if err != nil {
			return err
		}
		for _, c := range found {
			ref := wire.Ref{Task: c.task, Epoch: c.epoch}
			if c.service != "" {
				services[ref] = append(services[ref], c.id)
				continue
			}
			containers[ref] = c
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
			n.parked[ref] = &parked{record: one, container: c.id, services: services[ref], unlock: unlock}
			delete(containers, ref)
			delete(services, ref)
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
	for _, ids := range services {
		for _, id := range ids {
			if err := n.workspaces.engine.remove(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// discard gives up a parked attempt with its container.
func (n *Node) discard(ctx context.Context, ref wire.Ref) error {
	p := n.parked[ref]
	if p == nil {
		return nil
	}
	delete(n.parked, ref)
	defer p.unlock()
	failed := []error{n.workspaces.engine.remove(ctx, p.container), n.records.remove(ref)}
	for _, id := range p.services {
		failed = append(failed, n.workspaces.engine.remove(ctx, id))
	}
	return errors.Join(failed...)
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
	start.Token, start.Secrets = wanted.Token, wanted.Secrets
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begin(ctx, &attempt{start: start, spool: spool, parked: p}, nil)
	return nil
}
