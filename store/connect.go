package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sam/store/blob"
)

// Mode is how Redis is set up.
type Mode string

// The modes. The zero Mode is Single.
const (
	Single   Mode = "single"
	Sentinel Mode = "sentinel"
	Cluster  Mode = "cluster"
)

func (m Mode) partitions() partitions {
	if m == Cluster {
		return clusterPartitions
	}
	return 1
}

// Options say how to reach Redis.
type Options struct {
	Mode             Mode
	Addresses        []string // host:port: the server's, some Sentinels', or some of the Cluster's; or one path of a unix socket
	SentinelMaster   string   // Sentinel: the name under which the Sentinels know the master
	SentinelUsername string   // the Sentinels' own credentials
	SentinelPassword string
	Username         string // empty: the default user
	Password         string
	TLS              bool
	CAFile           string // PEM: whom to trust instead of the system's authorities
	Replicas         int    // how many replicas must have what is acknowledged; below 0: one where there are any
	AllowLossy       bool   // start although Redis is not set to keep what it acknowledged
	// Keep is how long a task, with its events, is kept after its end; 0: DefaultKeep. The conversation stays.
	Keep time.Duration
	// Blobs is where events go that are large or old, and long texts; nil: they stay in Redis.
	Blobs blob.Store
	// Dial opens connections; nil for the network's own. A simulation has its Redis in memory.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// clusterStateFor is how long a client of a Cluster believes what it knows of who is a master: after this it asks, when it
// has something to ask for. A master that died takes 2 to 4 seconds to be replaced, and nobody tells.
const clusterStateFor = time.Second

// mode is Mode with its default.
func (o Options) mode() Mode {
	if o.Mode == "" {
		return Single
	}
	return o.Mode
}

// connect returns a client; nothing is dialled before its first use. With readers it is one for so many blocking reads,
// which does not repeat what failed: its user does.
func (o Options) connect(readers int) (redis.UniversalClient, error) {
	u := &redis.UniversalOptions{
		Addrs:                 o.Addresses,
		Dialer:                o.Dial,
		Username:              o.Username,
		Password:              o.Password,
		SentinelUsername:      o.SentinelUsername,
		SentinelPassword:      o.SentinelPassword,
		ContextTimeoutEnabled: true,
		ClientName:            "sam",
		DisableIdentity:       true,
		// Notices of maintenance are a service of Redis's own cloud; asking for them costs a round trip a connection.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if o.TLS {
		t, err := o.tls()
		if err != nil {
			return nil, err
		}
		u.TLSConfig = t
	}
	if readers > 0 {
		u.PoolSize = readers
		u.MaxRetries = -1
		u.DialerRetries = 1
		u.ReadTimeout = 30 * time.Second
	}
	switch o.Mode {
	case Cluster:
		c := u.Cluster()
		c.ClusterStateReloadInterval = clusterStateFor
		return redis.NewClusterClient(c), nil
	case Sentinel:
		u.MasterName = o.SentinelMaster
		return redis.NewFailoverClient(u.Failover()), nil
	default:
		s := u.Simple()
		if strings.HasPrefix(s.Addr, "/") {
			s.Network = "unix"
		}
		return redis.NewClient(s), nil
	}
}

func (o Options) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificates of Redis's authority: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the certificates of Redis's authority: %s holds none in PEM", o.CAFile)
	}
	return c, nil
}

// explain adds to an error what is likely set wrong.
func (o Options) explain(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "cluster support disabled"):
		return fmt.Errorf("%w: this Redis is no Cluster: set redis.mode to single", err)
	case strings.HasPrefix(text, "MOVED "), strings.HasPrefix(text, "CLUSTERDOWN "):
		return fmt.Errorf("%w: this Redis is part of a Cluster: set redis.mode to cluster", err)
	case strings.HasPrefix(text, "NOAUTH"), strings.HasPrefix(text, "WRONGPASS"):
		return fmt.Errorf("%w: check redis.username and redis.password_file", err)
	case strings.HasPrefix(text, "NOPERM"):
		return fmt.Errorf("%w: see the user's rights in docs/configuration.md", err)
	case o.Mode == Sentinel && strings.Contains(text, "all sentinels"):
		return fmt.Errorf("%w: check redis.addresses, which are the Sentinels', and redis.sentinel_master", err)
	default:
		return err
	}
}

// eachMaster calls f for every server that takes writes, by turns.
func (s *Store) eachMaster(ctx context.Context, f func(context.Context, *redis.Client) error) error {
	switch c := s.rdb.(type) {
	case *redis.Client:
		return f(ctx, c)
	case *redis.ClusterClient:
		turn := make(chan struct{}, 1)
		return c.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			turn <- struct{}{}
			defer func() { <-turn }()
			return f(ctx, master)
		})
	default:
		return errors.New("a Redis client of an unknown kind")
	}
}

// master returns the client of the server that takes a key's writes.
func (s *Store) master(ctx context.Context, key string) (*redis.Client, error) {
	switch c := s.rdb.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	default:
		return nil, errors.New("a Redis client of an unknown kind")
	}
}
