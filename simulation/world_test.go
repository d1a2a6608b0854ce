package simulation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sam/runner"
	"sam/store"
)

// logAge is how long GitHub's log of deliveries goes back here. Between two runs on one stage more than that passes, so
// that none asks for what another missed.
const logAge = 2 * time.Hour

// stage is GitHub's stand-in, for one run after the other: to make one takes longer than a run.
type stage struct {
	*hub
	now atomic.Pointer[world]
}

func newStage(dir string) (_ *stage, err error) {
	s := &stage{}
	s.hub, err = newHub(dir, s)
	return s, err
}

// RoundTrip implements http.RoundTripper: it carries GitHub's deliveries to whichever replica a load balancer would.
func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	w := s.now.Load()
	if w == nil {
		return nil, errors.New("connection refused")
	}
	replica, err := w.next()
	if err != nil {
		return nil, err
	}
	return replica.take(r)
}

// world is what begins with an empty Redis: replicas and nodes.
type world struct {
	*stage
	redis     *memoryRedis
	nodeNames []string
	nodes     map[string]*node
	observer  *store.Store // nobody strikes it
	bounds    runner.Bounds

	mu       sync.Mutex
	replicas []*replica
	turn     int
	over     sync.WaitGroup
}

// newWorld makes nodes of these names, which are off, and no replica.
func newWorld(ctx context.Context, s *stage, nodeNames ...string) (_ *world, err error) {
	w := &world{stage: s, redis: newMemoryRedis(), nodeNames: nodeNames, nodes: map[string]*node{}, bounds: runner.DefaultBounds()}
	keys, err := keysOf(s.hub)
	if err != nil {
		return nil, err
	}
	for _, name := range nodeNames {
		w.nodes[name] = newNode(name, keys.NodeToken(name), w.dial, 9*time.Second)
	}
	w.observer, err = store.Open(ctx, store.Options{Addresses: []string{"redis.invalid:6379"}, AllowLossy: true, Dial: w.redis.dialer(newOutside(spared))})
	if err != nil {
		return nil, err
	}
	s.now.Store(w)
	return w, nil
}

// begin starts a replica; it takes part once it is up.
func (w *world) begin(ctx context.Context, name string, out *outside) (*replica, error) {
	r, err := newReplica(ctx, w, name, out)
	if err != nil {
		return nil, fmt.Errorf("start replica %s: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicas = append(w.replicas, r)
	return r, nil
}

// live are the replicas that nobody has killed.
func (w *world) live() []*replica {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.replicas), func(r *replica) bool { return r.out.dead() })
}

// next is a live replica, each in its turn; an error when there is none.
func (w *world) next() (*replica, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range w.replicas {
		w.turn = (w.turn + 1) % len(w.replicas)
		if r := w.replicas[w.turn]; !r.out.dead() {
			return r, nil
		}
	}
	return nil, errors.New("connection refused: no replica is up")
}

// dial is a node's way to a gateway.
func (w *world) dial(ctx context.Context) (net.Conn, error) {
	r, err := w.next()
	if err != nil {
		return nil, err
	}
	return r.listener.dial(ctx)
}

// close ends everything but the stage and waits for it.
func (w *world) close() {
	w.now.Store(nil)
	for _, n := range w.nodes {
		n.turnOff()
	}
	w.over.Wait()
	w.mu.Lock()
	replicas := w.replicas
	w.mu.Unlock()
	for _, r := range replicas {
		r.out.kill()
	}
	for _, r := range replicas {
		r.over.Wait()
	}
	_ = w.observer.Close()
	w.redis.Close()
}
