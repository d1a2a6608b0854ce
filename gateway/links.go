package gateway

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"sam/task"
)

// Why a link is ended that has done nothing wrong.
var (
	errReplaced = errors.New("a newer link has dialled with this node's credential")
	errStopping = errors.New("this replica is stopping; dial again")
)

// Close ends every link, telling the nodes to dial again, and waits until they are closed and their nodes noted as out
// of reach: call it before the store is closed. From then on links are answered with 503. It may be called twice.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.closed = true
	for l := range g.open {
		l.cancel(errStopping)
	}
	g.mu.Unlock()
	g.serving.Wait()
}

// begin counts a link that is to be served, unless the gateway is closed.
func (g *Gateway) begin(l *link) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.open[l] = struct{}{}
	g.serving.Add(1)
	return true
}

func (g *Gateway) end(l *link) {
	g.mu.Lock()
	delete(g.open, l)
	g.mu.Unlock()
	g.serving.Done()
}

// enter makes l the node's link and ends the one before it; task.ErrNotFound when there is no record of the node. The
// record counts a node's links, over all replicas: the one with the highest count is the newest, and nothing that an older
// one has to say of the node is written.
func (g *Gateway) enter(ctx context.Context, l *link, n task.Node) error {
	epoch, err := g.store.NodeLinked(ctx, n)
	if err != nil {
		return err
	}
	l.epoch = epoch
	g.mu.Lock()
	older := g.links[l.node]
	if older != nil && older.epoch > epoch {
		g.mu.Unlock()
		return errReplaced
	}
	g.links[l.node] = l
	g.mu.Unlock()
	if older != nil {
		older.cancel(errReplaced)
	}
	return nil
}

// leave notes that the node is out of reach, unless a newer link has taken over, here or at another replica.
func (g *Gateway) leave(ctx context.Context, l *link) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	if err := g.store.NodeUnlinked(ctx, l.node, l.epoch); err != nil && !errors.Is(err, task.ErrStale) {
		zerolog.Ctx(ctx).Error().Err(err).Msg("noting that a node is out of reach failed")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.links[l.node] == l {
		delete(g.links, l.node)
	}
}
