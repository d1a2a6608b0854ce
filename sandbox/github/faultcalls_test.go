package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	gogithub "github.com/google/go-github/v62/github"

	"sam/sandbox/github"
)

func TestWhatIsFreshMayNotBeFoundYet(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	w.befall(github.Rule{Kind: github.NotFoundYet, Probability: 1, Times: 2})
	is := must(w.hub.CreateIssue("robin", "octo", "hello", "Slow", ""))
	c := must(w.hub.CreateComment("robin", "octo", "hello", is.Number, "hi"))
	for _, path := range []string{"/issues/1", fmt.Sprintf("/issues/comments/%d", c.ID)} {
		var got []int
		for range 4 {
			got = append(got, w.ask(http.MethodGet, w.api("/repos/octo/hello"+path), "", auth).status)
		}
		if fmt.Sprint(got) != "[404 404 200 200]" {
			t.Errorf("%s: %v", path, got)
		}
	}
	must(w.hub.CreateIssue("robin", "octo", "hello", "Old by then", ""))
	w.clock.advance(11 * time.Second)
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues/2"), "", auth); got.status != 200 {
		t.Errorf("eleven seconds later: %d", got.status)
	}
	w.expectHits(map[github.FaultKind]int{github.NotFoundYet: 4})
}

func TestThePrimaryLimitLastsUntilItsReset(t *testing.T) {
	for kind, status := range map[github.FaultKind]int{github.Primary403: 403, github.Primary429: 429} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			auth, other := "Authorization: token "+w.token(nil), "Authorization: token "+w.token(nil)
			w.befall(github.Rule{Kind: kind, Next: 1, For: time.Minute})
			got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth)
			if got.status != status || !strings.HasPrefix(got.message(), "API rate limit exceeded for installation ID ") ||
				got.header.Get("X-RateLimit-Remaining") != "0" || got.header.Get("Retry-After") != "" {
				t.Errorf("got %d %s %v", got.status, got.body, got.header)
			}
			reset, err := strconv.ParseInt(got.header.Get("X-RateLimit-Reset"), 10, 64)
			w.check(err)
			away := time.Unix(reset, 0).Sub(w.clock.now())
			if away <= 40*time.Second || away > 61*time.Second {
				t.Errorf("the reset is %s away", away)
			}
			if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", other); got.status != status {
				t.Errorf("another token of the same installation: %d", got.status)
			}
			w.clock.advance(away)
			if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth); got.status != 200 {
				t.Errorf("at the reset: %d %s", got.status, got.body)
			}
			w.expectHits(map[github.FaultKind]int{kind: 1})
			if n := w.hub.Faults().TooSoon; n != 1 {
				t.Errorf("%d calls came too soon", n)
			}
		})
	}
}

func TestTheSecondaryLimitIsOfFourForms(t *testing.T) {
	for kind, want := range map[github.FaultKind]struct {
		status int
		after  string
	}{
		github.Secondary403: {403, "5"}, github.Secondary403Bare: {403, ""},
		github.Secondary429: {429, "5"}, github.Secondary429Bare: {429, ""},
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			must(w.hub.CreateIssue("robin", "octo", "hello", "Slow", ""))
			token := w.token(nil)
			auth := "Authorization: token " + token
			w.befall(github.Rule{Kind: kind, Next: 1, For: 5 * time.Second, Method: "POST"})
			_, res, err := w.client(plain()).WithAuthToken(token).Issues.CreateComment(t.Context(), "octo", "hello", 1, &gogithub.IssueComment{Body: ptr("x")})
			if err == nil || res.StatusCode != want.status || res.Header.Get("Retry-After") != want.after || res.Rate.Remaining == 0 {
				t.Fatalf("got %v, %v", res, err)
			}
			var typed *gogithub.AbuseRateLimitError
			if errors.As(err, &typed) != (want.status == 403) || !strings.Contains(err.Error(), "temporarily blocked from content creation") {
				t.Errorf("go-github has it as %T: %v", err, err)
			}
			if n, _ := w.hub.Comments("octo", "hello", 1); len(n) != 0 {
				t.Error("it was obeyed")
			}
			if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth); got.status != 200 {
				t.Errorf("reading: %d", got.status)
			}
			write := func() int {
				return w.ask(http.MethodPost, w.api("/repos/octo/hello/issues/1/comments"), `{"body":"y"}`, auth).status
			}
			if got := write(); got != want.status {
				t.Errorf("writing again: %d", got)
			}
			w.clock.advance(5 * time.Second)
			if got := write(); got != 201 {
				t.Errorf("five seconds later: %d", got)
			}
			w.expectHits(map[github.FaultKind]int{kind: 1})
			if n := w.hub.Faults().TooSoon; n != 1 {
				t.Errorf("%d calls came too soon", n)
			}
		})
	}
}

func TestASecondaryLimitThatStrikesAReadIsForEverything(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	w.befall(github.Rule{Kind: github.Secondary403, Next: 1, Path: "/repos/**"})
	got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth)
	if got.status != 403 || got.header.Get("Retry-After") != "2" || strings.Contains(got.message(), "content") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := w.ask(http.MethodPost, w.api("/repos/octo/hello/issues"), `{"title":"x"}`, auth); got.status != 403 {
		t.Errorf("writing: %d", got.status)
	}
}

func TestABadGatewayComesBeforeOrAfterTheEffect(t *testing.T) {
	w := newWorld(t)
	must(w.hub.CreateIssue("robin", "octo", "hello", "Slow", ""))
	auth := "Authorization: token " + w.token(nil)
	const path = "/repos/octo/hello/issues/1/comments"
	for _, tc := range []struct {
		kind github.FaultKind
		left int
	}{{github.BadGateway, 0}, {github.BadGatewayAfter, 1}} {
		w.befall(github.Rule{Kind: tc.kind, Next: 1, Path: "/repos/*/*/issues/*/comments"})
		if tc.kind == github.BadGatewayAfter {
			if got := w.ask(http.MethodGet, w.api(path), "", auth); got.status != 200 {
				t.Errorf("%s struck a read: %d", tc.kind, got.status)
			}
		}
		got := w.ask(http.MethodPost, w.api(path), `{"body":"once"}`, auth)
		if got.status != 502 || got.message() != "Server Error" || got.header.Get("Location") != "" {
			t.Errorf("%s: %d %s %v", tc.kind, got.status, got.body, got.header)
		}
		if list := must(w.hub.Comments("octo", "hello", 1)); len(list) != tc.left {
			t.Errorf("%s left %d comments", tc.kind, len(list))
		}
	}
	w.expectHits(map[github.FaultKind]int{github.BadGateway: 1, github.BadGatewayAfter: 1})
}

func TestABadGatewayAfterNothingIsTheTruthInstead(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	w.befall(github.Rule{Kind: github.BadGatewayAfter, Probability: 1})
	if got := w.ask(http.MethodPost, w.api("/repos/octo/hello/issues/7/comments"), `{"body":"x"}`, auth); got.status != 404 {
		t.Errorf("got %d", got.status)
	}
	w.expectHits(map[github.FaultKind]int{github.BadGatewayAfter: 0})
}

func TestATokenIsForgottenInMidTask(t *testing.T) {
	w := newWorld(t)
	token := w.token(nil)
	auth := "Authorization: token " + token
	w.befall(github.Rule{Kind: github.TokenForgotten, Next: 1, Path: "/repos/*/*/issues"})
	read := func(path string) answer { return w.ask(http.MethodGet, w.api("/repos/octo/hello"+path), "", auth) }
	if got := read(""); got.status != 200 {
		t.Errorf("before: %d", got.status)
	}
	for range 2 {
		if got := read("/issues"); got.status != 401 || got.message() != "Bad credentials" {
			t.Errorf("forgotten: %d %s", got.status, got.body)
		}
	}
	if out, ok := w.git(w.dir, "ls-remote", w.remote("secret", token)); ok {
		t.Errorf("git still knows it: %s", out)
	}
	auth = "Authorization: token " + w.token(nil)
	if got := read("/issues"); got.status != 200 {
		t.Errorf("a new token: %d", got.status)
	}
	w.expectHits(map[github.FaultKind]int{github.TokenForgotten: 1})
}

func TestAListMayLagBehindWhatWasJustMade(t *testing.T) {
	w := newWorld(t)
	w.issue("Old")
	w.clock.advance(11 * time.Second)
	auth := "Authorization: token " + w.token(nil)
	count := func(path string) int {
		w.befall(github.Rule{Kind: github.StaleList, Next: 1})
		got := w.ask(http.MethodGet, w.api("/repos/octo/hello"+path), "", auth)
		return strings.Count(string(got.body), `"author_association"`)
	}
	if n := count("/issues"); n != 1 {
		t.Errorf("with nothing fresh there are %d issues", n)
	}
	w.expectHits(map[github.FaultKind]int{github.StaleList: 0})
	w.issue("New")
	must(w.hub.CreateComment("robin", "octo", "hello", 1, "hi"))
	w.branch("hello", "sam/1")
	must(w.hub.CreatePullRequest("robin", "octo", "hello", "Quick", "", "sam/1", "main"))
	lists := map[string][2]int{"/issues": {1, 3}, "/issues/1/comments": {0, 1}, "/pulls?head=octo:sam/1": {0, 1}}
	for path, want := range lists {
		if n := count(path); n != want[0] {
			t.Errorf("%s has %d, want %d", path, n, want[0])
		}
	}
	w.expectHits(map[github.FaultKind]int{github.StaleList: 3})
	w.clock.advance(11 * time.Second)
	for path, want := range lists {
		if n := count(path); n != want[1] {
			t.Errorf("later %s has %d, want %d", path, n, want[1])
		}
	}
}
