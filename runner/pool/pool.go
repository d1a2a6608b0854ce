// Package pool has machines made for tasks that find no node, keeps them for as long as that pays, and lets them go. What to do
// it is told by runner/policy; here it is done, in steps of which each may be the last of this process:
//
//   - pass.go decides, one replica at a time. A machine is entered into its account's fleet with the money for its first hours,
//     then it has a node's record, and only then is it asked for.
//   - keep.go pays for another hour, or lets go.
//   - tend.go does what takes long: it has a machine made for a record that has none, and deleted for a record that goes. Any
//     replica goes on where another died, since a name is made once however often it is asked for.
//   - dismiss.go gives up what does not call home or is silent, withdraw.go what belongs to an account that is leaving.
//   - prices.go asks a provider what there is, and lets nobody wait for long.
//   - choose.go finds the node for one task, or says why there is none yet.
//   - reconcile.go compares the records with what the provider has.
//
// No machine is unknown therefore, unless Redis has lost what it knew; and no record is removed before its machine is certainly gone.
package pool

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

// Store is where the pool's records are kept.
type Store interface {
	Nodes(ctx context.Context) ([]task.Node, error)
	Node(ctx context.Context, name string) (task.Node, error)
	EnsureNode(ctx context.Context, n task.Node) error
	NoteMachine(ctx context.Context, node string, m task.Machine) error
	// Drain has a node go once it has no other tasks than these; Abandon whatever it has.
	Drain(ctx context.Context, node, why string, waiting []task.ID) (going bool, err error)
	Abandon(ctx context.Context, node, why string) error
	// Tend makes this process the one that sees to a node's machine; RemoveNode forgets a node that goes.
	Tend(ctx context.Context, node string, lease time.Duration) (bool, error)
	RemoveNode(ctx context.Context, node string) error

	Fleet(ctx context.Context, account int64, now time.Time) (task.Fleet, error)
	Fleets(ctx context.Context) ([]int64, error)
	Reserve(ctx context.Context, r task.Reservation, now time.Time) error
	Reprice(ctx context.Context, account int64, node string, hour int64) error
	Unreserve(ctx context.Context, account int64, node string, begun int) (back int64, err error)
	NoteObstacle(ctx context.Context, account int64, o task.Obstacle) error
	LetGoBefore(ctx context.Context, account int64, names []string) (map[string]bool, error)
	Doubt(ctx context.Context, account int64, names []string, now time.Time) (map[string]time.Time, error)
	Arrivals(ctx context.Context, account int64) ([]time.Time, error)

	// Starved lists the tasks that look for a node and need nothing else, AtRest since when those of these wait for an answer.
	Starved(ctx context.Context) ([]task.Task, error)
	AtRest(ctx context.Context, ids []task.ID) (map[task.ID]time.Time, error)
	Cancel(ctx context.Context, id task.ID, why string, in ...task.State) (bool, error)

	Counter(ctx context.Context) (int64, error)
	Count(ctx context.Context) (int64, error)
	TakeTurn(ctx context.Context, job string, lease, every time.Duration) (now time.Time, mine bool, err error)
	EndTurn(ctx context.Context, job string) error
}

// Timing says how long things may take.
type Timing struct {
	Look      time.Duration // between two passes, when nothing asks for one
	CallHome  time.Duration // from a machine's record to its first link
	Lost      time.Duration // a machine that was linked may be silent, while somebody listens
	Again     time.Duration // until a creation that failed is tried again
	Reconcile time.Duration // between two comparisons with the provider
	Orphan    time.Duration // a machine that no record knows is at least so old when it is deleted
	Answer    time.Duration // a provider has to say what it offers, while others wait
}

// DefaultTiming is what New begins with.
func DefaultTiming() Timing {
	return Timing{
		Look: 10 * time.Second, CallHome: 15 * time.Minute, Lost: 10 * time.Minute, Again: time.Minute,
		Reconcile: 5 * time.Minute, Orphan: 15 * time.Minute, Answer: 5 * time.Second,
	}
}

// Pool is one replica's hand on the machines. It is safe for concurrent use, by any number of processes on one store.
type Pool struct {
	store    Store
	accounts Accounts
	Timing   Timing // not to be changed once it runs

	kicked chan struct{}

	// Of whoever makes a pass:
	sightings map[string]sighting // of nodes, by name
	at        bool                // a pass was made
	reached   time.Time           // when Redis answered last

	tenders   sync.WaitGroup
	mu        sync.Mutex
	tries     map[string]try // to see to a node, by its name
	inquiries map[int64]*inquiry
	ended     bool
	looked    map[int64]time.Time // accounts that need not be looked at for leftovers before
}

// New returns a pool with DefaultTiming.
func New(s Store, a Accounts) *Pool {
	return &Pool{
		store: s, accounts: a, Timing: DefaultTiming(), kicked: make(chan struct{}, 1), sightings: map[string]sighting{},
		tries: map[string]try{}, inquiries: map[int64]*inquiry{}, looked: map[int64]time.Time{},
	}
}

// Kick has a pass made soon.
func (p *Pool) Kick() {
	select {
	case p.kicked <- struct{}{}:
	default: // one is asked for
	}
}

// Run makes passes until ctx ends: when it is kicked, when something is due, and every Timing.Look. What was begun then is ended
// for lack of a context, and gone on with by whoever runs next.
func (p *Pool) Run(ctx context.Context) error {
	defer p.tenders.Wait()
	defer p.hangUp()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-p.kicked:
		}
		timer.Reset(p.turn(ctx))
	}
}

const (
	turnLease = 30 * time.Second       // a pass takes milliseconds, or Timing.Answer when a provider is slow
	turnAgain = 250 * time.Millisecond // another replica makes one: what this one was kicked for may be too new for that
	deaf      = time.Minute            // without Redis, a process has not heard of any node
)

// turn makes a pass if no other replica is at one, and returns when to make the next.
func (p *Pool) turn(ctx context.Context) time.Duration {
	log := zerolog.Ctx(ctx)
	now, mine, err := p.store.TakeTurn(ctx, "machines", turnLease, 0)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			log.Warn().Err(err).Msg("no turn to look after the machines; trying again")
		}
		return p.Timing.Look
	case now.Sub(p.reached) > deaf:
		clear(p.sightings)
	}
	p.reached = now
	if !mine {
		return turnAgain
	}
	bounded, cancel := context.WithTimeout(ctx, turnLease)
	defer cancel()
	chores, next, err := p.pass(bounded, now)
	if err != nil && ctx.Err() == nil {
		log.Warn().Err(err).Msg("looking after the machines failed in part; trying again")
	}
	for _, c := range chores {
		p.tend(ctx, c)
	}
	if err := p.store.EndTurn(context.WithoutCancel(ctx), "machines"); err != nil {
		log.Warn().Err(err).Msg("letting go of the turn to look after the machines failed; it ends by itself")
	}
	if next.IsZero() {
		return p.Timing.Look
	}
	return min(max(next.Sub(now), turnAgain), p.Timing.Look)
}
