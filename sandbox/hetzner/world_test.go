package hetzner_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/sandbox/hetzner"
)

const (
	secret   = "writes"
	readOnly = "reads"
	other    = "elsewhere"
)

// world is a stand-in that is served, and Hetzner's own client for one project.
type world struct {
	*hetzner.Server
	url    string
	http   *http.Client
	client *hcloud.Client
}

// begin serves a stand-in whose actions take a moment. Without opts.Tokens there
// are those above.
func begin(t *testing.T, opts hetzner.Options) *world {
	t.Helper()
	if opts.Tokens == nil {
		opts.Tokens = []hetzner.Token{
			{Secret: secret, Project: "one"}, {Secret: readOnly, Project: "one", ReadOnly: true}, {Secret: other, Project: "two"},
		}
	}
	if opts.Timing == (hetzner.Timing{}) {
		const ms = time.Millisecond
		opts.Timing = hetzner.Timing{Create: 20 * ms, CreateSnapshot: 40 * ms, Start: 10 * ms, Stop: 10 * ms, Delete: 10 * ms, Change: 5 * ms}
	}
	s, err := hetzner.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewServer(s.Handler())
	w := &world{Server: s, url: served.URL, http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		served.Close()
		s.Close()
		s.Close() // twice does no harm
	})
	w.client = w.with(secret)
	return w
}

// with is a client that does not try again.
func (w *world) with(token string) *hcloud.Client {
	return hcloud.NewClient(hcloud.WithToken(token), hcloud.WithEndpoint(w.url+"/v1"), hcloud.WithHTTPClient(w.http),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(5 * time.Millisecond)}),
		hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: hcloud.ConstantBackoff(time.Millisecond)}))
}

// order is a small server, as cheap as they come.
func order(name string) hcloud.ServerCreateOpts {
	return hcloud.ServerCreateOpts{
		Name: name, ServerType: &hcloud.ServerType{Name: "cx23"}, Image: &hcloud.Image{Name: "docker-ce"},
		Location: &hcloud.Location{Name: "fsn1"}, Labels: map[string]string{"made-by": "test"},
	}
}

// create makes a server and waits until it runs.
func (w *world) create(t *testing.T, opts hcloud.ServerCreateOpts) *hcloud.Server {
	t.Helper()
	made, _, err := w.client.Server.Create(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Action.WaitFor(t.Context(), append(made.NextActions, made.Action)...); err != nil {
		t.Fatal(err)
	}
	return w.server(t, made.Server.ID)
}

// server is what the API says of one, nil when it is gone.
func (w *world) server(t *testing.T, id int64) *hcloud.Server {
	t.Helper()
	sv, _, err := w.client.Server.GetByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return sv
}

// delete removes a server and waits until it is gone.
func (w *world) delete(t *testing.T, sv *hcloud.Server) {
	t.Helper()
	gone, _, err := w.client.Server.DeleteWithResult(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Action.WaitFor(t.Context(), gone.Action); err != nil {
		t.Fatal(err)
	}
}

// fault has one kind of fault strike once.
func (w *world) fault(t *testing.T, rules ...hetzner.Rule) {
	t.Helper()
	for i := range rules {
		if rules[i].Next == 0 && rules[i].Probability == 0 {
			rules[i].Next = 1
		}
	}
	if err := w.SetFaults(hetzner.Faults{Seed: 1, Rules: rules}); err != nil {
		t.Fatal(err)
	}
}

// wantCode fails the test unless an error is Hetzner's, with this code and status.
func wantCode(t *testing.T, err error, code string, status int) {
	t.Helper()
	_ = refused(t, err, code, status)
}

// refused is wantCode for who looks at the error too.
func refused(t *testing.T, err error, code string, status int) hcloud.Error {
	t.Helper()
	var e hcloud.Error
	if !errors.As(err, &e) {
		t.Fatalf("want the API's error %s, got %v", code, err)
	}
	if string(e.Code) != code || e.Response().StatusCode != status {
		t.Fatalf("want %s with status %d, got %s with %d: %s", code, status, e.Code, e.Response().StatusCode, e.Message)
	}
	return e
}

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func idOf(id int64) string { return strconv.FormatInt(id, 10) }
