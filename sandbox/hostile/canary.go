package hostile

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// canary makes a secret of a kind that nobody else has.
func canary(kind string) string { return "canary-" + kind + "-" + rand.Text() }

// trap is a listener that records whoever connects. Nobody has a reason to.
type trap struct {
	name, address string
	listener      net.Listener
	done          sync.WaitGroup

	mu   sync.Mutex
	hits []string
}

// control is what the trap's own test says; it is no hit.
const control = "GET /control"

// setTrap listens on an address of this machine, and tries out that it sees who comes.
func setTrap(ctx context.Context, name, address string) (*trap, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("set the trap %s: %w", name, err)
	}
	t := &trap{name: name, address: listener.Addr().String(), listener: listener}
	t.done.Go(t.watch)
	if err := t.try(ctx); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *trap) try(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", t.address)
	if err != nil {
		return fmt.Errorf("try the trap %s: %w", t.name, err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, control+" HTTP/1.1\r\n\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("the trap %s does not answer: %w", t.name, err)
	}
	return nil
}

func (t *trap) watch() {
	for {
		conn, err := t.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		t.done.Go(func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			first := make([]byte, 512)
			n, _ := conn.Read(first)
			if said := string(first[:n]); !strings.HasPrefix(said, control) {
				t.note(fmt.Sprintf("%s said %.40q", conn.RemoteAddr(), said))
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
		})
	}
}

func (t *trap) note(hit string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hits = append(t.hits, hit)
}

// sprung says who came.
func (t *trap) sprung() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string{}, t.hits...)
}

func (t *trap) close() {
	_ = t.listener.Close()
	t.done.Wait()
}

// recorder keeps what a stand-in is asked, to look for what an intruder sent.
type recorder struct {
	next http.Handler

	mu   sync.Mutex
	asks []string // method, path and the body's beginning
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	q.Body = io.NopCloser(strings.NewReader(string(body)))
	r.mu.Lock()
	r.asks = append(r.asks, q.Method+" "+q.URL.Path+" "+string(body[:min(len(body), 4096)]))
	r.mu.Unlock()
	r.next.ServeHTTP(w, q)
}

// with returns what was asked with a word in it.
func (r *recorder) with(word string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []string
	for _, ask := range r.asks {
		if strings.Contains(ask, word) {
			found = append(found, ask)
		}
	}
	return found
}
