package github

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// namelessLimit is what a caller without a token has per hour.
const namelessLimit = 60

// rate counts what one caller has used of its hour. The hour begins with the
// first request that counts.
type rate struct {
	used   int
	reset  time.Time
	status int // with which a fault has it refused; 0: none has
}

// purse names whose requests a caller's count among, as GitHub does it: an
// installation's tokens share one, a person's tokens share one.
func (id identity) purse(r *http.Request) (key, whose string) {
	switch {
	case id.inst != nil:
		return fmt.Sprintf("i%d", id.inst.id), fmt.Sprintf("installation ID %d", id.inst.id)
	case id.app != nil:
		return fmt.Sprintf("a%d", id.app.id), fmt.Sprintf("integration ID %d", id.app.id)
	case id.account != nil:
		return fmt.Sprintf("u%d", id.account.id), fmt.Sprintf("user ID %d", id.account.id)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "h" + host, host
}

// rateOf brings a caller's count up to date. With mu held.
func (s *Server) rateOf(id identity, r *http.Request) (current *rate, limit int) {
	key, _ := id.purse(r)
	current = s.rates[key]
	if now := s.now(); current == nil || !now.Before(current.reset) {
		current = &rate{reset: now.Add(time.Hour).Truncate(time.Second)}
		s.rates[key] = current
	}
	limit = s.rateLimit
	if id.nameless() {
		limit = min(limit, namelessLimit)
	}
	return current, limit
}

// spend counts a request, or refuses it when there is nothing left. With mu
// held.
func (s *Server) spend(id identity, r *http.Request) *Error {
	current, limit := s.rateOf(id, r)
	if current.used >= limit {
		_, whose := id.purse(r)
		e := refuse(cmp.Or(current.status, http.StatusForbidden), fmt.Sprintf(
			"API rate limit exceeded for %s. If you reach out to GitHub Support for help, please include the request ID and timestamp.", whose))
		e.docs = rateDocs
		return e
	}
	current.used++
	return nil
}

// refund takes a request back that turned out not to count. With mu held.
func (s *Server) refund(id identity, r *http.Request) {
	if current, _ := s.rateOf(id, r); current.used > 0 {
		current.used--
	}
}

// tell writes a caller's count into the headers. With mu held.
func (s *Server) tell(h http.Header, id identity, r *http.Request) {
	current, limit := s.rateOf(id, r)
	h.Set("X-RateLimit-Limit", strconv.Itoa(limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-current.used)))
	h.Set("X-RateLimit-Used", strconv.Itoa(current.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(current.reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
}

// restRateLimit answers GET /rate_limit.
func restRateLimit(c *call) (reply, error) {
	current, limit := c.s.rateOf(c.id, c.r)
	resource := func(limit, used int) object {
		return object{"limit": limit, "used": used, "remaining": max(0, limit-used), "reset": current.reset.Unix()}
	}
	core := resource(limit, current.used)
	return ok(object{
		"resources": object{"core": core, "search": resource(30, 0), "graphql": resource(5000, 0)}, "rate": core,
	}), nil
}
