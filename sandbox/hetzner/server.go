package hetzner

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sam/sandbox/dice"
)

// Options says how a Server runs. The zero value works, but knows no token.
type Options struct {
	// Tokens are those that exist from the start. AddToken makes more.
	Tokens []Token
	// Catalogue is what there is to order. The zero value is DefaultCatalogue.
	Catalogue Catalogue
	// Timing is how long actions take. The zero value is Brisk.
	Timing Timing
	// Limits of each project. The zero value is Hetzner's own for a new account.
	Limits Limits
	// Now is the server's clock: actions, prices, rate limit. Nil: time.Now.
	Now func() time.Time
	// Machines boots what a server is when it is on. Nil: servers are records, and
	// nothing runs.
	Machines Machines
	// Log is told about machines: booted, died, could not be removed. The zero value
	// is silent.
	Log zerolog.Logger
}

// Limits is what a project may have and ask for.
type Limits struct {
	// Servers and PrimaryIPs at one time. 0: 25 and 50; -1: none at all.
	Servers    int `json:"servers"`
	PrimaryIPs int `json:"primary_ips"`
	// RequestsPerHour of all its tokens together. 0: 3,600; -1: none at all.
	RequestsPerHour int `json:"requests_per_hour"`
}

func (l Limits) orHetzners() Limits {
	or := func(n, usual int) int { return max(0, cmp.Or(n, usual)) }
	return Limits{or(l.Servers, 25), or(l.PrimaryIPs, 50), or(l.RequestsPerHour, 3600)}
}

// Timing is how long actions take.
type Timing struct {
	// Create is of a server from a system image or an app, CreateSnapshot of one from
	// a snapshot. Start comes after it.
	Create, CreateSnapshot, Start time.Duration
	// Stop is of poweroff, shutdown and reboot; Delete of a server; Change of all else.
	Stop, Delete, Change time.Duration
}

// Brisk is as short as one can still watch.
func Brisk() Timing {
	const ms = time.Millisecond
	return Timing{Create: 200 * ms, CreateSnapshot: 600 * ms, Start: 100 * ms, Stop: 100 * ms, Delete: 100 * ms, Change: 50 * ms}
}

// Measured is what Hetzner takes: 11 s from a system image to a server that runs,
// 140 s from a snapshot.
func Measured() Timing {
	return Timing{
		Create: 9 * time.Second, CreateSnapshot: 138 * time.Second, Start: 2 * time.Second,
		Stop: 3 * time.Second, Delete: 2 * time.Second, Change: time.Second,
	}
}

// Server is one Hetzner Cloud, with any number of projects. All methods are safe
// for concurrent use.
type Server struct {
	now      func() time.Time
	log      zerolog.Logger
	timing   Timing
	machines Machines
	dice     dice.Dice[FaultKind, Rule]

	ending context.CancelFunc // ends what tends the machines
	tended sync.WaitGroup
	alive  func() context.Context

	mu        sync.Mutex
	closed    bool
	ids       int64
	addresses int // how many IPv4 addresses were given out
	catalogue Catalogue
	limits    Limits
	tokens    map[string]*token
	projects  map[string]*project
	actions   map[int64]*action
	agenda    agenda
	calls     []Call
	bills     []*bill
	past      []ServerRecord
}

// New makes a Hetzner Cloud. It listens nowhere: serve its Handler.
func New(opts Options) (*Server, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		now: opts.Now, log: opts.Log, timing: opts.Timing, machines: opts.Machines,
		ending: cancel, alive: func() context.Context { return ctx },
		ids:       1_000_000,
		catalogue: opts.Catalogue, limits: opts.Limits.orHetzners(),
		tokens: map[string]*token{}, projects: map[string]*project{}, actions: map[int64]*action{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.timing == (Timing{}) {
		s.timing = Brisk()
	}
	if len(s.catalogue.Types) == 0 {
		s.catalogue = DefaultCatalogue()
	}
	s.catalogue.Types = slices.Clone(s.catalogue.Types)
	for i := range s.catalogue.Types {
		t := &s.catalogue.Types[i]
		t.Offers = slices.Clone(t.Offers) // what is sold out here is this server's alone
	}
	if err := s.catalogue.check(); err != nil {
		cancel()
		return nil, err
	}
	for _, t := range opts.Tokens {
		if err := s.AddToken(t); err != nil {
			cancel()
			return nil, err
		}
	}
	return s, nil
}

// Handler answers the API below /v1/, and below /_sandbox/ what Hetzner has not
// (see control.go).
func (s *Server) Handler() http.Handler {
	api, control := s.api(), s.control()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, controlPath) {
			control.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// SetLimits changes the limits of all projects. What they have already they keep.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l.orHetzners()
}

// Close stops the clock of actions, removes every machine that runs, and waits
// until they are gone. It may be called twice. The HTTP server that uses Handler
// must have stopped before.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.agenda.stop()
	s.mu.Unlock()
	s.ending()
	s.tended.Wait()
}

// nextID numbers everything from one sequence, so that the id of one kind of thing
// is never by chance that of another. With mu held.
func (s *Server) nextID() int64 {
	s.ids++
	return s.ids
}

// moment is the time as Hetzner writes it: whole seconds, UTC.
func moment(at time.Time) time.Time { return at.UTC().Truncate(time.Second) }
