package store

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// roomLeft is which part of Redis's memory may be used before new tasks are refused: the rest is for the deliveries that
// are always accepted, and for the events of the tasks that there are.
const roomLeft = 0.8

// memoryEvery is how long an answer about a server's memory is believed.
const memoryEvery = 5 * time.Second

// memory is what is known of how full the servers are, by partition.
type memory struct {
	mu    sync.Mutex
	known map[partition]fullness
}

type fullness struct {
	at   time.Time
	full bool
}

// full reports whether the server of a partition has used so much of its maxmemory that new tasks are refused. One that
// has no limit, or does not say, is not full.
func (s *Store) full(ctx context.Context, p partition) bool {
	s.memory.mu.Lock()
	before := s.memory.known[p]
	s.memory.mu.Unlock()
	if time.Since(before.at) < memoryEvery {
		return before.full
	}
	now := fullness{at: time.Now()} // Redis is asked without the lock: one that hangs holds up nobody whose answer is known
	master, err := s.master(ctx, p.work())
	if err == nil {
		var info string
		if info, err = master.Info(ctx, "memory").Result(); err == nil {
			used, most := infoNumber(info, "used_memory"), infoNumber(info, "maxmemory")
			now.full = most > 0 && float64(used) >= roomLeft*float64(most)
		}
	}
	if err != nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("Redis does not say how full it is")
	}
	if now.full != before.full {
		level := zerolog.InfoLevel
		if now.full {
			level = zerolog.ErrorLevel
		}
		zerolog.Ctx(ctx).WithLevel(level).Str("partition", string(p)).Bool("full", now.full).
			Msg("new tasks are refused while Redis has used 80 % of its maxmemory")
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.known == nil {
		s.memory.known = map[partition]fullness{}
	}
	s.memory.known[p] = now
	return now.full
}

// infoNumber reads one number out of INFO's answer; 0 when it is not there.
func infoNumber(info, name string) int64 {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64) // what is no number is not there
			return n
		}
	}
	return 0
}
