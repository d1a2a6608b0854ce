package forge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"

	"sam/task"
)

// answering is a GitHub that always says the same.
type answering struct {
	status int
	header map[string]string
	body   string
	err    error
	calls  int
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls++
	if a.err != nil {
		return nil, a.err
	}
	res := &http.Response{StatusCode: a.status, Status: strconv.Itoa(a.status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}
	for name, value := range a.header {
		res.Header.Set(name, value)
	}
	return res, nil
}

const (
	secondaryBody = `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes before you try again.","documentation_url":"https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`
	bareBody      = `{"message":"You have exceeded a secondary rate limit and have been temporarily blocked from content creation."}`
	primaryBody   = `{"message":"API rate limit exceeded for installation ID 5.","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}`
	forbiddenBody = `{"message":"Resource not accessible by integration","documentation_url":"https://docs.github.com/rest"}`
	suspendedBody = `{"message":"This installation has been suspended"}`
)

func inSeconds(n int) string {
	return strconv.FormatInt(time.Now().Add(time.Duration(n)*time.Second).Unix(), 10)
}

func TestWhatGitHubSaysDecidesWhenItIsTriedAgain(t *testing.T) {
	date := time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for name, c := range map[string]struct {
		says  answering
		want  verdict
		after time.Duration
	}{
		"a limit with seconds":                {answering{status: 403, header: map[string]string{"Retry-After": "37"}, body: secondaryBody}, limited, 37 * time.Second},
		"a limit with a date":                 {answering{status: 403, header: map[string]string{"Retry-After": date}, body: secondaryBody}, limited, 90 * time.Second},
		"a limit with a date that is past":    {answering{status: 429, header: map[string]string{"Retry-After": "Mon, 02 Jan 2006 15:04:05 GMT"}}, limited, time.Second},
		"a limit of an hour":                  {answering{status: 403, header: map[string]string{"Retry-After": "3600"}, body: secondaryBody}, limited, time.Hour},
		"429, which go-github does not type":  {answering{status: 429, header: map[string]string{"Retry-After": "41"}, body: primaryBody}, limited, 41 * time.Second},
		"429 until the reset":                 {answering{status: 429, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(1800)}, body: primaryBody}, limited, 30 * time.Minute},
		"429 and nothing else":                {answering{status: 429}, limited, 0},
		"the primary limit until its reset":   {answering{status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(1800)}, body: primaryBody}, limited, 30 * time.Minute},
		"a reset that is past":                {answering{status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(-5)}, body: primaryBody}, limited, time.Second},
		"a secondary limit without a time":    {answering{status: 403, header: map[string]string{"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": inSeconds(1800)}, body: secondaryBody}, limited, 0},
		"a secondary limit by its words":      {answering{status: 403, body: bareBody}, limited, 0},
		"403 that is no limit":                {answering{status: 403, header: map[string]string{"X-RateLimit-Remaining": "4000"}, body: forbiddenBody}, refused, 0},
		"403 of a suspended installation":     {answering{status: 403, body: suspendedBody}, suspended, 0},
		"401 in spite of a new token":         {answering{status: 401, body: `{"message":"Bad credentials"}`}, transient, 0},
		"404":                                 {answering{status: 404, body: `{"message":"Not Found"}`}, missing, 0},
		"410":                                 {answering{status: 410, body: `{"message":"This issue was deleted"}`}, missing, 0},
		"a redirect of a write":               {answering{status: 307, header: map[string]string{"Location": "https://api.github.com/repositories/7/issues/1/comments"}}, moved, 0},
		"422":                                 {answering{status: 422, body: `{"message":"Validation Failed"}`}, refused, 0},
		"400":                                 {answering{status: 400, body: `{"message":"Problems parsing JSON"}`}, refused, 0},
		"409":                                 {answering{status: 409, body: `{"message":"Conflict"}`}, transient, 0},
		"500":                                 {answering{status: 500}, transient, 0},
		"502 with a page":                     {answering{status: 502, body: "<html>"}, transient, 0},
		"503":                                 {answering{status: 503, header: map[string]string{"Retry-After": "120"}}, transient, 0},
		"a timeout":                           {answering{err: context.DeadlineExceeded}, transient, 0},
		"a connection that broke":             {answering{err: io.ErrUnexpectedEOF}, transient, 0},
		"an answer that is cut":               {answering{status: 201, body: `{"id":`}, transient, 0},
		"a header of ours that is not GitHub": {answering{status: 500, header: map[string]string{headerLimit: "5000"}}, transient, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := github.NewClient(&http.Client{Transport: bounded{&c.says}, CheckRedirect: followReads})
			body := "hello"
			_, _, err := client.Issues.CreateComment(t.Context(), "octo", "hello", 1, &github.IssueComment{Body: &body})
			meaning, after := judge(err)
			if meaning != c.want || (after-c.after).Abs() > 2*time.Second {
				t.Errorf("%v: got %s after %s, want %s after %s", err, meaning, after, c.want, c.after)
			}
		})
	}
}

func TestWhatFailsBeforeGitHubIsAskedIsJudgedToo(t *testing.T) {
	minting := func(status int, header string) error {
		res := &http.Response{StatusCode: status, Header: http.Header{}}
		if header != "" {
			res.Header.Set(headerLimit, header)
		}
		return &url.Error{Op: "Get", URL: "x", Err: &ghinstallation.HTTPError{Message: "no token", Response: res}}
	}
	for name, c := range map[string]struct {
		err   error
		want  verdict
		after time.Duration
	}{
		"no such installation":         {minting(404, ""), uninstalled, 0},
		"a suspended installation":     {minting(403, ""), suspended, 0},
		"a limit on minting":           {minting(403, "7000"), limited, 7 * time.Second},
		"a key that GitHub refuses":    {minting(401, ""), transient, 0},
		"an outage while minting":      {minting(502, ""), transient, 0},
		"SAM's own pace":               {task.LaterError{After: 3 * time.Second}, limited, 3 * time.Second},
		"go-github's own refusal":      {&github.RateLimitError{Rate: github.Rate{Reset: github.Timestamp{Time: time.Now().Add(40 * time.Second)}}, Response: &http.Response{}}, limited, 40 * time.Second},
		"a store that does not answer": {errors.New("connection refused"), transient, 0},
		"a project found elsewhere":    {movedError{"octo/new"}, moved, 0},
	} {
		t.Run(name, func(t *testing.T) {
			meaning, after := judge(c.err)
			if meaning != c.want || (after-c.after).Abs() > time.Second {
				t.Errorf("got %s after %s, want %s after %s", meaning, after, c.want, c.after)
			}
		})
	}
}

func TestTriesGrowApartAndNoFurtherThanTheLongest(t *testing.T) {
	for attempt, want := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 1000: 5 * time.Minute,
	} {
		if got := backoff(attempt); got != want {
			t.Errorf("after attempt %d it waits %s, want %s", attempt, got, want)
		}
	}
	for name, c := range map[string]struct {
		meaning  verdict
		after    time.Duration
		attempts int
		want     time.Duration
	}{
		"an outage":                      {transient, 0, 3, 4 * time.Second},
		"a limit with a time":            {limited, 37 * time.Second, 1, 37 * time.Second},
		"a limit with a long time":       {limited, time.Hour, 1, 5 * time.Minute},
		"a limit without":                {limited, 0, 1, time.Minute},
		"a suspended installation":       {suspended, 0, 1, 10 * time.Minute},
		"a project that was found":       {moved, 0, 4, time.Second},
		"404, as right after a creation": {missing, 0, 1, time.Second},
	} {
		if got := again(c.meaning, c.after, c.attempts); got != c.want {
			t.Errorf("%s: again in %s, want %s", name, got, c.want)
		}
	}
}

func TestGoGitHubRefusesCallsByItselfForAMinuteAtMost(t *testing.T) {
	for name, says := range map[string]answering{
		"after the primary limit":             {status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(3000)}, body: primaryBody},
		"after the last call that was left":   {status: 200, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": inSeconds(3000)}, body: `{}`},
		"after a secondary limit of an hour":  {status: 403, header: map[string]string{"Retry-After": "3600"}, body: secondaryBody},
		"after a secondary limit with a date": {status: 403, header: map[string]string{"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}, body: secondaryBody},
		"after one that does not say":         {status: 403, header: map[string]string{"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": inSeconds(3000)}, body: secondaryBody},
	} {
		t.Run(name, func(t *testing.T) {
			client := github.NewClient(&http.Client{Transport: bounded{&says}})
			call := func() time.Duration {
				_, _, err := client.Issues.Get(t.Context(), "octo", "hello", 1)
				meaning, after := judge(err)
				if err != nil && meaning != limited {
					t.Fatalf("got %s: %v", meaning, err)
				}
				return after
			}
			call()
			blocked := call()
			if says.calls != 1 || blocked <= 50*time.Second || blocked > time.Minute {
				t.Errorf("after %d calls go-github refuses for %s, want it to refuse the second for about a minute", says.calls, blocked)
			}
		})
	}
}

func TestACallWhoseTimeIsOverIsNotMadeAnyMore(t *testing.T) {
	says := &answering{status: 201, body: `{}`}
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := bounded{says}.RoundTrip(r)
	if err == nil {
		_ = res.Body.Close()
	}
	if !errors.Is(err, context.DeadlineExceeded) || says.calls != 0 {
		t.Errorf("got %v after %d calls", err, says.calls)
	}
}

func TestARedirectIsFollowedByReadsOnGitHubItselfAlone(t *testing.T) {
	request := func(method, address string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const api = "https://api.github.com/repos/octo/old"
	read := request(http.MethodGet, api)
	if err := followReads(request(http.MethodGet, "https://api.github.com/repositories/7"), []*http.Request{read}); err != nil {
		t.Errorf("a read on GitHub: %v", err)
	}
	if err := followReads(request(http.MethodGet, "https://example.com/"), []*http.Request{read}); err == nil {
		t.Error("the token would go to another host")
	}
	if err := followReads(request(http.MethodGet, api), []*http.Request{read, read, read, read}); err == nil {
		t.Error("a read goes round in circles")
	}
	if err := followReads(request(http.MethodGet, api), []*http.Request{request(http.MethodPatch, api)}); !errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("a write that would turn into a read: %v", err)
	}
}
