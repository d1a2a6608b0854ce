package github

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sam/sandbox/dice"
)

// FaultKind names one way in which GitHub is known to fail.
type FaultKind string

// What may befall a delivery. Pings are spared.
const (
	// Late sends a delivery Rule.For after its time (2 s); later ones overtake it.
	Late FaultKind = "late"
	// Duplicate sends a delivery twice at once, under one GUID.
	Duplicate FaultKind = "duplicate"
	// Twin sends an event twice at once, under two GUIDs.
	Twin FaultKind = "twin"
	// Reordered holds a delivery back until a later one has been sent, Rule.For (1 s)
	// at most. It counts as hit only when it was overtaken.
	Reordered FaultKind = "reordered"
	// Unreachable logs "failed to connect to host"; the app hears nothing.
	Unreachable FaultKind = "unreachable"
	// Failed logs a 500, as of a proxy before the app; the app hears nothing.
	Failed FaultKind = "failed"
	// FailedTaken logs a 500 though the app has taken the delivery.
	FailedTaken FaultKind = "failed_taken"
	// TimedOut logs "timed out" though the app has taken the delivery.
	TimedOut FaultKind = "timed_out"
)

// What may befall an app's call of the API. People are spared, and GET
// /rate_limit.
const (
	// NotFoundYet answers 404 to the first Rule.Times (1) reads of an issue, a pull
	// request, a comment or a check run made in the last 10 s. Rule.Method widens it
	// from GET to another method.
	NotFoundYet FaultKind = "not_found_yet"
	// StaleList leaves out of a list of issues, pull requests or comments what was
	// made in the last 10 s, as a replica that lags does. It counts as hit only when
	// something was left out.
	StaleList FaultKind = "stale_list"
	// Primary403 and Primary429 use the caller's hourly requests up: remaining is 0
	// until a reset Rule.For (2 s) away, for all its tokens.
	Primary403 FaultKind = "primary_403"
	Primary429 FaultKind = "primary_429"
	// The secondary limit lasts Rule.For (2 s) for all the caller's tokens: for what
	// creates content when it struck such a call, else for every call. The bare ones
	// come without Retry-After.
	Secondary403     FaultKind = "secondary_403"
	Secondary403Bare FaultKind = "secondary_403_bare"
	Secondary429     FaultKind = "secondary_429"
	Secondary429Bare FaultKind = "secondary_429_bare"
	// BadGateway answers 502 and does nothing.
	BadGateway FaultKind = "bad_gateway"
	// BadGatewayAfter answers 502 to a call that writes, after it was obeyed.
	BadGatewayAfter FaultKind = "bad_gateway_after"
	// TokenForgotten ends an installation's token before its time: 401 from now on,
	// for git as well. It strikes git's requests too.
	TokenForgotten FaultKind = "token_forgotten"
)

// What may befall git, but of a person with a token.
const (
	// Git502 and Git503 refuse the first request of a fetch or a push (info/refs).
	Git502 FaultKind = "git_502"
	Git503 FaultKind = "git_503"
	// PushAnswerLost takes a push and closes the connection without an answer.
	PushAnswerLost FaultKind = "push_answer_lost"
)

// place is where a fault can strike.
type place int

const (
	onDelivery place = 1 << iota
	onCall
	onGit
)

// faultKinds lists all kinds with their places, in the order of the
// documentation.
func faultKinds() []struct {
	kind FaultKind
	at   place
} {
	return []struct {
		kind FaultKind
		at   place
	}{
		{Late, onDelivery}, {Duplicate, onDelivery}, {Twin, onDelivery}, {Reordered, onDelivery}, {Unreachable, onDelivery},
		{Failed, onDelivery}, {FailedTaken, onDelivery}, {TimedOut, onDelivery},
		{NotFoundYet, onCall}, {StaleList, onCall}, {Primary403, onCall}, {Primary429, onCall}, {Secondary403, onCall}, {Secondary403Bare, onCall},
		{Secondary429, onCall}, {Secondary429Bare, onCall}, {BadGateway, onCall}, {BadGatewayAfter, onCall},
		{TokenForgotten, onCall | onGit},
		{Git502, onGit}, {Git503, onGit}, {PushAnswerLost, onGit},
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

func (k FaultKind) at() place {
	for _, known := range faultKinds() {
		if known.kind == k {
			return known.at
		}
	}
	return 0
}

// lasts says how long a fault goes on whose rule does not say.
func (k FaultKind) lasts() time.Duration {
	switch k {
	case Late, Primary403, Primary429, Secondary403, Secondary403Bare, Secondary429, Secondary429Bare:
		return 2 * time.Second
	case Reordered:
		return time.Second
	}
	return 0
}

// Faults says what goes wrong. With the same seed, rules and order of calls it
// goes wrong in the same places.
type Faults struct {
	Seed  uint64 `json:"seed"`
	Rules []Rule `json:"rules"`
}

// Rule makes one kind of fault strike. What matches Method, Path and Event is
// struck with Probability, at most Next times, after the first Skip. Of the rules
// that would strike one occasion the first does.
type Rule struct {
	Kind FaultKind `json:"kind"`
	// Probability is from 0 to 1. 0 with Next stands for 1.
	Probability float64 `json:"probability,omitempty"`
	// Next is after how many strikes the rule is spent. 0: never.
	Next int `json:"next,omitempty"`
	// Skip is how many occasions are let through before anything strikes.
	Skip int `json:"skip,omitempty"`
	// Method of a call or of git's request. Empty: any.
	Method string `json:"method,omitempty"`
	// Path of a call below /api/v3 (/repos/*/*/issues/*/comments), or of git's request
	// (/octo/hello.git/info/refs). A segment * or {anything} matches any one, ** at the
	// end the rest. Empty: any.
	Path string `json:"path,omitempty"`
	// Event of a delivery, with or without its action: issue_comment,
	// issue_comment.created. Empty: any.
	Event string `json:"event,omitempty"`
	// For is how long it lasts, in JSON as "1.5s"; see the kinds. 0: the kind's own.
	For time.Duration `json:"-"`
	// Times is how often not_found_yet is not found. 0: once.
	Times int `json:"times,omitempty"`
}

func (r Rule) lasts() time.Duration {
	if r.For > 0 {
		return r.For
	}
	return r.Kind.lasts()
}

// Fault is the kind that strikes.
func (r Rule) Fault() FaultKind { return r.Kind }

// Odds are how often it strikes.
func (r Rule) Odds() dice.Odds {
	return dice.Odds{Probability: r.Probability, Next: r.Next, Skip: r.Skip}
}

// Check refuses rules that could never strike, or mean something else than they
// say.
func (r Rule) Check() error {
	at := r.Kind.at()
	if at == 0 {
		return fmt.Errorf("kind %q is none of %s", r.Kind, dice.Names(FaultKinds()))
	}
	if err := r.Odds().Check(); err != nil {
		return err
	}
	switch {
	case r.Times < 0 || r.For < 0:
		return fmt.Errorf("times %d and for %s must not be negative", r.Times, r.For)
	case r.Times > 0 && r.Kind != NotFoundYet:
		return fmt.Errorf("times is for %s only", NotFoundYet)
	case r.For > 0 && r.Kind.lasts() == 0:
		return errors.New("for means nothing here: it does not last")
	case at == onDelivery && (r.Method != "" || r.Path != ""):
		return errors.New("a delivery has an event, no method and no path")
	case at != onDelivery && r.Event != "":
		return errors.New("a request has a method and a path, no event")
	case r.Method != strings.ToUpper(r.Method):
		return fmt.Errorf("method %q is not in capitals", r.Method)
	case r.Kind == BadGatewayAfter && r.Method != "" && !writes(r.Method):
		return fmt.Errorf("%s has no effect to be after", r.Method)
	case r.Path != "" && !strings.HasPrefix(r.Path, "/"):
		return fmt.Errorf("path %q does not begin with /", r.Path)
	}
	return nil
}

// Check says which rule cannot be meant, and why.
func (f Faults) Check() error { return dice.Check(f.Rules) }

// writes says whether a method changes anything.
func writes(method string) bool {
	return slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method)
}
