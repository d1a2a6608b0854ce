package redis_test

import (
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sam/sandbox/redis"
	"sam/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheInstalledRedisKeepsWhatItAcknowledges(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: apt-get install redis-server, or `make tools` as root on Debian")
	}
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
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NO redis-server IS INSTALLED: apt-get install redis-server, or `make tools` as root on Debian")
	}
	_, err := redis.Start(t.Context(), "/nonexistent")
	if err == nil || !strings.Contains(err.Error(), "redis-server ended at once") {
		t.Errorf("started in a folder that is not there: %v", err)
	}
}
