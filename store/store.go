package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"sam/task"
)

// Store is SAM's state. It is safe for concurrent use. Close it once.
type Store struct {
	rdb        redis.UniversalClient
	options    Options
	scripts    scripts
	process    string // names this process in streams
	partitions partitions
	tails      map[partition]*tail // one each, fixed from the start

	installation string              // SAM's own id of the data
	seen         map[string]standing // the records, as Open and then Watch last saw them
	recovered    int64               // the newest loss of data that is made up for, as Open and then Watch last saw it; 0 for none
	lost         atomic.Pointer[string]
	replication  replication
	memory       memory

	mu      sync.Mutex
	readers []redis.UniversalClient
	follows redis.UniversalClient // the tails' reader, once anybody follows anything
}

// Open connects, checks that Redis keeps what it acknowledges (see the shipped configuration in deploy/redis.conf), and
// writes the meta record at the first start. It fails with what to change when Redis would lose data, unless AllowLossy.
func Open(ctx context.Context, o Options) (*Store, error) {
	all, err := loadScripts()
	if err != nil {
		return nil, fmt.Errorf("load scripts: %w", err)
	}
	redis.SetLogger(libraryLog{}) // a setting of the library's for the whole process; every store sets the same
	s := &Store{options: o, scripts: all, process: strings.ToLower(rand.Text()[:8]), partitions: o.Mode.partitions(), seen: map[string]standing{}}
	if s.rdb, err = o.connect(0); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.rdb.Close())
	}
	s.tails = map[partition]*tail{}
	for _, p := range s.partitions.all() {
		s.tails[p] = newTail(s, p)
	}
	return s, nil
}

// libraryLog has go-redis's remarks logged as ours are, and at debug: what goes wrong comes back as an error as well.
type libraryLog struct{}

// Printf implements go-redis's logger.
func (libraryLog) Printf(ctx context.Context, format string, v ...any) {
	zerolog.Ctx(ctx).Debug().Msgf("go-redis: "+format, v...)
}

// reader returns a client of its own for blocking reads of n partitions; closing it is the way to end a read that blocks,
// since go-redis does not interrupt one for its context.
func (s *Store) reader(n int) (redis.UniversalClient, error) {
	client, err := s.options.connect(n)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.readers = append(s.readers, client)
	s.mu.Unlock()
	return client, nil
}

// followReader returns the client with which all tails read.
func (s *Store) followReader() (redis.UniversalClient, error) {
	s.mu.Lock()
	client := s.follows
	s.mu.Unlock()
	if client != nil {
		return client, nil
	}
	client, err := s.reader(int(s.partitions))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.follows == nil {
		s.follows = client
	} // else another tail was as quick: this one is closed unused, with the store
	return s.follows, nil
}

func (s *Store) closeReader(client redis.UniversalClient) {
	s.mu.Lock()
	s.readers = slices.DeleteFunc(s.readers, func(c redis.UniversalClient) bool { return c == client })
	s.mu.Unlock()
	_ = client.Close() // closed already when the store is
}

func (s *Store) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach Redis at %s: %w", strings.Join(s.options.Addresses, ", "), s.options.explain(err))
	}
	if err := s.checkDurability(ctx); err != nil {
		if !s.options.AllowLossy {
			return err
		}
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Redis may lose what it acknowledged; going on because it was asked for")
	}
	lost, err := s.openMeta(ctx)
	if err != nil {
		return err
	}
	if s.recovered, err = s.rdb.HGet(ctx, keyMeta, "recovered").Int64(); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read meta: %w", err)
	}
	if lost != "" {
		s.lost.Store(&lost)
	}
	s.countReplicas(ctx)
	return nil
}

// Process names this process: it owns leases and reads streams under that name.
func (s *Store) Process() string { return s.process }

// Close ends every blocking read and the connections. What waits for a read returns.
func (s *Store) Close() error {
	for _, t := range s.tails {
		t.close()
	}
	s.mu.Lock()
	readers := s.readers
	s.readers = nil
	s.mu.Unlock()
	var errs []error
	for _, client := range readers {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, t := range s.tails {
		t.wg.Wait()
	}
	return errors.Join(append(errs, s.rdb.Close())...)
}

// operation names one call of a script, so that a repetition by the client is seen as such.
func operation() string { return rand.Text() }

// lease is how long a state's holder may be silent, in milliseconds.
func lease(state task.State) int64 { return task.Deadline(state).Milliseconds() }
