package github

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/dice"
)

// Options says how a Server runs. The zero value works.
type Options struct {
	// Dir holds the bare repositories, of this server alone. Empty: a temporary
	// directory, removed by Close.
	Dir string
	// Now is the server's clock: ages of tokens, rate limits, timestamps. Nil:
	// time.Now.
	Now func() time.Time
	// RateLimit is how many requests an installation, an app or a person may make
	// per hour. 0: 5,000, as GitHub has it.
	RateLimit int
	// ContentLimits is how much an installation may create. The zero value is
	// GitHub's own limits.
	ContentLimits ContentLimits
	// Transport carries deliveries to the apps. Nil: the network.
	Transport http.RoundTripper
	// WebhookTimeout is how long an app may take to answer a delivery. 0: 10 s, as
	// GitHub waits.
	WebhookTimeout time.Duration
	// DeliveryAge is how long the log of deliveries goes back. 0: 3 days, as on
	// github.com (GitHub Enterprise Server: 7).
	DeliveryAge time.Duration
	// Pages gives the handler for web paths. Nil: they are 404.
	Pages func(*Server) http.Handler
	// Log is told about webhooks that could not be delivered and about git's own
	// complaints. The zero value is silent.
	Log zerolog.Logger
}

// Server is one GitHub. All methods are safe for concurrent use.
type Server struct {
	now     func() time.Time
	log     zerolog.Logger
	pages   func(*Server) http.Handler
	dir     string
	ownDir  bool
	backend string // the git-http-backend program
	client  *http.Client
	keep    time.Duration              // how long the log of deliveries goes back
	dice    dice.Dice[FaultKind, Rule] // its lock is the innermost: it may be taken with mu or a courier's held
	limited atomic.Int64               // see FaultReport.ContentLimited
	tooSoon atomic.Int64

	mu            sync.Mutex
	closed        bool
	url           string
	ids           [kinds]int64
	accounts      map[string]*account // by folded login
	apps          map[int64]*app
	installations map[int64]*installation
	repositories  map[int64]*repository
	byName        map[string]*repository // by folded owner/name
	tokens        map[string]*token
	leases        map[string]lfsLease // of files of Git LFS, by their secret
	rateLimit     int
	rates         map[string]*rate
	blocks        map[string]block // by purse
	contentLimits ContentLimits
	contents      map[int64][]time.Time  // what each installation has created in the last hour
	unseen        map[string]int         // how often something just made stays unfound
	formerly      map[string]*repository // by the folded name that it has left
	past          past
}

// New makes an empty GitHub. It needs git with git-http-backend installed.
func New(opts Options) (*Server, error) {
	backend, err := findBackend()
	if err != nil {
		return nil, err
	}
	s := &Server{
		now: opts.Now, log: opts.Log, pages: opts.Pages, dir: opts.Dir, backend: backend,
		client: &http.Client{
			Timeout:   cmp.Or(opts.WebhookTimeout, webhookTimeout),
			Transport: opts.Transport,
			// GitHub does not follow redirects of webhooks.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		keep:          cmp.Or(opts.DeliveryAge, deliveryAge),
		url:           "http://127.0.0.1",
		accounts:      map[string]*account{},
		apps:          map[int64]*app{},
		installations: map[int64]*installation{},
		repositories:  map[int64]*repository{},
		byName:        map[string]*repository{},
		tokens:        map[string]*token{},
		leases:        map[string]lfsLease{},
		rateLimit:     opts.RateLimit,
		rates:         map[string]*rate{},
		blocks:        map[string]block{},
		contentLimits: opts.ContentLimits.orGitHubs(),
		contents:      map[int64][]time.Time{},
		unseen:        map[string]int{},
		formerly:      map[string]*repository{},
	}
	if opts.Transport == nil {
		s.client.Transport = &http.Transport{MaxIdleConnsPerHost: inFlight}
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.rateLimit == 0 {
		s.rateLimit = 5000
	}
	if s.dir == "" {
		s.ownDir = true
		if s.dir, err = os.MkdirTemp("", "sandbox-github-"); err != nil {
			return nil, fmt.Errorf("make a directory for the repositories: %w", err)
		}
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return nil, fmt.Errorf("find the directory for the repositories: %w", err)
	}
	if err := writeGitHooks(s.gitHooks()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Handler answers everything: the API, git, the web by Options.Pages, and below
// /_sandbox/ what no GitHub has (see control.go).
func (s *Server) Handler() http.Handler {
	api, mux := s.api(), http.NewServeMux()
	git := http.HandlerFunc(s.serveGit)
	mux.Handle("GET /{owner}/{repo}/info/refs", git)
	mux.Handle("POST /{owner}/{repo}/git-upload-pack", git)
	mux.Handle("POST /{owner}/{repo}/git-receive-pack", git)
	mux.HandleFunc("POST /{owner}/{repo}/info/lfs/objects/batch", s.serveLFSBatch)
	mux.HandleFunc("GET "+lfsPath+"download/{oid}", s.serveLFSDownload)
	mux.HandleFunc("PUT "+lfsPath+"upload/{oid}", s.serveLFSUpload)
	mux.HandleFunc("POST "+lfsPath+"verify/{oid}", s.serveLFSVerify)
	if s.pages != nil {
		mux.Handle("/", s.pages(s))
	}
	control := s.control()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v3/") {
			api.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, controlPath) {
			control.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// SetURL says under which address clients reach the server, for example
// http://127.0.0.1:3000. Everything the API answers links to it.
func (s *Server) SetURL(base string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = strings.TrimSuffix(base, "/")
}

// URL returns what SetURL was told.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// SetRateLimit changes the requests per hour that each caller has, from its next
// request on. 0 refuses everything that counts.
func (s *Server) SetRateLimit(perHour int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rateLimit = perHour
}

// Close gives up deliveries that are under way, waits for whatever sends them,
// and removes the repositories when it made their directory. It may be called
// twice. The HTTP server that uses Handler must have stopped before.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	couriers := make([]*courier, 0, len(s.apps))
	for _, a := range s.apps {
		couriers = append(couriers, a.courier)
	}
	s.mu.Unlock()
	for _, c := range couriers {
		c.stop()
	}
	s.client.CloseIdleConnections()
	if !first || !s.ownDir {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the repositories: %w", err)
	}
	return nil
}

// moment is the time as GitHub writes it: whole seconds, UTC.
func (s *Server) moment() time.Time { return s.now().UTC().Truncate(time.Second) }
