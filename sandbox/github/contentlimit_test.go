package github_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"sam/sandbox/github"
)

// create comments once more and returns the answer.
func (w *world) create(auth string) answer {
	w.t.Helper()
	return w.ask(http.MethodPost, w.loose+"/api/v3/repos/octo/hello/issues/1/comments", `{"body":"more"}`, auth)
}

func TestAnInstallationCreatesEightyAMinuteAndNoMore(t *testing.T) {
	w := newWorld(t)
	must(w.hub.CreateIssue("robin", "octo", "hello", "Busy", ""))
	auth := "Authorization: token " + w.token(nil)
	for i := range 80 {
		if got := w.create(auth); got.status != 201 {
			t.Fatalf("comment %d: %d %s", i+1, got.status, got.body)
		}
	}
	got := w.ask(http.MethodPost, w.api("/repos/octo/hello/issues/1/comments"), `{"body":"more"}`, "Authorization: token "+w.token(nil))
	after, err := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != 403 || err != nil || after < 1 || after > 60 || got.header.Get("X-RateLimit-Remaining") == "0" {
		t.Fatalf("the 81st: %d %s %v", got.status, got.body, got.header)
	}
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello/issues/1"), "", auth); got.status != 200 {
		t.Errorf("reading: %d", got.status)
	}
	robin := "Authorization: token " + must(w.hub.CreatePersonalToken("robin"))
	if got := w.create(robin); got.status != 201 {
		t.Errorf("a person: %d", got.status)
	}
	w.clock.advance(time.Duration(after) * time.Second)
	if got := w.create(auth); got.status != 201 {
		t.Errorf("after Retry-After: %d %s", got.status, got.body)
	}
	if n := w.hub.Faults().ContentLimited; n != 1 {
		t.Errorf("%d calls were counted as refused", n)
	}
}

func TestTheHourlyLimitOutlastsTheMinute(t *testing.T) {
	w := newWorld(t)
	must(w.hub.CreateIssue("robin", "octo", "hello", "Busy", ""))
	w.hub.SetContentLimits(github.ContentLimits{PerMinute: 2, PerHour: 3})
	auth := "Authorization: token " + w.token(nil)
	var got []int
	for i := range 5 {
		if i == 2 {
			w.clock.advance(time.Minute)
		}
		got = append(got, w.create(auth).status)
	}
	if want := []int{201, 201, 201, 403, 403}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	w.clock.advance(2 * time.Minute)
	late := w.create(auth)
	if after, err := strconv.Atoi(late.header.Get("Retry-After")); err != nil || late.status != 403 || after < 55*60 || after > 57*60 {
		t.Errorf("three minutes on: %d, again in %q", late.status, late.header.Get("Retry-After"))
	}
	w.hub.SetContentLimits(github.ContentLimits{PerMinute: -1, PerHour: -1})
	if got := w.create(auth).status; got != 201 {
		t.Errorf("without limits: %d", got)
	}
}
