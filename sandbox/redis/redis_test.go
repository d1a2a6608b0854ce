package redis_test

import (
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sam/sandbox/redis"
	"sam/store"
)

// The library's dialler looks once a second whether its pool was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// installed skips a test where there is no redis-server.
func installed(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: apt-get install redis-server, or `make tools` as root on Debian")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestTheInstalledRedisKeepsWhatItAcknowledges(t *testing.T) {
	installed(t)
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !server.Durable || !strings.HasPrefix(server.Name, "redis-server ") {
		t.Errorf("started %+v", server)
	}
	s, err := store.Open(t.Context(), store.Options{Addresses: []string{server.Address}})
	if err != nil {
		t.Errorf("SAM does not trust it: %v", err)
	} else if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

func TestWithoutAnInstalledRedisTheEmbeddedOneSaysThatItForgets(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	server, err := redis.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if server.Durable || !strings.Contains(server.Name, "not durable") {
		t.Errorf("started %+v", server)
	}
	options := store.Options{Addresses: []string{server.Address}}
	if _, err := store.Open(t.Context(), options); err == nil {
		t.Error("SAM took it for durable")
	}
	options.AllowLossy = true
	s, err := store.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	installed(t)
	_, err := redis.Start(t.Context(), "/nonexistent")
	if err == nil || !strings.Contains(err.Error(), "redis-server ended at once") {
		t.Errorf("started in a folder that is not there: %v", err)
	}
}
