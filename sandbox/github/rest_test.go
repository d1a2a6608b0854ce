package github_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v62/github"
)

func TestAnUnchangedAnswerIs304AndDoesNotCount(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	first := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues"), "", auth)
	tag := first.header.Get("ETag")
	if first.status != 200 || !strings.HasPrefix(tag, `W/"`) || !strings.HasPrefix(first.header.Get("Cache-Control"), "private") {
		t.Fatalf("first: %d %v", first.status, first.header)
	}
	again := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues"), "", auth, "If-None-Match: "+tag)
	if again.status != 304 || len(again.body) != 0 || again.header.Get("ETag") != tag {
		t.Errorf("again: %d %q", again.status, again.body)
	}
	if first.header.Get("X-RateLimit-Remaining") != again.header.Get("X-RateLimit-Remaining") {
		t.Errorf("a 304 cost %s -> %s", first.header.Get("X-RateLimit-Remaining"), again.header.Get("X-RateLimit-Remaining"))
	}
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "New", "")
	w.check(err)
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues"), "", auth, "If-None-Match: "+tag); got.status != 200 {
		t.Errorf("after a change: %d", got.status)
	}
}

func TestWhatDoesNotCountIsNotGivenBackEither(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	for range 3 {
		w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth)
	}
	first := w.ask(http.MethodGet, w.api("/rate_limit"), "", auth)
	again := w.ask(http.MethodGet, w.api("/rate_limit"), "", auth, "If-None-Match: "+first.header.Get("ETag"))
	if again.status != 304 || first.header.Get("X-RateLimit-Used") != "3" || again.header.Get("X-RateLimit-Used") != "3" {
		t.Errorf("%d: used %s, then %s", again.status, first.header.Get("X-RateLimit-Used"), again.header.Get("X-RateLimit-Used"))
	}
}

func TestTheRateLimitIsPerInstallationAndHour(t *testing.T) {
	w := newWorld(t)
	w.hub.SetRateLimit(3)
	first, second := "Authorization: token "+w.token(nil), "Authorization: token "+w.token(nil)
	for i, auth := range []string{first, second, first} {
		got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth)
		if got.status != 200 || got.header.Get("X-RateLimit-Remaining") != strconv.Itoa(2-i) || got.header.Get("X-RateLimit-Limit") != "3" {
			t.Errorf("request %d: %d %v", i, got.status, got.header)
		}
	}
	out := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", second)
	if out.status != 403 || !strings.HasPrefix(out.message(), "API rate limit exceeded for installation ID ") ||
		out.header.Get("X-RateLimit-Remaining") != "0" || out.header.Get("X-RateLimit-Reset") == "" {
		t.Errorf("exhausted: %d %s %v", out.status, out.body, out.header)
	}
	c := w.client(plain()).WithAuthToken(strings.TrimPrefix(second, "Authorization: token "))
	_, _, err := c.Issues.Get(t.Context(), "octo", "hello", 1)
	var limited *gogithub.RateLimitError
	if !errors.As(err, &limited) {
		t.Errorf("go-github calls it %T", err)
	}
	if got := w.ask(http.MethodGet, w.api("/rate_limit"), "", first); got.status != 200 || !strings.Contains(string(got.body), `"remaining":0`) {
		t.Errorf("asking does not count: %d %s", got.status, got.body)
	}
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", "Authorization: token "+must(w.hub.CreatePersonalToken("robin"))); got.status != 200 {
		t.Errorf("another caller: %d", got.status)
	}
	w.clock.advance(time.Hour)
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", "Authorization: token "+w.laterToken()); got.status != 200 {
		t.Errorf("an hour later: %d %s", got.status, got.body)
	}
}

func TestErrorsLookLikeGitHubs(t *testing.T) {
	w := newWorld(t)
	robin := "Authorization: token " + must(w.hub.CreatePersonalToken("robin"))
	for name, tc := range map[string]struct {
		method, path, body, auth string
		status                   int
		message                  string
	}{
		"unknown path":    {"GET", "/nowhere", "", "", 404, "Not Found"},
		"wrong method":    {"DELETE", "/repos/octo/hello/issues", "", robin, 404, "Not Found"},
		"bad credentials": {"GET", "/repos/octo/hello", "", "Authorization: token ghs_nothing", 401, "Bad credentials"},
		"unparsable":      {"POST", "/repos/octo/hello/issues", "{", robin, 400, "Problems parsing JSON"},
		"no title":        {"POST", "/repos/octo/hello/issues", "{}", robin, 422, "Validation Failed"},
		"no body":         {"PATCH", "/repos/octo/hello/issues/comments/1", "{}", robin, 404, "Not Found"},
		"not signed in":   {"POST", "/repos/octo/hello/issues", `{"title":"x"}`, "", 401, "Requires authentication"},
		"an unknown user": {"GET", "/users/nobody", "", "", 404, "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			headers := []string{}
			if tc.auth != "" {
				headers = append(headers, tc.auth)
			}
			got := w.ask(tc.method, w.loose+"/api/v3"+tc.path, tc.body, headers...)
			if got.status != tc.status || got.message() != tc.message {
				t.Errorf("got %d %q, want %d %q", got.status, got.message(), tc.status, tc.message)
			}
			for _, want := range []string{`"documentation_url":"https://docs.github.com/rest`, `"status":"` + strconv.Itoa(tc.status) + `"`} {
				if !strings.Contains(string(got.body), want) {
					t.Errorf("no %s in %s", want, got.body)
				}
			}
			if got.header.Get("X-GitHub-Request-Id") == "" || got.header.Get("X-GitHub-Media-Type") == "" {
				t.Errorf("headers: %v", got.header)
			}
		})
	}
}

func TestEveryTimestampIsWholeSecondsInUTC(t *testing.T) {
	w := newWorld(t)
	_, err := w.hub.CreateIssue("robin", "octo", "hello", "Slow", "")
	w.check(err)
	got := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues/1"), "")
	_, rest, _ := strings.Cut(string(got.body), `"created_at":"`)
	text, _, _ := strings.Cut(rest, `"`)
	if _, err := time.Parse("2006-01-02T15:04:05Z", text); err != nil {
		t.Errorf("created_at: %q", text)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
