package hetzner

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultKind names one way in which Hetzner is known to fail.
type FaultKind string

// What may befall a call instead of being obeyed. Each is answered with its code.
const (
	// ResourceUnavailable is "error during placement": sold out, just now, here.
	ResourceUnavailable FaultKind = "resource_unavailable"
	// UnsupportedLocation is the same said as invalid input.
	UnsupportedLocation FaultKind = "unsupported_location"
	// PlacementError is the same once more.
	PlacementError FaultKind = "placement_error"
	// TypeDeprecated is invalid input too, and does not mend.
	TypeDeprecated FaultKind = "type_deprecated"
	// LimitExceeded is the account's own limit: it does not mend.
	LimitExceeded FaultKind = "resource_limit_exceeded"
	// UniquenessError says that the name is taken, though it may not be.
	UniquenessError FaultKind = "uniqueness_error"
	Locked          FaultKind = "locked"
	Conflict        FaultKind = "conflict"
	Protected       FaultKind = "protected"
	Maintenance     FaultKind = "maintenance"
	Unavailable     FaultKind = "unavailable"
	ServiceError    FaultKind = "service_error"
	ServerError     FaultKind = "server_error"
	Forbidden       FaultKind = "forbidden"
	// TokenReadonly is what Hetzner answered to a read-only token's writes until 2026.
	TokenReadonly FaultKind = "token_readonly"
	// TokenRevoked withdraws the token that called: it is unknown from now on.
	TokenRevoked FaultKind = "token_revoked"
	// RateLimit empties the project's bucket.
	RateLimit FaultKind = "rate_limit_exceeded"
	// BadGateway is a proxy's page with status 502, and nothing was done.
	BadGateway FaultKind = "bad_gateway"
	// Timeout is a 504, and nothing was done.
	Timeout FaultKind = "timeout"
)

// What may befall the answer of a call that writes, after it was obeyed. The
// caller cannot know.
const (
	BadGatewayAfter FaultKind = "bad_gateway_after"
	TimeoutAfter    FaultKind = "timeout_after"
	// AnswerLost closes the connection without a word.
	AnswerLost FaultKind = "answer_lost"
)

// StaleList leaves out of a list what is younger than 10 s. It counts as hit for
// each thing left out.
const StaleList FaultKind = "stale_list"

// What may befall an action.
const (
	// ActionFailed ends it with error, and nothing comes of it.
	ActionFailed FaultKind = "action_failed"
	// ActionSlow makes it last Rule.For (30 s) longer.
	ActionSlow FaultKind = "action_slow"
)

// What may befall a machine when it boots. The API says that the server runs.
const (
	MachineNeverBoots FaultKind = "machine_never_boots"
	// MachineSlow boots it Rule.For (30 s) later.
	MachineSlow FaultKind = "machine_boots_slowly"
	// MachineDies stops it Rule.For (5 s) after its boot began; the API goes on saying
	// that the server runs.
	MachineDies FaultKind = "machine_dies"
	// MachineOff has it power itself off Rule.For (5 s) after its boot began; the API
	// says off.
	MachineOff FaultKind = "machine_powers_off"
)

// place is where a fault can strike.
type place int

const (
	onCall place = 1 << iota
	onAction
	onMachine
)

// faultKind is a kind with where it strikes, how long it lasts unless a rule says,
// and what it answers.
type faultKind struct {
	kind   FaultKind
	at     place
	lasts  time.Duration
	answer func() *Error
}

// faultKinds lists all kinds, in the order of the documentation.
func faultKinds() []faultKind {
	says := func(kind FaultKind, answer func() *Error) faultKind { return faultKind{kind, onCall, 0, answer} }
	plain := func(kind FaultKind, status int, message string) faultKind {
		return says(kind, func() *Error { return refuse(status, string(kind), message) })
	}
	return []faultKind{
		says(ResourceUnavailable, noPlace),
		says(UnsupportedLocation, wrongLocation),
		plain(PlacementError, http.StatusUnprocessableEntity, "error during placement"),
		says(TypeDeprecated, func() *Error { return unfit("server type 104 is deprecated") }),
		says(LimitExceeded, func() *Error { return overLimit("server limit exceeded", "server_limit") }),
		says(UniquenessError, func() *Error { return taken("server name is already used", "name") }),
		says(Locked, func() *Error { return locked("server") }),
		plain(Conflict, http.StatusConflict, "the resource has changed during the request, please retry"),
		says(Protected, func() *Error { return protected("server") }),
		plain(Maintenance, http.StatusForbidden, "cannot perform operation due to maintenance"),
		plain(Unavailable, http.StatusServiceUnavailable, "service is currently not available"),
		plain(ServiceError, http.StatusUnprocessableEntity, "error within a service"),
		plain(ServerError, http.StatusInternalServerError, "internal error"),
		plain(Forbidden, http.StatusForbidden, "insufficient permissions for this request"),
		plain(TokenReadonly, http.StatusUnauthorized, "the token is only allowed to perform GET requests"),
		says(TokenRevoked, unauthorized),
		{RateLimit, onCall, 0, nil}, // answered with the project's own numbers
		{BadGateway, onCall, 0, nil},
		plain(Timeout, http.StatusGatewayTimeout, "the request could not be answered in time"),
		{BadGatewayAfter, onCall, 0, nil}, {TimeoutAfter, onCall, 0, nil}, {AnswerLost, onCall, 0, nil}, {StaleList, onCall, 0, nil},
		{ActionFailed, onAction, 0, nil}, {ActionSlow, onAction, 30 * time.Second, nil},
		{MachineNeverBoots, onMachine, 0, nil}, {MachineSlow, onMachine, 30 * time.Second, nil},
		{MachineDies, onMachine, 5 * time.Second, nil}, {MachineOff, onMachine, 5 * time.Second, nil},
	}
}

// FaultKinds returns the names of all kinds of fault.
func FaultKinds() []FaultKind {
	var kinds []FaultKind
	for _, k := range faultKinds() {
		kinds = append(kinds, k.kind)
	}
	return kinds
}

func (k FaultKind) about() faultKind {
	all := faultKinds()
	if at := slices.IndexFunc(all, func(f faultKind) bool { return f.kind == k }); at >= 0 {
		return all[at]
	}
	return faultKind{}
}

// strike lets a fault befall a call before it is served: err is what it is refused
// with, else kind says what is to happen to its answer. With mu held.
func (s *Server) strike(c *call) (kind FaultKind, err error) {
	writes := c.r.Method != http.MethodGet
	o := occasion{at: onCall, method: c.r.Method, path: strings.TrimPrefix(c.r.URL.Path, "/v1")}
	rule, strikes := s.roll(o, func(r Rule) bool {
		switch r.Kind {
		case BadGatewayAfter, TimeoutAfter, AnswerLost:
			return writes
		case StaleList:
			return !writes && strings.Count(o.path, "/") == 1
		}
		return true
	})
	if !strikes {
		return "", nil
	}
	switch rule.Kind {
	case BadGatewayAfter, TimeoutAfter, AnswerLost:
		return rule.Kind, nil // counted when the call was obeyed
	case StaleList:
		c.stale = true // counted when something was left out
		return rule.Kind, nil
	}
	s.dice.Hit(rule.Kind)
	switch rule.Kind {
	case RateLimit:
		c.p.rate.left = 0
		return rule.Kind, s.tooMany()
	case TokenRevoked:
		delete(s.tokens, strings.TrimPrefix(c.r.Header.Get("Authorization"), "Bearer "))
	case BadGateway:
		return rule.Kind, nil
	}
	return rule.Kind, rule.Kind.about().answer()
}
