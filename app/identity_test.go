package app

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sam/agent"
	"sam/agent/wire"
	"sam/gateway"
	"sam/task"
)

// called counts who asks a gateway for a credential.
type called struct {
	next    http.Handler
	refused atomic.Int64
	given   atomic.Int64
}

func (c *called) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != wire.CredentialPath || r.Method != http.MethodPost {
		c.next.ServeHTTP(w, r)
		return
	}
	heard := httptest.NewRecorder()
	c.next.ServeHTTP(heard, r)
	if heard.Code == http.StatusOK {
		c.given.Add(1)
	} else {
		c.refused.Add(1)
	}
	w.WriteHeader(heard.Code)
	_, _ = w.Write(heard.Body.Bytes())
}

func TestAMachineCallsHomeWithItsTokenOnceAndWithItsKeyFromThenOn(t *testing.T) {
	s, _ := sealedStore(t)
	keys, err := gateway.NewKeys([]byte("a secret of all replicas"))
	if err != nil {
		t.Fatal(err)
	}
	transport := newTransport()
	t.Cleanup(transport.CloseIdleConnections)
	g := gateway.New(gateway.Options{Store: s, Keys: keys, HTTP: &http.Client{Transport: transport}})
	door := &called{next: g}
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	t.Cleanup(g.Close)
	if err := s.EnsureNode(t.Context(), task.Node{Name: "sam-1", Account: 5, Provider: "hetzner", Slots: 2}); err != nil {
		t.Fatal(err)
	}
	token := keys.BootstrapToken("sam-1", time.Now())
	start := func(dir, token string) (stop func()) {
		file := filepath.Join(dir, "bootstrap")
		if token != "" {
			if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		n, err := agent.New(agent.Options{Gateway: server.URL, Name: "sam-1", Bootstrap: file, Dir: dir, HTTP: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	is := func(state task.NodeState) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			n, err := s.Node(ctx, "sam-1")
			return n.State == state, err
		}
	}
	dir := t.TempDir()

	// It boots before the provider has said what was made.
	stop := start(dir, token)
	eventually(t, "it is refused for a while", func(context.Context) (bool, error) { return door.refused.Load() > 0, nil })
	if err := s.NoteMachine(t.Context(), "sam-1", task.Machine{ID: "7", Addresses: []string{"127.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is linked", is(task.NodeReady))
	stop()
	eventually(t, "it is not linked", is(task.NodeLost))
	if info, err := os.Stat(filepath.Join(dir, "node.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its key: %v, %v", info, err)
	}

	if _, err := os.Stat(filepath.Join(dir, "bootstrap")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its token, which has done its work: %v", err)
	}

	// It restarts, and has its key.
	stop = start(dir, "")
	eventually(t, "it is linked again", is(task.NodeReady))
	stop()
	eventually(t, "it is not linked again", is(task.NodeLost))

	// Another machine with the same token, which it read in the user data.
	refused, given := door.refused.Load(), door.given.Load()
	stop = start(t.TempDir(), token)
	eventually(t, "the other is refused", func(context.Context) (bool, error) { return door.refused.Load() > refused+1, nil })
	stop()
	if n, err := s.Node(t.Context(), "sam-1"); err != nil || n.State != task.NodeLost || door.given.Load() != given {
		t.Errorf("the other machine has got in: %+v, %v", n, err)
	}

	if err := os.WriteFile(filepath.Join(dir, "node.key"), []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.New(agent.Options{Gateway: server.URL, Name: "sam-1", Bootstrap: filepath.Join(dir, "bootstrap"), Dir: dir}); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("with half a key: %v", err)
	}
}
