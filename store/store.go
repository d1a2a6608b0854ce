package store

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"sam/task"
)

// schemaVersion is the version of the layout of keys.go that this build reads and writes.
const schemaVersion = "1"

// Options say how to reach Redis.
type Options struct {
	Addresses  []string // host:port, or one path of a unix socket
	Username   string
	Password   string
	TLS        bool
	AllowLossy bool // start although Redis is not set to keep what it acknowledged
}

// Store is SAM's state. It is safe for concurrent use. Close it once.
type Store struct {
	rdb     *redis.Client
	options Options
	scripts scripts
	process string // names this process in streams
	p       partition
	tail    *tail

	mu      sync.Mutex
	readers []*redis.Client
}

// Open connects, checks that Redis keeps what it acknowledges (see the shipped configuration in deploy/redis.conf), and
// writes the meta record at the first start. It fails with what to change when Redis would lose data, unless AllowLossy.
func Open(ctx context.Context, o Options) (*Store, error) {
	all, err := loadScripts()
	if err != nil {
		return nil, fmt.Errorf("load scripts: %w", err)
	}
	redis.SetLogger(libraryLog{}) // a setting of the library's for the whole process; every store sets the same
	s := &Store{options: o, scripts: all, process: strings.ToLower(rand.Text()[:8]), p: onlyPartition}
	s.rdb = redis.NewClient(s.clientOptions())
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.rdb.Close())
	}
	s.tail = newTail(s)
	return s, nil
}

// libraryLog has go-redis's remarks logged as ours are, and at debug: what goes wrong comes back as an error as well.
type libraryLog struct{}

// Printf implements go-redis's logger.
func (libraryLog) Printf(ctx context.Context, format string, v ...any) {
	zerolog.Ctx(ctx).Debug().Msgf("go-redis: "+format, v...)
}

func (s *Store) clientOptions() *redis.Options {
	o := &redis.Options{
		Addr:                  s.options.Addresses[0],
		Username:              s.options.Username,
		Password:              s.options.Password,
		ContextTimeoutEnabled: true,
		ClientName:            "sam",
		DisableIdentity:       true,
	}
	if strings.HasPrefix(o.Addr, "/") {
		o.Network = "unix"
	}
	if s.options.TLS {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o
}

// reader returns a client of its own for blocking reads; closing it is the way to end a read that blocks, since go-redis
// does not interrupt one for its context.
func (s *Store) reader() *redis.Client {
	o := s.clientOptions()
	o.PoolSize = 1
	o.MaxRetries = -1
	o.ReadTimeout = 30 * time.Second
	client := redis.NewClient(o)
	s.mu.Lock()
	s.readers = append(s.readers, client)
	s.mu.Unlock()
	return client
}

func (s *Store) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("reach Redis at %s: %w", s.options.Addresses[0], err)
	}
	if err := s.checkDurability(ctx); err != nil {
		if !s.options.AllowLossy {
			return err
		}
		zerolog.Ctx(ctx).Warn().Err(err).Msg("Redis may lose what it acknowledged; going on because it was asked for")
	}
	if _, err := s.rdb.HSetNX(ctx, keyMeta, "schema", schemaVersion).Result(); err != nil {
		return fmt.Errorf("write meta: %w", err)
	}
	if err := s.rdb.HSetNX(ctx, keyMeta, "installation", strings.ToLower(rand.Text()[:12])).Err(); err != nil {
		return fmt.Errorf("write meta: %w", err)
	}
	schema, err := s.rdb.HGet(ctx, keyMeta, "schema").Result()
	if err != nil {
		return fmt.Errorf("read meta: %w", err)
	}
	if schema != schemaVersion {
		return fmt.Errorf("the data in Redis has schema %s and this release of SAM reads %s: start the release that wrote it", schema, schemaVersion)
	}
	return nil
}

// checkDurability compares Redis's settings with what the promises need.
func (s *Store) checkDurability(ctx context.Context) error {
	want := [][2]string{{"appendonly", "yes"}, {"appendfsync", "always"}, {"maxmemory-policy", "noeviction"}}
	var wrong []string
	for _, w := range want {
		got, err := s.rdb.ConfigGet(ctx, w[0]).Result()
		if err != nil {
			return fmt.Errorf("ask Redis for its %s: %w (allow CONFIG GET, or set redis.allow_lossy when you are sure)", w[0], err)
		}
		if got[w[0]] != w[1] {
			wrong = append(wrong, fmt.Sprintf("%s is %q and must be %q", w[0], got[w[0]], w[1]))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("redis would lose accepted work: %s (see deploy/redis.conf, or set redis.allow_lossy to go on all the same)", strings.Join(wrong, "; "))
	}
	return nil
}

// Process names this process: it owns leases and reads streams under that name.
func (s *Store) Process() string { return s.process }

// Close ends every blocking read and the connections. What waits for a read returns.
func (s *Store) Close() error {
	s.mu.Lock()
	readers := s.readers
	s.readers = nil
	s.mu.Unlock()
	s.tail.close()
	var errs []error
	for _, client := range readers {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.tail.wg.Wait()
	return errors.Join(append(errs, s.rdb.Close())...)
}

// Healthy returns nil when Redis answers.
func (s *Store) Healthy(ctx context.Context) error { return s.rdb.Ping(ctx).Err() }

// operation names one call of a script, so that a repetition by the client is seen as such.
func operation() string { return rand.Text() }

// lease is how long a state's holder may be silent, in milliseconds.
func lease(state task.State) int64 { return task.Deadline(state).Milliseconds() }
