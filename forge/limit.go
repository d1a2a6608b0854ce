package forge

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// mostBlocked is how long go-github may refuse calls by itself after it met a limit. It would until the reset, up to an
// hour, for every call of the installation, and in this process alone: how long to stay away is kept in Redis instead,
// where every replica obeys it.
const mostBlocked = time.Minute

// headerLimit marks an answer that is one of GitHub's limits: milliseconds to stay away, 0 when GitHub did not say.
const headerLimit = "Sam-Github-Limit"

// limitOf says whether an answer is one of GitHub's limits, and how long GitHub wants to be left alone; 0 when it does
// not say. In GitHub's order: Retry-After; else, when nothing is left of the hour, its reset. A secondary limit may come
// as 403 or 429, and a 403 without any sign of a limit is none.
func limitOf(status int, h http.Header, body []byte, now time.Time) (after time.Duration, limited bool) {
	if status != http.StatusForbidden && status != http.StatusTooManyRequests {
		return 0, false
	}
	if after, ok := retryAfter(h, now); ok {
		return after, true
	}
	if h.Get("X-RateLimit-Remaining") == "0" {
		if reset, ok := resetOf(h); ok {
			return max(reset.Sub(now), time.Second), true
		}
		return 0, true
	}
	said := bytes.ToLower(body)
	return 0, status == http.StatusTooManyRequests || bytes.Contains(said, []byte("secondary rate limit")) ||
		bytes.Contains(said, []byte("secondary-rate-limits")) || bytes.Contains(said, []byte("abuse-rate-limits"))
}

// retryAfter reads Retry-After, which may be a number of seconds or a date.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := h.Get("Retry-After")
	if text == "" {
		return 0, false
	}
	if s, err := strconv.Atoi(text); err == nil {
		return max(time.Duration(s)*time.Second, time.Second), true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(at.Sub(now), time.Second), true
}

func resetOf(h http.Header) (time.Time, bool) {
	s, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(s, 0), true
}

// unblock keeps go-github from refusing calls for longer than mostBlocked: it does so until the reset as soon as nothing
// is left, on an answer that went well too, and after a secondary limit until Retry-After, else until the primary
// limit's reset, which has nothing to do with it.
func unblock(res *http.Response, now time.Time) {
	h := res.Header
	most := now.Add(mostBlocked)
	if reset, ok := resetOf(h); ok && h.Get("X-RateLimit-Remaining") == "0" && reset.After(most) {
		h.Set("X-RateLimit-Reset", strconv.FormatInt(most.Unix(), 10))
	}
	if h.Get(headerLimit) != "" {
		after, ok := retryAfter(h, now)
		if !ok || after > mostBlocked {
			after = mostBlocked
		}
		h.Set("Retry-After", strconv.Itoa(int(after.Seconds())))
	}
}
