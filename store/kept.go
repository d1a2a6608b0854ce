package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// keptWithin is how long replicas have to confirm what is to be acknowledged.
const keptWithin = time.Second

// ErrUnconfirmed says that what was written is in Redis and too few replicas said in time that they have it too. It may be
// lost with the master, so it must not be acknowledged; whoever sent it sends it again, to the effect of once.
var ErrUnconfirmed = errors.New("not confirmed by Redis's replicas")

// replication is how many replicas must have what is acknowledged.
type replication struct {
	wanted      atomic.Int64
	unconfirmed atomic.Int64
}

// Unconfirmed is how often replicas did not confirm in time, since the start.
func (s *Store) Unconfirmed() int64 { return s.replication.unconfirmed.Load() }

// countReplicas decides how many replicas must confirm: what the options say, else one under Sentinels and in a Cluster,
// and for a single Redis one while it has any.
func (s *Store) countReplicas(ctx context.Context) {
	wanted := int64(s.options.Replicas)
	if wanted < 0 {
		wanted = 1
		if client, ok := s.rdb.(*redis.Client); ok && s.options.mode() == Single {
			connected, err := connectedReplicas(ctx, client)
			if err != nil { // one that does not answer now has as many as before
				zerolog.Ctx(ctx).Debug().Err(err).Msg("Redis does not say how many replicas it has")
				return
			}
			wanted = min(1, connected)
		}
	}
	if before := s.replication.wanted.Swap(wanted); before != wanted {
		zerolog.Ctx(ctx).Info().Int64("replicas", wanted).Msg("what is acknowledged waits for so many of Redis's replicas")
	}
}

// connectedReplicas asks a master for how many it has; 0 when it is none, or a Redis that has no such notion.
func connectedReplicas(ctx context.Context, master *redis.Client) (int64, error) {
	role, err := master.Do(ctx, "ROLE").Slice()
	var refused redis.Error
	if err != nil && !errors.As(err, &refused) {
		return 0, err
	}
	if len(role) < 3 || role[0] != "master" {
		return 0, nil
	}
	replicas, _ := role[2].([]any)
	return int64(len(replicas)), nil
}

// runKept is run for what is acknowledged to GitHub or to a node: where there are replicas it returns only when enough of
// them have what was written, in the same round trip. ErrUnconfirmed.
func (s *Store) runKept(ctx context.Context, p partition, name string, keys []string, args ...any) *redis.Cmd {
	wanted := s.replication.wanted.Load()
	if wanted == 0 {
		return s.run(ctx, name, keys, args...)
	}
	script, failed := s.scripts[name+".lua"], redis.NewCmd(ctx)
	call := func(pipe redis.Pipeliner) *redis.Cmd { return pipe.EvalSha(ctx, script.Hash(), keys, args...) }
	for pause := 50 * time.Millisecond; ; pause *= 2 {
		cmd, confirmed, err := s.callAndWait(ctx, p, call, wanted)
		switch {
		case err == nil && confirmed >= wanted:
			return cmd
		case err == nil:
			s.replication.unconfirmed.Add(1)
			zerolog.Ctx(ctx).Warn().Str("script", name).Int64("confirmed", confirmed).Int64("wanted", wanted).Msg("Redis's replicas did not confirm in time; nothing is acknowledged")
			failed.SetErr(fmt.Errorf("run %s.lua: %w: %d of %d within %s", name, ErrUnconfirmed, confirmed, wanted, keptWithin))
			return failed
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			call = func(pipe redis.Pipeliner) *redis.Cmd { return script.Eval(ctx, pipe, keys, args...) }
			continue
		}
		// A Cluster's client would follow a master that moved; here it was asked for one server.
		cluster, ok := s.rdb.(*redis.ClusterClient)
		if !ok || !elsewhere(err) || pause > 500*time.Millisecond {
			failed.SetErr(fmt.Errorf("run %s.lua: %w", name, err))
			return failed
		}
		cluster.ReloadState(ctx)
		wait(ctx, pause)
	}
}

// callAndWait runs a script and WAIT on one connection, which is what WAIT goes by. A script that is repeated may write
// nothing, and WAIT would then not wait for what it wrote the first time: so there is always one more write.
func (s *Store) callAndWait(ctx context.Context, p partition, call func(redis.Pipeliner) *redis.Cmd, wanted int64) (*redis.Cmd, int64, error) {
	master, err := s.master(ctx, p.kept())
	if err != nil {
		return nil, 0, err
	}
	var cmd, confirmed *redis.Cmd
	_, err = master.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		cmd = call(pipe)
		pipe.Set(ctx, p.kept(), "1", 0)
		confirmed = pipe.Do(ctx, "WAIT", wanted, keptWithin.Milliseconds())
		return nil
	})
	if errors.Is(cmd.Err(), redis.Nil) && errors.Is(err, redis.Nil) {
		err = nil
	}
	if err != nil {
		return cmd, 0, err
	}
	n, err := confirmed.Int64()
	return cmd, n, err
}

// elsewhere reports whether an error says that another server may be the master by now.
func elsewhere(err error) bool {
	for _, prefix := range []string{"MOVED", "ASK", "READONLY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN", "UNBLOCKED"} {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, redis.ErrClosed) || errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded)
}
