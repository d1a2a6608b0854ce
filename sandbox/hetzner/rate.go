package hetzner

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// spend counts a project's call, or refuses it when the bucket is empty. With mu
// held.
func (s *Server) spend(p *project) error {
	s.refill(p)
	if p.rate.left < 1 {
		return s.tooMany()
	}
	p.rate.left--
	return nil
}

// refill adds what has come since: a limit of 3,600 an hour is one more each
// second. With mu held.
func (s *Server) refill(p *project) {
	now, limit := s.now(), float64(s.limits.RequestsPerHour)
	if gone := now.Sub(p.rate.at); gone > 0 {
		p.rate.left += gone.Hours() * limit
		p.rate.at = now
	}
	p.rate.left = min(p.rate.left, limit)
}

func (s *Server) tooMany() *Error {
	return refuse(http.StatusTooManyRequests, "rate_limit_exceeded", fmt.Sprintf("limit of %d requests per hour reached", s.limits.RequestsPerHour))
}

// tell writes the state of the bucket into the headers: when it will be full
// again, and with a refusal in how many seconds one more call is allowed. With mu
// held.
func (s *Server) tell(h http.Header, p *project, refused bool) {
	limit := float64(s.limits.RequestsPerHour)
	h.Set("RateLimit-Limit", strconv.Itoa(s.limits.RequestsPerHour))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(max(0, p.rate.left))))
	reset := s.now()
	if limit > 0 {
		reset = reset.Add(time.Duration((limit - p.rate.left) / limit * float64(time.Hour)))
	}
	h.Set("RateLimit-Reset", strconv.FormatInt(int64(math.Ceil(float64(reset.UnixMilli())/1000)), 10))
	if refused && limit > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil((1-p.rate.left)/limit*3600))))
	}
}
