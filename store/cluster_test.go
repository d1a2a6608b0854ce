package store_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"sam/sandbox/redis"
	"sam/store"
)

// needsRedis skips a test where there is no redis-server.
func needsRedis(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: neither Cluster nor Sentinel is tried")
	}
}

// openWith opens a store that is closed with the test.
func openWith(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func startCluster(t *testing.T) (*redis.Cluster, store.Options) {
	t.Helper()
	needsRedis(t)
	c, err := redis.StartCluster(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c, store.Options{Mode: store.Cluster, Addresses: c.Addresses(), Replicas: -1}
}

func TestOnAClusterWhoseMastersAreKilledEveryPromiseIsKept(t *testing.T) {
	t.Parallel()
	cluster, options := startCluster(t)
	fleet := newFleet(t, 250*time.Millisecond, openWith(t, options), openWith(t, options))
	fleet.run(func(ctx context.Context) error {
		for _, master := range cluster.Servers[:2] { // of the three masters at the start
			rest(ctx, time.Second)
			if err := master.Kill(); err != nil {
				return err
			}
			began := time.Now()
			for {
				masters, err := cluster.Masters(ctx)
				if err == nil && len(masters) == 3 {
					break
				}
				if time.Since(began) > time.Minute {
					return fmt.Errorf("no replica took over: %d masters, %w", len(masters), err)
				}
				rest(ctx, 100*time.Millisecond)
			}
			t.Logf("a master was replaced after %s", time.Since(began))
			if err := master.Restart(ctx); err != nil {
				return err
			}
			if err := cluster.Await(ctx); err != nil {
				return err
			}
		}
		// The third is not dead, only cut off: its connections stay, and it learns late that it is a master no more.
		if err := cluster.Servers[2].Pause(); err != nil {
			return err
		}
		rest(ctx, 6*time.Second) // longer than a failover takes
		if err := cluster.Servers[2].Resume(); err != nil {
			return err
		}
		return cluster.Await(ctx)
	})
}

func TestUnderSentinelsWhoseMasterIsKilledEveryPromiseIsKept(t *testing.T) {
	t.Parallel()
	needsRedis(t)
	sentinel, err := redis.StartSentinel(t.Context(), t.TempDir(), 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sentinel.Stop(); err != nil {
			t.Error(err)
		}
	})
	options := store.Options{Mode: store.Sentinel, Addresses: sentinel.Addresses, SentinelMaster: sentinel.Master, Replicas: -1}
	fleet := newFleet(t, 100*time.Millisecond, openWith(t, options), openWith(t, options))
	fleet.run(func(ctx context.Context) error {
		rest(ctx, time.Second)
		master, err := sentinel.Current(ctx)
		if err != nil {
			return err
		}
		if err := master.Kill(); err != nil {
			return err
		}
		began := time.Now()
		for {
			if now, err := sentinel.Current(ctx); err == nil && now != master {
				break
			}
			if time.Since(began) > time.Minute {
				return errors.New("no replica took over")
			}
			rest(ctx, 100*time.Millisecond)
		}
		t.Logf("the master was replaced after %s", time.Since(began))
		if err := master.Restart(ctx); err != nil {
			return err
		}
		return sentinel.Await(ctx)
	})
}

func TestARedisThatDiesAndComesBackKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	s, server := open(t)
	killable(t, server)
	newFleet(t, 80*time.Millisecond, s, connect(t, server)).run(func(ctx context.Context) error {
		for range 3 {
			rest(ctx, time.Second)
			if err := server.Kill(); err != nil {
				return err
			}
			rest(ctx, 500*time.Millisecond)
			if err := server.Restart(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}
