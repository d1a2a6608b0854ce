package chaos

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sam/sandbox/redis"
)

// within bounds what a test waits for.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAProgramThatIsKilledIsStartedAgainAndOneThatIsPausedIsNot(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("SKIPPED, NOT TESTED: no program was killed or paused, for there is no `sleep` to run")
	}
	p := &program{name: "sleeper", binary: sleep, args: []string{"600"}, log: filepath.Join(t.TempDir(), "log"), env: os.Environ()}
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	starts := func(n int) {
		t.Helper()
		if err := until(ctx, 10*time.Millisecond, func() error {
			if p.started() < n || p.signal(0) != nil {
				return errDown
			}
			return nil
		}); err != nil {
			t.Fatalf("start %d: %v", n, err)
		}
	}
	starts(1)
	if !p.kill() {
		t.Error("it was not killed")
	}
	starts(2)
	if !p.freeze() || p.freeze() || p.kill() {
		t.Error("one that is paused was paused again, or killed")
	}
	p.thaw()
	if !p.kill() {
		t.Error("one that goes on again was not killed")
	}
	starts(3)
	if !p.freeze() {
		t.Error("it was not paused")
	}
	cancel() // one that is paused can be ended all the same
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if p.started() != 3 || !errors.Is(p.signal(0), errDown) {
		t.Errorf("started %d times, and at the end it is not down", p.started())
	}
}

// replica is a server that answers with its name, and says whether it is ready.
func replica(t *testing.T, name string) (backend, *atomic.Bool) {
	t.Helper()
	var ready atomic.Bool
	ready.Store(true)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	return backend{public: s.Listener.Addr().String(), ready: s.URL + "/readyz"}, &ready
}

func TestTheBalancerSendsToReplicasThatAreReadyAndToNoOther(t *testing.T) {
	first, firstReady := replica(t, "first")
	second, _ := replica(t, "second")
	ctx, cancel := context.WithCancel(within(t))
	b, err := newBalancer(ctx, "127.0.0.1:0", []backend{first, second})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.run(ctx) }()
	if err := until(ctx, 10*time.Millisecond, b.allReady); err != nil {
		t.Fatal(err)
	}
	address := b.listener.Addr().String()
	seen := map[string]bool{}
	for range 4 {
		seen[answer(t, address)] = true
	}
	if !seen["first"] || !seen["second"] {
		t.Errorf("it sent to %v only", seen)
	}
	firstReady.Store(false)
	if err := until(ctx, 10*time.Millisecond, func() error {
		if b.allReady() == nil {
			return errors.New("it has not noticed")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if got := answer(t, address); got != "second" {
			t.Errorf("it sent to %q, which is not ready", got)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// answer asks over a connection of its own.
func answer(t *testing.T, address string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

func TestTheBalancerKeepsTheClientsOwnAddress(t *testing.T) {
	seen := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			seen <- r.RemoteAddr
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(within(t))
	b, err := newBalancer(ctx, "127.0.0.1:0", []backend{{public: server.Listener.Addr().String(), ready: server.URL + "/readyz"}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.run(ctx) }()
	if err := until(ctx, 10*time.Millisecond, b.allReady); err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 71, 9, 7)}}
	conn, err := dialer.DialContext(ctx, "tcp", b.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case from := <-seen:
		if !strings.HasPrefix(from, "127.71.9.7:") {
			t.Errorf("it came from %s", from)
		}
	case <-ctx.Done():
		t.Error("nothing came")
	}
	_ = conn.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestEveryKindOfViolenceIsKnownAndEveryRuleOfGitHubsIsValid(t *testing.T) {
	for name, p := range aims {
		if err := p.hub(1).Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := everything.hub(1).Check(); err != nil {
		t.Error(err)
	}
	for _, lasts := range []time.Duration{longRun / 2, longRun} {
		if err := everything.hetzner(1, lasts).Check(); err != nil {
			t.Error(err)
		}
	}
	w := &world{machines: &machines{}, redis: startRedis(t), replicas: []*program{{}, {}, {}}, nodes: []*program{{}}, balancer: &balancer{backends: make([]backend, 3)}}
	for range replicas {
		proxy, err := redis.StartProxy(t.Context(), w.redis.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = proxy.Stop() }()
		w.proxies = append(w.proxies, proxy)
	}
	v := newViolence(w, newRandom(1, 1))
	for _, kind := range everything.kinds {
		if err := v.strike(within(t), kind); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if v.strike(t.Context(), "tickle") == nil {
		t.Error("a kind that is none was taken")
	}
	if len(Protections()) != 5 {
		t.Errorf("there are aims for %v", Protections())
	}
}
