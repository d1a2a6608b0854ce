package store_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"sam/store"
	"sam/task"
)

// serve runs what a replica runs on a store, until the returned function is called.
func serve(t *testing.T, s *store.Store, h store.Handlers) (stop func()) {
	t.Helper()
	if h.Delivery == nil {
		h.Delivery = func(context.Context, task.Delivery) error { return nil }
	}
	if h.Task == nil {
		h.Task = func(context.Context, task.ID) {}
	}
	if h.Owed == nil {
		h.Owed = func(context.Context, task.OwedTo) {}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- s.Consume(ctx, h) }()
	go func() { done <- s.Watch(ctx, func(context.Context, string) error { return nil }) }()
	return func() {
		t.Helper()
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}

// commandsOf is how many commands a server has carried out, those inside scripts among them.
func commandsOf(t *testing.T, c *goredis.Client) int {
	t.Helper()
	info, err := c.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "total_commands_processed:"); ok {
			count, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			return count
		}
	}
	t.Fatal("INFO has no total_commands_processed")
	return 0
}

// idleFor is how long an idle replica is looked at: long enough for the work of every ten seconds to come once.
const idleFor = 12 * time.Second

func TestAnIdleReplicaMakesAtMostFiveCommandsASecond(t *testing.T) {
	t.Parallel()
	s, server := open(t)
	if !server.Durable {
		t.Skip("NO redis-server IS INSTALLED: the cost of an idle replica is not measured")
	}
	linkNode(t, s, 1)
	defer serve(t, s, store.Handlers{})()
	c := raw(t, server)
	waitUntilQuiet(t, c)
	before, began := commandsOf(t, c), time.Now()
	rest(t.Context(), idleFor) // what is measured is time that passes
	made := commandsOf(t, c) - before - 1
	if most := 5 * time.Since(began).Seconds(); float64(made) > most {
		t.Errorf("%d commands in %s, at most %.0f", made, time.Since(began), most)
	}
	t.Logf("%.1f commands a second, those inside scripts counted", float64(made)/time.Since(began).Seconds())
}

// waitUntilQuiet returns when a server has carried out next to nothing for a while: what a start costs is over.
func waitUntilQuiet(t *testing.T, c *goredis.Client) {
	t.Helper()
	for range 100 {
		before := commandsOf(t, c)
		rest(t.Context(), 500*time.Millisecond)
		if commandsOf(t, c)-before < 10 {
			return
		}
	}
	t.Fatal("a replica with nothing to do is never quiet")
}

func TestAnIdleReplicaMakesAtMostTwoCommandsASecondForEachPartitionOfACluster(t *testing.T) {
	t.Parallel()
	cluster, options := startCluster(t)
	s := openWith(t, options)
	linkNode(t, s, 1)
	defer serve(t, s, store.Handlers{})()
	var clients []*goredis.Client
	for _, server := range cluster.Servers[:3] {
		c := goredis.NewClient(&goredis.Options{Addr: server.Address})
		t.Cleanup(func() { _ = c.Close() })
		waitUntilQuiet(t, c)
		clients = append(clients, c)
	}
	count := func() int {
		made := 0
		for _, c := range clients {
			made += commandsOf(t, c)
		}
		return made
	}
	before, began := count(), time.Now()
	rest(t.Context(), idleFor) // what is measured is time that passes
	took := time.Since(began).Seconds()
	made := float64(count()-before-len(clients)) - 3*took // each replica tells its master every second how far it has come
	if most := 2 * 16 * took; made > most {
		t.Errorf("%.0f commands in %.0f s, at most %.0f", made, took, most)
	}
	t.Logf("%.2f commands a second for each partition, those inside scripts counted", made/took/16)
}
