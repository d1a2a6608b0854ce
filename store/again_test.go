package store_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// journal is a log that tests read.
type journal struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines.Write(p)
}

// count is how many lines have a word.
func (j *journal) count(word string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for line := range strings.Lines(j.lines.String()) {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

// killable skips a test where there is no redis-server.
func killable(t *testing.T, server *redis.Server) {
	t.Helper()
	if !server.Durable {
		t.Skip("NO redis-server IS INSTALLED: nothing is killed")
	}
}

func TestARedisThatComesBackIsUsedAgainWithinASecondOrSo(t *testing.T) {
	t.Parallel()
	s, server := open(t)
	killable(t, server)
	linkNode(t, s, 1)
	log := &journal{}
	ctx, cancel := context.WithCancel(zerolog.New(log).WithContext(t.Context()))
	defer cancel()
	handled, followed := make(chan string, 100), make(chan task.ID, 100)
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Consume(ctx, store.Handlers{
			Delivery: func(_ context.Context, d task.Delivery) error { handled <- d.ID; return nil },
			Task:     func(context.Context, task.ID) {},
			Owed:     func(context.Context, task.OwedTo) {},
		}); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		for ctx.Err() == nil { // as a node's link does
			_ = s.FollowCommands(ctx, "local", func(c task.Command) error { followed <- c.Task; return nil })
		}
	})
	const within = 30 * time.Second
	await := func(what string, c <-chan string, want string) {
		t.Helper()
		for timer := time.After(within); ; {
			select {
			case got := <-c:
				if got == want {
					return
				}
			case <-timer:
				t.Fatalf("%s was not handed over within %s", what, within)
			}
		}
	}
	accept := func(guid string) {
		t.Helper()
		for began := time.Now(); ; rest(t.Context(), 10*time.Millisecond) { // as GitHub's redelivery does, if not so soon
			_, err := s.Accept(t.Context(), task.Delivery{ID: guid, Event: "issues", Body: []byte("{}")})
			if err == nil {
				return
			}
			if time.Since(began) > within {
				t.Fatal(err)
			}
		}
	}
	accept("before")
	await("a delivery", handled, "before")
	const rounds = 2 // others share the machine: the best counts
	best := within
	for round := range rounds {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		rest(t.Context(), 900*time.Millisecond) // how long it is away
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		back, guid := time.Now(), fmt.Sprint("after ", round)
		accept(guid)
		await("a delivery after Redis came back", handled, guid)
		took := time.Since(back)
		best = min(best, took)
		t.Logf("used again after %s", took)
	}
	if best > 3*time.Second {
		t.Errorf("it was used again after %s", best)
	}
	if err := s.Command(t.Context(), "local", task.Command{Kind: task.CommandStop, Task: "tone", Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	for timer := time.After(within); ; {
		select {
		case got := <-followed:
			if got != "tone" {
				continue
			}
		case <-timer:
			t.Fatal("a command after Redis came back was not handed over")
		}
		break
	}
	cancel()
	running.Wait()
	if failed, back := log.count("reading what there is to do failed"), log.count("reading what there is to do works again"); failed != rounds || back != rounds {
		t.Errorf("Redis went away %d times: the log says so %d times, and %d times that it is back", rounds, failed, back)
	}
}
