package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sam/sandbox/redis"
	"sam/store"
	"sam/task"
)

// drained is within which time a replica that is told to stop has ended.
const drained = 20 * time.Second

// balancer sends what comes to the replica that is the present one, as a load balancer does that goes by /readyz, and answers 503
// while there is none.
type balancer struct {
	to atomic.Pointer[url.URL]
}

func (b *balancer) serve(t *testing.T) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(b.to.Load()); r.Out.Host = b.to.Load().Host },
		FlushInterval: -1,
	}
	d, err := newDoor(t.Context(), "balancer", "127.0.0.1:0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.to.Load() == nil {
			http.Error(w, "no replica is ready", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- d.serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return d.url()
}

// replica is one `sam serve`, and where its doors are.
type replica struct {
	*process
	public, operator string
}

func startReplica(t *testing.T, dir, redis string) replica {
	t.Helper()
	r := replica{public: freeAddress(t), operator: freeAddress(t)}
	r.process = startSam(t, []string{
		"SAM_PUBLIC_LISTEN=" + r.public, "SAM_OPERATOR_LISTEN=" + r.operator, "SAM_DASHBOARD_LISTEN=127.0.0.1:0",
		"SAM_REDIS_ADDRESS=" + redis, "SAM_REDIS_ALLOW_LOSSY=true",
	}, "serve", "--config", filepath.Join(dir, "sam.yml"))
	r.line(t, "SAM is ready to serve")
	return r
}

// ready is what a replica's /readyz answers; 0 when nobody is there.
func (r replica) ready(t *testing.T, client *http.Client) (status int, words string) {
	t.Helper()
	response, err := client.Get("http://" + r.operator + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	said := make([]byte, 200)
	n, _ := response.Body.Read(said)
	return response.StatusCode, string(said[:n])
}

func TestARollingRestartOfTheReplicasIsInvisibleToAnAgent(t *testing.T) {
	dir := t.TempDir()
	server, err := redis.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	balance := &balancer{}
	front := balance.serve(t)
	point := func(r replica) {
		to, err := url.Parse("http://" + r.public)
		if err != nil {
			t.Fatal(err)
		}
		balance.to.Store(to)
	}
	hub := startSam(t, nil, "sandbox", "github", "--listen", "127.0.0.1:0", "--dir", dir, "--webhook", front+"/api/github/hook")
	base := strings.TrimSpace(strings.TrimPrefix(hub.line(t, "GitHub's stand-in"), "GitHub's stand-in"))
	hub.line(t, "sam serve --config")

	present := startReplica(t, dir, server.Address)
	point(present)
	node := startSam(t, []string{
		"SAM_GATEWAY=" + front, "SAM_TOKEN_FILE=" + filepath.Join(dir, "node-token"), "SAM_DIR=" + filepath.Join(dir, "node"), "SAM_WORKSPACE=process",
	}, "node")
	node.line(t, "linked to the gateway")
	watcher, err := store.Open(t.Context(), store.Options{Addresses: []string{server.Address}, AllowLossy: true})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	client := &http.Client{Transport: newTransport(), Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()

	postComment(t, client, base, "/sam demo: wait until you are told to stop")
	var before task.Task
	eventually(t, "the agent runs", func(ctx context.Context) (bool, error) {
		open, err := watcher.AllOpenTasks(ctx)
		if err != nil || len(open) != 1 || open[0].State != task.Running || open[0].Last < 5 {
			return false, err
		}
		before = open[0]
		return true, nil
	})

	for round := range 2 {
		next := startReplica(t, dir, server.Address)
		began := time.Now()
		if err := present.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the replica says that it is draining", func(context.Context) (bool, error) {
			status, words := present.ready(t, client)
			return status == http.StatusServiceUnavailable && strings.Contains(words, "draining"), nil
		})
		// The balancer has not noticed yet: what it still sends here is taken all the same.
		postComment(t, client, base, fmt.Sprintf("/sam status of round %d, please", round))
		point(next)
		if err := present.end(); err != nil {
			t.Errorf("the replica did not end well: %v", err)
		}
		if took := time.Since(began); took > drained {
			t.Errorf("draining took %s, more than %s", took, drained)
		}
		present = next
		var last int64
		eventually(t, "the agent is heard through the other replica", func(ctx context.Context) (bool, error) {
			now, err := watcher.Task(ctx, before.ID)
			if last == 0 {
				last = now.Last
			}
			return now.Last > last+1, err
		})
	}
	now, err := watcher.Task(t.Context(), before.ID)
	if err != nil || now.Epoch != before.Epoch || now.Attempts != 1 || now.State != task.Running {
		t.Errorf("after two restarts the task is %s, epoch %d (before %d), attempt %d, %v", now.State, now.Epoch, before.Epoch, now.Attempts, err)
	}
	events, err := watcher.Events(t.Context(), before.ID, 0, now.Last)
	if err != nil || int64(len(events)) != now.Last {
		t.Errorf("%d events of %d are stored, %v", len(events), now.Last, err)
	}
	eventually(t, "what was asked while a replica drained has become tasks", func(ctx context.Context) (bool, error) {
		open, err := watcher.AllOpenTasks(ctx)
		return len(open) == 3, err
	})
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, is func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := until(ctx, func() (bool, error) { return is(ctx) }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
