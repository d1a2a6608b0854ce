package model

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options says how a Server answers. The zero value works.
type Options struct {
	// APIKey is the one key that is accepted, as x-api-key or as a bearer token. Give a long odd one: clients blank
	// their key wherever its letters occur in their output. Empty: any key is accepted, none is not.
	APIKey string
	// Models are the ids that exist. Nil: those that the pinned Claude Code knows. Any other is 404.
	Models []string
	// Scenario forces one, whatever the conversation says. Empty: the conversation chooses.
	Scenario Scenario
	// Pace is the time between two pieces of text in `slow`. 0: 100 ms.
	Pace time.Duration
	// Now is the clock of the rate limit headers. Nil: time.Now.
	Now func() time.Time
	// Log is told about each request: what was asked for, which scenario, what was answered. Never what it said. The
	// zero value is silent.
	Log zerolog.Logger
}

// defaultModels are the ones to choose from in Claude Code 2.1, newest first, and the small one with its date.
func defaultModels() []string {
	return []string{
		"claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-fable-5-2", "claude-opus-5", "claude-sonnet-5",
		"claude-opus-4-8", "claude-sonnet-4-6", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-haiku-4-5-20251001",
	}
}

const (
	defaultPace = 100 * time.Millisecond
	// maxBody is the largest request that the service takes, in bytes.
	maxBody = 32 << 20
	// hangsFor bounds how long a request of `hang` is held. The service's own limit is ten minutes too.
	hangsFor = 10 * time.Minute
)

// Totals is what a Server has answered since it was made, to compare with what a meter in between has counted.
type Totals struct {
	Messages int // requests to /v1/messages that were answered with a message, whole or not
	Refused  int // requests to any path that got an error
	Usage    Usage
}

// Server is one model. All methods are safe for concurrent use.
type Server struct {
	opts   Options
	closed chan struct{}
	close  sync.Once

	mu     sync.Mutex
	totals Totals
	tries  tries
}

// New makes a model. It listens nowhere: serve its Handler.
func New(opts Options) *Server {
	if opts.Models == nil {
		opts.Models = defaultModels()
	}
	if opts.Pace == 0 {
		opts.Pace = defaultPace
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Server{opts: opts, closed: make(chan struct{}), tries: tries{seen: map[string]int{}}}
}

// Close ends the requests that `hang` and `slow` hold. It may be called twice.
func (s *Server) Close() { s.close.Do(func() { close(s.closed) }) }

// Totals returns what was answered so far.
func (s *Server) Totals() Totals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals
}

// Handler serves the API.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", s.messages)
	mux.HandleFunc("POST /v1/messages/count_tokens", s.countTokens)
	mux.HandleFunc("GET /v1/models", s.listModels)
	mux.HandleFunc("GET /v1/models/{id}", s.oneModel)
	for _, path := range []string{"/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/models/{id}"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			s.refuse(w, &fault{http.StatusMethodNotAllowed, "invalid_request_error", "Method Not Allowed"})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.refuse(w, notFound("Not found")) })

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", "req_01"+rand.Text()[:22])
		// Claude Code warms its connection up with this, without its key.
		if r.URL.Path == "/api/hello" {
			s.send(w, http.StatusOK, []byte(`{"message":"hello"}`))
			return
		}
		if f := s.authenticate(r); f != nil {
			s.refuse(w, f)
			return
		}
		s.limits(w.Header())
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) authenticate(r *http.Request) *fault {
	key, what := r.Header.Get("X-Api-Key"), "invalid x-api-key"
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found && key == "" {
		key, what = bearer, "Invalid bearer token"
	}
	if key == "" {
		return &fault{http.StatusUnauthorized, "authentication_error", "x-api-key header is required"}
	}
	if s.opts.APIKey != "" && subtle.ConstantTimeCompare([]byte(key), []byte(s.opts.APIKey)) != 1 {
		return &fault{http.StatusUnauthorized, "authentication_error", what}
	}
	return nil
}

// limits sets the rate limit headers of a key that is far from its limits.
func (s *Server) limits(h http.Header) {
	reset := s.opts.Now().UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339)
	for _, l := range []struct {
		kind  string
		limit int
	}{{"requests", 4000}, {"input-tokens", 2_000_000}, {"output-tokens", 400_000}, {"tokens", 2_400_000}} {
		name := "Anthropic-Ratelimit-" + l.kind
		h.Set(name+"-Limit", strconv.Itoa(l.limit))
		h.Set(name+"-Remaining", strconv.Itoa(l.limit-1))
		h.Set(name+"-Reset", reset)
	}
	h.Set("Anthropic-Organization-Id", "00000000-0000-4000-8000-000000000000")
}

// until returns a context that also ends when the server is closed, and what frees it.
func (s *Server) until(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}
