package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/sandbox/redis"
)

// proxied starts a Redis and a proxy before it, and returns a client of each. The proxy's never repeats a command.
func proxied(t *testing.T) (*redis.Proxy, *goredis.Client, *goredis.Client) {
	t.Helper()
	installed(t)
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, server.Stop()) })
	proxy, err := redis.StartProxy(t.Context(), server.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, proxy.Stop()) })
	through, direct := client(t, proxy.Address), client(t, server.Address)
	if err := through.Set(t.Context(), "n", 0, 0).Err(); err != nil {
		t.Fatalf("a proxy without a fault: %v", err)
	}
	return proxy, through, direct
}

func client(t *testing.T, address string) *goredis.Client {
	t.Helper()
	o := &goredis.Options{Addr: address, MaxRetries: -1, PoolSize: 1}
	if address[0] == '/' {
		o.Network = "unix"
	}
	c := goredis.NewClient(o)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func TestAReplyThatIsDroppedLeavesItsWriteInRedis(t *testing.T) {
	proxy, through, direct := proxied(t)
	proxy.Set(redis.Fault{Kind: redis.DropReply, Commands: []string{"incr"}, Times: 1})
	if err := through.Incr(t.Context(), "n").Err(); err == nil {
		t.Error("the reply came")
	}
	if n, err := direct.Get(t.Context(), "n").Int(); err != nil || n != 1 {
		t.Errorf("Redis holds %d, %v", n, err)
	}
	if n, err := through.Incr(t.Context(), "n").Result(); err != nil || n != 2 {
		t.Errorf("struck more than once: %d, %v", n, err)
	}
	if hits := proxy.Hits(); hits[redis.DropReply] != 1 || len(hits) != 1 {
		t.Errorf("counted %v", hits)
	}
}

func TestACommandThatIsDroppedNeverReachesRedis(t *testing.T) {
	proxy, through, direct := proxied(t)
	proxy.Set(redis.Fault{Kind: redis.DropQuery, Times: 1})
	if err := through.Incr(t.Context(), "n").Err(); err == nil {
		t.Error("a reply came")
	}
	if n, err := direct.Get(t.Context(), "n").Int(); err != nil || n != 0 {
		t.Errorf("Redis holds %d, %v", n, err)
	}
}

func TestTheConnectionIsCutAfterSoManyReplies(t *testing.T) {
	proxy, through, direct := proxied(t)
	proxy.Set(redis.Fault{Kind: redis.DropReply, Commands: []string{"INCR"}, After: 2})
	for i := range 4 {
		if err := through.Incr(t.Context(), "n").Err(); (err != nil) != (i >= 2) {
			t.Errorf("command %d: %v", i, err)
		}
	}
	if n, err := direct.Get(t.Context(), "n").Int(); err != nil || n != 4 {
		t.Errorf("Redis holds %d, %v", n, err)
	}
}

func TestAClientThatRepeatsAWriteWithoutItsReplyWritesItOften(t *testing.T) {
	proxy, _, direct := proxied(t)
	repeats := goredis.NewClient(&goredis.Options{Addr: proxy.Address})
	defer func() { check(t, repeats.Close()) }()
	proxy.Set(redis.Fault{Kind: redis.DropReply, Commands: []string{"INCR"}})
	if err := repeats.Incr(t.Context(), "n").Err(); err == nil {
		t.Error("a reply came")
	}
	if n, err := direct.Get(t.Context(), "n").Int(); err != nil || n != 4 {
		t.Errorf("go-redis wrote %d times (%v); its retries are what operation ids are for", n, err)
	}
}

func TestADelayHoldsTheReplyBack(t *testing.T) {
	proxy, through, direct := proxied(t)
	proxy.Set(redis.Fault{Kind: redis.Delay, Commands: []string{"INCR"}, Delay: time.Minute})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	failed := make(chan error, 1)
	go func() {
		impatient := through.WithTimeout(500 * time.Millisecond)
		failed <- impatient.Incr(ctx, "n").Err()
	}()
	defer cancel()
	if err := <-failed; err == nil {
		t.Error("the reply was not held back")
	}
	eventually(t, ctx, func() error { // on a slow machine the sender was gone before the command came there
		if got := direct.Get(ctx, "n").Val(); got != "1" {
			return errors.New("it holds " + got)
		}
		return nil
	})
}

func TestARefusalCutsOpenConnectionsAndNewOnes(t *testing.T) {
	proxy, through, direct := proxied(t)
	proxy.Set(redis.Fault{Kind: redis.Refuse})
	for range 2 {
		if err := through.Incr(t.Context(), "n").Err(); err == nil {
			t.Error("it was let through")
		}
	}
	proxy.Set(redis.Fault{Kind: redis.Pass})
	if n, err := through.Incr(t.Context(), "n").Result(); err != nil || n != 1 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	if n, err := direct.Get(t.Context(), "n").Int(); err != nil || n != 1 {
		t.Errorf("Redis holds %d, %v", n, err)
	}
	if proxy.Hits()[redis.Refuse] < 2 {
		t.Errorf("counted %v", proxy.Hits())
	}
}

func TestAPipelineAndAScriptGoThrough(t *testing.T) {
	_, through, _ := proxied(t)
	replies, err := through.Pipelined(t.Context(), func(p goredis.Pipeliner) error {
		for range 100 {
			p.Incr(t.Context(), "n")
		}
		p.Eval(t.Context(), `return {redis.call('GET', KEYS[1]), {1, 'two', false}}`, []string{"n"})
		p.XAdd(t.Context(), &goredis.XAddArgs{Stream: "s", Values: []any{"text", "one\r\ntwo"}})
		p.XRange(t.Context(), "s", "-", "+")
		return nil
	})
	if err != nil || len(replies) != 103 {
		t.Fatalf("%d replies, %v", len(replies), err)
	}
	entries, err := through.XRange(t.Context(), "s", "-", "+").Result()
	if err != nil || len(entries) != 1 || entries[0].Values["text"] != "one\r\ntwo" {
		t.Errorf("read %v, %v", entries, err)
	}
}

func TestACommandThatIsHeldComesToRedisThoughItsSenderIsGone(t *testing.T) {
	proxy, through, direct := proxied(t)
	struck := make(chan struct{})
	proxy.Set(redis.Fault{
		Kind: redis.Hold, Commands: []string{"SET"}, With: "late", Times: 1, Delay: 4 * time.Second, Struck: func() { close(struck) },
	})
	if err := through.Set(t.Context(), "n", "early", 0).Err(); err != nil {
		t.Errorf("one without the argument: %v", err)
	}
	if err := through.WithTimeout(500*time.Millisecond).Set(t.Context(), "n", "late", 0).Err(); err == nil {
		t.Error("it was not held")
	}
	<-struck
	if err := through.Set(t.Context(), "n", "meanwhile", 0).Err(); err != nil {
		t.Errorf("the next: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	eventually(t, ctx, func() error {
		if got := direct.Get(ctx, "n").Val(); got != "late" {
			return errors.New("it holds " + got)
		}
		return nil
	})
}
