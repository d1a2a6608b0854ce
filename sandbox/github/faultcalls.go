package github

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fresh is how long after its making something may not be found yet.
const fresh = 10 * time.Second

// block is a secondary limit that still lasts for a caller.
type block struct {
	until   time.Time
	status  int
	told    bool // with Retry-After
	content bool // only for what creates content
}

// strike lets a fault fall on an app's call before it is served. lost means that
// it is to be served and its answer lost. With mu held.
func (s *Server) strike(c *call, rt route) (refusal *Error, lost bool) {
	if c.id.app == nil || rt.path == "" {
		return nil, false
	}
	purse, _ := c.id.purse(c.r)
	if b, blocked := s.blocks[purse]; blocked && s.now().Before(b.until) {
		if !b.content || rt.creates() {
			s.tooSoon.Add(1)
			return s.secondary(b), false
		}
	}
	if current, _ := s.rateOf(c.id, c.r); current.status != 0 {
		s.tooSoon.Add(1)
		return nil, false // spend refuses it
	}
	rule, strikes := s.roll(c.occasion(), func(r Rule) bool {
		switch r.Kind {
		case NotFoundYet: // has its own moment, when the subject is known
			return false
		case BadGatewayAfter:
			return writes(rt.method)
		case TokenForgotten:
			return c.id.inst != nil
		case StaleList:
			return rt.method == http.MethodGet && (strings.HasSuffix(rt.path, "/comments") ||
				strings.HasSuffix(rt.path, "/issues") || strings.HasSuffix(rt.path, "/pulls"))
		}
		return true
	})
	if !strikes {
		return nil, false
	}
	switch rule.Kind {
	case BadGatewayAfter:
		return nil, true // counted when there was an effect
	case StaleList:
		c.stale = true // counted when something was left out
		return nil, false
	case BadGateway:
		refusal = badGateway()
	case TokenForgotten:
		s.forget(c.id.token)
		refusal = badCredentials()
	case Primary403, Primary429:
		s.exhaust(c, rule)
	default:
		b := block{
			until: s.now().Add(rule.lasts()), status: http.StatusForbidden, content: rt.creates(),
			told: rule.Kind == Secondary403 || rule.Kind == Secondary429,
		}
		if rule.Kind == Secondary429 || rule.Kind == Secondary429Bare {
			b.status = http.StatusTooManyRequests
		}
		s.blocks[purse] = b
		refusal = s.secondary(b)
	}
	s.dice.Hit(rule.Kind)
	return refusal, false
}

func (c *call) occasion() occasion {
	return occasion{at: onCall, method: c.r.Method, path: strings.TrimPrefix(c.r.URL.Path, "/api/v3")}
}

// exhaust uses a caller's hour up. With mu held.
func (s *Server) exhaust(c *call, rule Rule) {
	current, limit := s.rateOf(c.id, c.r)
	current.used, current.status = max(limit, current.used), http.StatusForbidden
	if rule.Kind == Primary429 {
		current.status = http.StatusTooManyRequests
	}
	// The header has whole seconds; who waits for it must not be too early.
	current.reset = s.now().Add(rule.lasts() + time.Second - 1).Truncate(time.Second)
}

// forget ends a token. With mu held.
func (s *Server) forget(t *token) {
	maps.DeleteFunc(s.tokens, func(_ string, one *token) bool { return one == t })
}

// notFoundYet hides what has just been made from its first readers. With mu held.
func (s *Server) notFoundYet(c *call) *Error {
	if c.id.app == nil {
		return nil
	}
	key, made := c.subject()
	if key == "" || s.now().Sub(made) > fresh {
		delete(s.unseen, key)
		return nil
	}
	if _, decided := s.unseen[key]; !decided {
		rule, strikes := s.roll(c.occasion(), func(r Rule) bool {
			return r.Kind == NotFoundYet && (r.Method != "" || c.r.Method == http.MethodGet)
		})
		switch {
		case strikes:
			s.unseen[key] = max(1, rule.Times)
		case c.r.Method == http.MethodGet: // seen once is seen for good
			s.unseen[key] = 0
		}
	}
	if s.unseen[key] == 0 {
		return nil
	}
	s.unseen[key]--
	s.dice.Hit(NotFoundYet)
	return notFound()
}

// subject is what a call is about, and when it was made; an empty key when that
// cannot be fresh. With mu held.
func (c *call) subject() (key string, made time.Time) {
	if c.repo == nil {
		return "", made
	}
	path := strings.TrimPrefix(c.r.URL.Path, "/api/v3/repos/"+c.r.PathValue("owner")+"/"+c.r.PathValue("repo"))
	id, err := c.number("id")
	number, nerr := c.number("number")
	switch {
	case nerr == nil:
		if th, err := c.repo.thread(int(number)); err == nil {
			return fmt.Sprintf("thread %d", th.id), th.created
		}
	case err == nil && strings.HasPrefix(path, "/issues/comments/"):
		if one, err := c.repo.comment(id); err == nil {
			return fmt.Sprintf("comment %d", id), one.created
		}
	case err == nil && strings.HasPrefix(path, "/check-runs/"):
		for _, run := range c.repo.checks {
			if run.id == id {
				return fmt.Sprintf("check %d", id), run.created
			}
		}
	}
	return "", made
}

// settledIn leaves out of a list what a lagging replica does not have yet. With mu
// held.
func settledIn[T any](c *call, list []T, made func(T) time.Time) []T {
	if !c.stale {
		return list
	}
	left := slices.DeleteFunc(slices.Clone(list), func(one T) bool { return c.s.now().Sub(made(one)) <= fresh })
	if len(left) < len(list) {
		c.s.dice.Hit(StaleList)
	}
	return left
}

func (th *thread) madeAt() time.Time { return th.created }
func (c *comment) madeAt() time.Time { return c.created }

const (
	rateDocs      = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
	secondaryDocs = rateDocs + "#about-secondary-rate-limits"
)

// secondary is what GitHub says of the limits that it keeps no count of in
// headers.
func (s *Server) secondary(b block) *Error {
	message := "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. " +
		"If you reach out to GitHub Support for help, please include the request ID and timestamp."
	if b.content {
		message = "You have exceeded a secondary rate limit and have been temporarily blocked from content creation. " +
			"Please retry your request again later. If you reach out to GitHub Support for help, please include the request ID and timestamp."
	}
	e := refuse(b.status, message)
	e.docs = secondaryDocs
	if b.told {
		seconds := max(1, int(math.Ceil(b.until.Sub(s.now()).Seconds())))
		e.header = map[string]string{"Retry-After": strconv.Itoa(seconds)}
	}
	return e
}

// badGateway is a 502 as the API has it: JSON still, and no more than this.
func badGateway() *Error { return refuse(http.StatusBadGateway, "Server Error") }
