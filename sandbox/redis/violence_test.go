package redis_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/sandbox/redis"
)

func TestAServerThatIsKilledComesBackWithWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	installed(t)
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, server.Stop()) }()
	c := client(t, server.Address)
	for i := range 100 {
		if err := c.RPush(t.Context(), "l", i).Err(); err != nil {
			t.Fatal(err)
		}
	}
	check(t, server.Kill())
	if err := c.Ping(t.Context()).Err(); err == nil {
		t.Error("it answers from the grave")
	}
	check(t, server.Restart(t.Context()))
	if n, err := client(t, server.Address).LLen(t.Context(), "l").Result(); err != nil || n != 100 {
		t.Errorf("it came back with %d of 100, %v", n, err)
	}
	if err := server.Restart(t.Context()); err == nil {
		t.Error("one that runs was started again")
	}
}

func TestAServerThatIsPausedKeepsItsConnectionsAndDoesNotAnswer(t *testing.T) {
	t.Parallel()
	installed(t)
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, server.Address)
	check(t, c.Ping(t.Context()).Err())
	check(t, server.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := c.WithTimeout(200 * time.Millisecond).Ping(ctx).Err(); err == nil {
		t.Error("it answers")
	}
	check(t, server.Resume())
	check(t, c.Ping(t.Context()).Err())
	check(t, server.Pause())
	check(t, server.Stop()) // one that is paused can be stopped all the same
}

func TestSentinelsPromoteAReplicaWhenTheMasterIsKilled(t *testing.T) {
	t.Parallel()
	installed(t)
	s, err := redis.StartSentinel(t.Context(), t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, s.Stop()) }()
	c := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: s.Master, SentinelAddrs: s.Addresses})
	defer func() { check(t, c.Close()) }()
	check(t, c.Set(t.Context(), "k", "before", 0).Err())
	if n, err := c.Wait(t.Context(), 2, 5*time.Second).Result(); err != nil || n != 2 {
		t.Fatalf("%d replicas have it, %v", n, err)
	}
	first, err := s.Current(t.Context())
	if err != nil || first != s.Servers[0] {
		t.Fatalf("the master is %+v, %v", first, err)
	}
	check(t, first.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	eventually(t, ctx, func() error { return c.Set(ctx, "k", "after", 0).Err() })
	check(t, first.Restart(ctx))
	if err := s.Await(ctx); err != nil {
		t.Errorf("the old master does not follow the new one: %v", err)
	}
	if second, err := s.Current(ctx); err != nil || second == first {
		t.Errorf("the master is still %+v, %v", second, err)
	}
	if got, err := client(t, first.Address).Get(ctx, "k").Result(); err != nil || got != "after" {
		t.Errorf("the old master holds %q, %v", got, err)
	}
}

func TestAClusterServesAllSlotsAndOutlivesItsMasters(t *testing.T) {
	t.Parallel()
	installed(t)
	c, err := redis.StartCluster(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, c.Stop()) }()
	// Left alone the library looks for a new master once a minute, and knocks at the dead one until then.
	rdb := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: c.Addresses(), ClusterStateReloadInterval: 500 * time.Millisecond})
	defer func() { check(t, rdb.Close()) }()
	for i := range 64 {
		check(t, rdb.Set(t.Context(), strconv.Itoa(i), "before", 0).Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	check(t, c.Await(ctx))
	masters, err := c.Masters(ctx)
	if err != nil || len(masters) != 3 {
		t.Fatalf("%d masters, %v", len(masters), err)
	}
	check(t, masters[1].Kill())
	eventually(t, ctx, func() error {
		for i := range 64 {
			if err := rdb.Append(ctx, strconv.Itoa(i), ".").Err(); err != nil {
				return err
			}
		}
		return nil
	})
	check(t, masters[1].Restart(ctx))
	check(t, c.Await(ctx))
	after, err := c.Masters(ctx)
	if err != nil || len(after) != 3 {
		t.Fatalf("%d masters afterwards, %v", len(after), err)
	}
	for _, m := range after {
		if m == masters[1] {
			t.Error("the one that was killed is a master still: nobody took over")
		}
	}
}

// eventually repeats what fails until it succeeds or ctx ends.
func eventually(t *testing.T, ctx context.Context, try func() error) { //nolint:revive // t comes first in tests
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("in vain until the end: %v", err)
		case <-tick.C:
		}
	}
}
