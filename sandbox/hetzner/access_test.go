package hetzner_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/sandbox/hetzner"
)

func readAll(t *testing.T, res *http.Response) string {
	t.Helper()
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnUnknownTokenMayNothingAndAReadOnlyOneMayRead(t *testing.T) {
	w := begin(t, hetzner.Options{})
	_, err := w.with("guessed").Server.All(t.Context())
	wantCode(t, err, "unauthorized", 401)
	reads := w.with(readOnly)
	if _, err := reads.Server.All(t.Context()); err != nil {
		t.Error(err)
	}
	_, _, err = reads.Server.Create(t.Context(), order("no"))
	wantCode(t, err, "forbidden", 403)
	if status, answer := w.raw(t, "GET", "/v1/servers", "", ""); status != 401 || !strings.Contains(answer, "unauthorized") {
		t.Errorf("without a token: %d %s", status, answer)
	}
	w.RevokeToken(secret)
	_, err = w.client.Server.All(t.Context())
	wantCode(t, err, "unauthorized", 401)
	if err := w.AddToken(hetzner.Token{Secret: other, Project: "x"}); err == nil {
		t.Error("a secret opens one project")
	}
	if _, err := hetzner.New(hetzner.Options{Tokens: []hetzner.Token{{Project: "x"}}}); err == nil {
		t.Error("a token without a secret was taken")
	}
}

func TestWhatIsNoCallIsRefused(t *testing.T) {
	w := begin(t, hetzner.Options{})
	for call, want := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"GET /v1/nothing":            {"", 404, "not_found"},
		"GET /":                      {"", 404, "not_found"},
		"PATCH /v1/servers":          {"", 405, "method_not_allowed"},
		"DELETE /v1/servers":         {"", 405, "method_not_allowed"},
		"GET /v1/servers/seven":      {"", 404, "not_found"},
		"GET /v1/servers/7/metrics":  {"", 404, "not_found"},
		"GET /v1/actions/7":          {"", 404, "not_found"},
		"POST /v1/servers":           {"{", 400, "json_error"},
		"PUT /v1/servers":            {"{}", 405, "method_not_allowed"},
		"GET /v1/servers?page=x":     {"", 422, "invalid_input"},
		"GET /v1/servers?per_page=x": {"", 422, "invalid_input"},
	} {
		method, path, _ := strings.Cut(call, " ")
		status, answer := w.raw(t, method, path, secret, want.body)
		if status != want.status || !strings.Contains(answer, `"code":"`+want.code+`"`) {
			t.Errorf("%s: %d %s, want %d %s", call, status, answer, want.status, want.code)
		}
	}
	if status, answer := w.raw(t, "POST", "/v1/servers", secret, `{"name":7}`); status != 422 || !strings.Contains(answer, `"name":"name"`) {
		t.Errorf("a name that is a number: %d %s", status, answer)
	}
}

func TestABodyThatIsTooLongIsRefusedAndNotTakenForNone(t *testing.T) {
	w := begin(t, hetzner.Options{})
	sv := w.create(t, order("on"))
	status, answer := w.raw(t, "POST", "/v1/servers/"+idOf(sv.ID)+"/actions/poweroff", secret, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`)
	if status != 400 || !strings.Contains(answer, `"code":"json_error"`) {
		t.Errorf("%d %s", status, answer)
	}
	if got := w.server(t, sv.ID); got.Status != hcloud.ServerStatusRunning {
		t.Errorf("it was obeyed: the server is %s", got.Status)
	}
}

func TestTheRateLimitEmptiesAndRefillsEvenly(t *testing.T) {
	clock := newClock()
	w := begin(t, hetzner.Options{Now: clock.now, Limits: hetzner.Limits{RequestsPerHour: 3}})
	ask := func() *hcloud.Response {
		t.Helper()
		_, res, err := w.client.Location.List(t.Context(), hcloud.LocationListOpts{})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	ask()
	if rate := ask().Meta.Ratelimit; rate.Limit != 3 || rate.Remaining != 1 || !rate.Reset.Equal(clock.now().Add(40*time.Minute)) {
		t.Errorf("got %+v at %v", rate, clock.now())
	}
	ask()
	_, _, err := w.client.Location.List(t.Context(), hcloud.LocationListOpts{})
	e := refused(t, err, "rate_limit_exceeded", 429)
	if e.Message != "limit of 3 requests per hour reached" || e.Response().Header.Get("Retry-After") != strconv.Itoa(20*60) {
		t.Errorf("%s, Retry-After %s", e.Message, e.Response().Header.Get("Retry-After"))
	}
	if _, _, err := w.with(other).Location.List(t.Context(), hcloud.LocationListOpts{}); err != nil {
		t.Errorf("another project has its own: %v", err)
	}
	clock.pass(20 * time.Minute)
	if rate := ask().Meta.Ratelimit; rate.Remaining != 0 {
		t.Errorf("got %+v", rate)
	}
	clock.pass(5 * time.Hour)
	if rate := ask().Meta.Ratelimit; rate.Remaining != 2 {
		t.Errorf("after hours it is full, and no fuller: %+v", rate)
	}
}

func TestAnAccountsLimitsAreKept(t *testing.T) {
	w := begin(t, hetzner.Options{Limits: hetzner.Limits{Servers: 1, PrimaryIPs: 3}})
	sv := w.create(t, order("only"))
	_, _, err := w.client.Server.Create(t.Context(), order("second"))
	if e := refused(t, err, "resource_limit_exceeded", 403); e.Message != "server limit exceeded" {
		t.Error(e.Message)
	}
	w.SetLimits(hetzner.Limits{Servers: 5, PrimaryIPs: 3})
	_, _, err = w.client.Server.Create(t.Context(), order("second"))
	if e := refused(t, err, "resource_limit_exceeded", 403); e.Message != "Primary IP limit exceeded" {
		t.Error(e.Message)
	}
	w.SetLimits(hetzner.Limits{Servers: -1})
	w.delete(t, sv)
	_, _, err = w.client.Server.Create(t.Context(), order("none"))
	wantCode(t, err, "resource_limit_exceeded", 403)
}
