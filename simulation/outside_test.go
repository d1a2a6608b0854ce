package simulation

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// blow is what befalls a replica at one of its effects.
type blow int

const (
	unhurt     blow = iota
	killBefore      // the replica dies, and the effect never takes place
	killAfter       // the effect takes place, and the replica dies before it hears so
	cutBefore       // the connection breaks before the effect
	cutAfter        // the effect takes place, and the connection breaks before the reply
	holdUp          // the effect is held up on its way, and takes place all the same, when its sender has given up
	mute            // this effect and all after it are held up so for longer than a lease: others take the replica for dead
)

func (b blow) String() string {
	return [...]string{"unhurt", "killed before", "killed after", "cut before", "cut after", "held up", "held up with all after it"}[b]
}

// fatal reports whether the replica dies of it.
func (b blow) fatal() bool { return b == killBefore || b == killAfter }

var (
	errDead = errors.New("this replica was killed")
	errCut  = errors.New("the connection was cut")
)

// outside is everything that a replica can reach. Each of its effects passes here, so here it is counted and struck. When the
// replica is dead nothing passes any more, whatever its goroutines still try: to others it is gone at once.
type outside struct {
	strike     func(effect string) (blow, time.Duration) // decides about an effect, and for how long it is held up; may be called by several goroutines
	died       chan struct{}
	once       sync.Once
	mutedUntil atomic.Int64 // Unix, nanoseconds
}

func newOutside(strike func(string) (blow, time.Duration)) *outside {
	return &outside{strike: strike, died: make(chan struct{})}
}

// spared is who strikes nothing.
func spared(string) (blow, time.Duration) { return unhurt, 0 }

// kill ends the replica's influence on the world.
func (o *outside) kill() { o.once.Do(func() { close(o.died) }) }

func (o *outside) dead() bool {
	select {
	case <-o.died:
		return true
	default:
		return false
	}
}

// do has an effect take place, or what is in its stead. What is no effect, with no name, only needs the replica to live.
func (o *outside) do(ctx context.Context, effect string, take func() error) error {
	if o.dead() {
		return errDead
	}
	what, long := unhurt, time.Duration(0)
	if effect != "" {
		what, long = o.strike(effect)
	}
	switch what {
	case killBefore:
		o.kill()
		return errDead
	case cutBefore:
		return errCut
	case mute:
		o.mutedUntil.Store(time.Now().Add(long).UnixNano())
	}
	if muted := time.Until(time.Unix(0, o.mutedUntil.Load())); muted > 0 && strikeable(holdUp, effect) {
		what, long = holdUp, muted
	}
	if what == holdUp {
		pause(context.WithoutCancel(ctx), long) // whoever waits for it may have given up
		if o.dead() {
			return errDead
		}
	}
	err := take()
	switch {
	case what == killAfter:
		o.kill()
		return errDead
	case o.dead():
		return errDead
	case what == cutAfter:
		return errCut
	}
	return err
}

// strikeable reports whether a blow may befall an effect. Some are made with a lock held: a goroutine that waits for a lock
// stands still by the rules of synctest, and time with it, so that what is retried after a pause would never be.
func strikeable(b blow, effect string) bool {
	if b.fatal() {
		return true
	}
	switch {
	case effect == "":
		return false
	case b == mute: // where a lease matters most: what a runner has decided is on its way
		return effect == "move.lua" || effect == "place.lua"
	case effect == "node.lua", strings.HasSuffix(effect, "/access_tokens"), strings.HasPrefix(effect, "XREADGROUP"), strings.HasPrefix(effect, "XAUTOCLAIM"):
		return false
	case strings.Contains(effect, " /"):
		return b != holdUp // GitHub answers or it does not
	}
	return true
}
