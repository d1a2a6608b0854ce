package store

import (
	"context"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"sam/task"
)

// whileAppending calls what happens while the answer to a pipeline that begins with XADD is awaited.
type whileAppending struct{ then func() }

func (whileAppending) DialHook(next redis.DialHook) redis.DialHook { return next }

func (whileAppending) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h whileAppending) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "xadd" {
			h.then()
		}
		return next(ctx, cmds)
	}
}

func TestNoLockIsHeldWhileRedisIsAsked(t *testing.T) {
	s, _ := openInside(t)
	free := func(what string, mu *sync.Mutex) {
		if !mu.TryLock() {
			t.Errorf("Redis is asked under the lock of %s", what)
			return
		}
		mu.Unlock()
	}
	tail := s.tails[s.partitions.bucket(0)]
	asked := 0
	s.rdb.AddHook(afterScript{"memory", func() { free("the memory", &s.memory.mu); asked++ }})
	s.rdb.AddHook(whileAppending{func() { free("the tail", &tail.mu); asked++ }})
	s.full(t.Context(), tail.p)
	for _, stream := range []string{"one", "two"} { // the second has the reader woken
		_, stop, err := tail.subscribe(t.Context(), tail.p.events(task.ID(stream)))
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	if asked != 2 {
		t.Errorf("Redis was asked %d times, want for its memory and to wake the reader", asked)
	}
}
