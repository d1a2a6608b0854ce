package gateway

import (
	"context"
	"sync"
)

// pushTurns lets each task have one push under way. A push that is checked has its pack on the broker's disk and its commits in
// memory, which a workspace could otherwise have as many times over as it can open connections; and the note of a push that was
// begun (GitRecords) has room for one.
type pushTurns struct {
	mu    sync.Mutex
	under map[string]chan struct{} // by task: closed when its push is over
}

// take waits until no push of the task's is under way. The error is the context's.
func (p *pushTurns) take(ctx context.Context, task string) (release func(), err error) {
	for {
		over, mine := p.try(task)
		if mine {
			return func() { p.release(task, over) }, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try takes the turn if it is free. It returns what is closed when the turn is over, whosever it is.
func (p *pushTurns) try(task string) (over chan struct{}, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if over, ok := p.under[task]; ok {
		return over, false
	}
	if p.under == nil {
		p.under = map[string]chan struct{}{}
	}
	over = make(chan struct{})
	p.under[task] = over
	return over, true
}

func (p *pushTurns) release(task string, over chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.under, task)
	close(over)
}
