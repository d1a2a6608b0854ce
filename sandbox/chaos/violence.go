package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/redis"
)

// The kinds of violence, beside what the stand-in for GitHub does.
const (
	killReplica    = "kill_replica"
	killNode       = "kill_node"
	killRedis      = "kill_redis"
	pauseReplica   = "pause_replica"
	pauseNode      = "pause_node"
	rollingRestart = "rolling_restart"
	replyLost      = "redis_reply_lost"
	replyLate      = "redis_reply_late"
	wakeAll        = "wake_all"
	pauseAtEnd     = "pause_at_the_end"
)

// pauseFor is longer than a runner's lease of 10 s.
const pauseFor = 20 * time.Second

// Between two acts of violence, on average: short runs strike faster, so that every kind has its turn twice, and long ones
// leave time in which what was hurt is up again, at times.
const (
	actsLeast = time.Second
	actsMost  = 4 * time.Second
)

// violence hurts the world and counts what struck.
type violence struct {
	world  *world
	random *rand.Rand
	wg     sync.WaitGroup // what goes on in the background: pauses
	round  int            // of all kinds

	freezing sync.Mutex // held while somebody decides whom to pause

	mu   sync.Mutex
	hits map[string]int
}

func newViolence(w *world, random *rand.Rand) *violence {
	return &violence{world: w, random: random, hits: map[string]int{}}
}

// plan announces kinds: one that is planned and never strikes fails the run.
func (v *violence) plan(kinds ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, kind := range kinds {
		v.hits[kind] += 0
	}
}

func (v *violence) hit(ctx context.Context, kind, what string) {
	zerolog.Ctx(ctx).Info().Str("fault", kind).Msg(what)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hits[kind]++
}

// counts are the hits so far, those at the proxies too.
func (v *violence) counts() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := maps.Clone(v.hits)
	for _, p := range v.world.proxies {
		hits := p.Hits()
		if _, planned := all[replyLost]; planned {
			all[replyLost] += hits[redis.DropReply]
		}
		if _, planned := all[replyLate]; planned {
			all[replyLate] += hits[redis.Delay]
		}
	}
	return all
}

// run strikes with each of the kinds, in an order of its own each time, until ctx ends. Then it waits for the pauses to be
// over.
func (v *violence) run(ctx context.Context, kinds []string) error {
	v.plan(kinds...)
	defer v.wg.Wait()
	every := min(max(actsLeast, v.world.options.Duration/time.Duration(2*len(kinds)+2)), actsMost)
	for ; ; v.round++ {
		for _, i := range v.random.Perm(len(kinds)) {
			if !rest(ctx, every/2+time.Duration(v.random.Int64N(int64(every)))) {
				return nil
			}
			if err := v.strike(ctx, kinds[i]); err != nil {
				return err
			}
		}
	}
}

func (v *violence) strike(ctx context.Context, kind string) error {
	w := v.world
	// Of those that set a proxy's fault each has another replica's in a round: they would take each other's place.
	switch kind {
	case killReplica:
		v.kill(ctx, kind, w.replicas)
	case killNode:
		v.kill(ctx, kind, slices.Concat(w.nodes, w.machines.nodes()))
	case pauseReplica:
		v.pause(ctx, kind, w.replicas)
	case pauseNode:
		v.pause(ctx, kind, slices.Concat(w.nodes, w.machines.nodes()))
	case killRedis:
		return v.killRedis(ctx)
	case rollingRestart:
		v.roll(ctx)
	case replyLost:
		w.proxies[v.round%replicas].Set(redis.Fault{Kind: redis.DropReply, Commands: []string{"EVALSHA"}, After: v.random.IntN(20), Times: 2})
	case replyLate:
		w.proxies[(v.round+1)%replicas].Set(redis.Fault{Kind: redis.Delay, Commands: []string{"EVALSHA"}, Times: 3, Delay: time.Second})
	case wakeAll:
		return v.wakeAll(context.WithoutCancel(ctx)) // a question that is cut short by the end would look like a Redis that fails
	case pauseAtEnd:
		v.pauseAtEnd(ctx, (v.round+2)%replicas)
	default:
		return fmt.Errorf("no such violence: %s", kind)
	}
	return nil
}

// kill kills one of several programs: one that runs, and is not paused.
func (v *violence) kill(ctx context.Context, kind string, of []*program) {
	for _, i := range v.random.Perm(len(of)) {
		if of[i].kill() {
			v.hit(ctx, kind, "killed "+of[i].name)
			return
		}
	}
}

// pause pauses one of several programs for longer than a lease.
func (v *violence) pause(ctx context.Context, kind string, of []*program) {
	for _, i := range v.random.Perm(len(of)) {
		if !v.freeze(of, i) {
			continue
		}
		v.hit(ctx, kind, "paused "+of[i].name)
		v.wg.Go(func() {
			rest(context.WithoutCancel(ctx), pauseFor)
			of[i].thaw()
		})
		return
	}
}

// freeze pauses one of several programs, unless all the others are paused: somebody must be there to take over.
func (v *violence) freeze(of []*program, i int) bool {
	v.freezing.Lock()
	defer v.freezing.Unlock()
	others := 0
	for j, p := range of {
		if j != i && !p.isPaused() {
			others++
		}
	}
	return others > 0 && of[i].freeze()
}

// killRedis kills Redis and starts it again after a moment.
func (v *violence) killRedis(ctx context.Context) error {
	if err := v.world.redis.Kill(); err != nil {
		return err
	}
	v.hit(ctx, killRedis, "killed Redis")
	rest(ctx, time.Duration(v.random.Int64N(int64(2*time.Second))))
	return v.world.redis.Restart(context.WithoutCancel(ctx))
}

// roll restarts one replica after the other as an upgrade does: asked to end, and the next when it is back.
func (v *violence) roll(ctx context.Context) {
	v.hit(ctx, rollingRestart, "restarting the replicas one after the other")
	for i, p := range v.world.replicas {
		before := p.started()
		if p.isPaused() || p.signal(syscall.SIGTERM) != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, endWithin)
		_ = until(ctx, lookEvery, func() error { // one that does not come back is found by whoever needs it
			if p.started() == before {
				return errDown
			}
			return v.world.balancer.ask(ctx, v.world.balancer.backends[i].ready)
		})
		cancel()
	}
}

// wakeAll wakes workers for every task that is under way. A wake-up is only a hint, and may come at any time: a task that
// somebody holds must not be taken from him by it.
func (v *violence) wakeAll(ctx context.Context) error {
	keys, err := keysOf(ctx, v.world.redis)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if kindOf(key) != "due" {
			continue
		}
		tasks, err := list(ctx, v.world.redis, "ZRANGE", key, "0", "-1")
		if err != nil {
			return err
		}
		for _, id := range tasks {
			if _, err := list(ctx, v.world.redis, "XADD", key[:len(key)-len("due")]+"work", "*", "kind", "task", "id", id); err != nil {
				return err
			}
			v.hit(ctx, wakeAll, "woke workers for task "+id)
		}
	}
	return nil
}

// pauseAtEnd pauses a replica at the worst moment: when it has published a result and is about to record it. The command
// that does so is on its way, and arrives when another replica has long taken over and ended the task.
func (v *violence) pauseAtEnd(ctx context.Context, replica int) {
	p, late := v.world.replicas[replica], pauseFor+2*time.Second
	v.world.proxies[replica].Set(redis.Fault{
		Kind: redis.Hold, Commands: []string{"EVALSHA"}, With: "succeeded", Times: 1, Delay: late,
		Struck: func() {
			if !v.freeze(v.world.replicas, replica) {
				return
			}
			v.hit(ctx, pauseAtEnd, "paused "+p.name+" while it ends a task")
			v.wg.Go(func() {
				rest(context.WithoutCancel(ctx), late+time.Second)
				p.thaw()
			})
		},
	})
}

// calm takes the faults off the proxies, and the blows off creations.
func (v *violence) calm() {
	v.world.cloud.atCreation(nil)
	for _, p := range v.world.proxies {
		p.Set(redis.Fault{Kind: redis.Pass})
	}
}
