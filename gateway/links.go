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

// enter makes l the node's link, ends the one before it, and has the node's record say so; task.ErrNotFound when there
// is none. Each link holds its recording while it writes the record, and a newer one waits for the older one's: so the
// record follows the newest link, however an older one's leaving overlaps with its coming.
func (g *Gateway) enter(ctx context.Context, l *link, n task.Node) error {
	l.recording.Lock()
	defer l.recording.Unlock()
	g.mu.Lock()
	before := g.links[l.node]
	g.links[l.node] = l
	g.mu.Unlock()
	if before != nil {
		before.cancel(errReplaced)
		before.recording.Lock()
		defer before.recording.Unlock()
	}
	err := g.store.NodeLinked(ctx, n)
	if errors.Is(err, task.ErrNotFound) {
		g.forget(l) // there is nothing to note when it leaves
	}
	return err
}

// leave notes that the node is out of reach, unless a newer link has taken over.
func (g *Gateway) leave(ctx context.Context, l *link) {
	l.recording.Lock()
	defer l.recording.Unlock()
	g.mu.Lock()
	newest := g.links[l.node] == l
	g.mu.Unlock()
	if !newest {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	if err := g.store.NodeUnlinked(ctx, l.node); err != nil {
		zerolog.Ctx(ctx).Error().Err(err).Msg("noting that a node is out of reach failed")
	}
	g.forget(l)
}

// forget takes l out, unless a newer link has taken over.
func (g *Gateway) forget(l *link) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.links[l.node] == l {
		delete(g.links, l.node)
	}
}
