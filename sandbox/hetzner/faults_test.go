package hetzner_test

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"sam/sandbox/hetzner"
)

func TestAFaultIsAnsweredWithHetznersCodeAndNothingIsDone(t *testing.T) {
	w := begin(t, hetzner.Options{})
	for kind, want := range map[hetzner.FaultKind]struct {
		code   string
		status int
	}{
		hetzner.ResourceUnavailable: {"resource_unavailable", 412},
		hetzner.UnsupportedLocation: {"invalid_input", 422},
		hetzner.PlacementError:      {"placement_error", 422},
		hetzner.TypeDeprecated:      {"invalid_input", 422},
		hetzner.LimitExceeded:       {"resource_limit_exceeded", 403},
		hetzner.UniquenessError:     {"uniqueness_error", 409},
		hetzner.Locked:              {"locked", 423},
		hetzner.Conflict:            {"conflict", 409},
		hetzner.Protected:           {"protected", 423},
		hetzner.Maintenance:         {"maintenance", 403},
		hetzner.Unavailable:         {"unavailable", 503},
		hetzner.ServiceError:        {"service_error", 422},
		hetzner.ServerError:         {"server_error", 500},
		hetzner.Forbidden:           {"forbidden", 403},
		hetzner.TokenReadonly:       {"token_readonly", 401},
		hetzner.Timeout:             {"timeout", 504},
	} {
		w.fault(t, hetzner.Rule{Kind: kind, Method: "POST", Path: "/servers"})
		_, _, err := w.client.Server.Create(t.Context(), order("struck"))
		wantCode(t, err, want.code, want.status)
		if w.Faults().Hits[kind] != 1 {
			t.Errorf("%s struck %d times", kind, w.Faults().Hits[kind])
		}
	}
	if all, err := w.client.Server.All(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d servers, %v", len(all), err)
	}
	w.create(t, order("spared")) // the rule is spent
}

func TestABadGatewayIsAPageAndTheClientsErrorHasNoCode(t *testing.T) {
	w := begin(t, hetzner.Options{})
	w.fault(t, hetzner.Rule{Kind: hetzner.BadGateway})
	_, err := w.client.Server.All(t.Context())
	if !errors.Is(err, hcloud.ErrStatusCode) || !strings.Contains(err.Error(), "502") {
		t.Errorf("got %v", err)
	}
}

func TestAServerIsMadeThoughTheReplyIsLost(t *testing.T) {
	for _, kind := range []hetzner.FaultKind{hetzner.AnswerLost, hetzner.BadGatewayAfter, hetzner.TimeoutAfter} {
		w := begin(t, hetzner.Options{})
		w.fault(t, hetzner.Rule{Kind: kind, Path: "/servers"})
		if _, _, err := w.client.Server.Create(t.Context(), order("lost")); err == nil {
			t.Errorf("%s: the reply came", kind)
		}
		sv, _, err := w.client.Server.GetByName(t.Context(), "lost")
		if err != nil || sv == nil {
			t.Errorf("%s: %+v, %v", kind, sv, err)
		}
		_, _, err = w.client.Server.Create(t.Context(), order("lost"))
		wantCode(t, err, "uniqueness_error", 409)
		calls := w.History().Calls
		if calls[0].Status != http.StatusCreated && kind != hetzner.TimeoutAfter || calls[0].Fault != kind || w.Faults().Hits[kind] != 1 {
			t.Errorf("%s: history has %+v", kind, calls[0])
		}
	}
}

func TestAClientThatTriesAgainAfterALostReplyIsToldThatTheNameIsTaken(t *testing.T) {
	w := begin(t, hetzner.Options{})
	w.fault(t, hetzner.Rule{Kind: hetzner.TimeoutAfter, Path: "/servers"})
	stubborn := hcloud.NewClient(hcloud.WithToken(secret), hcloud.WithEndpoint(w.url+"/v1"), hcloud.WithHTTPClient(w.http),
		hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: hcloud.ConstantBackoff(time.Millisecond), MaxRetries: 3}))
	_, _, err := stubborn.Server.Create(t.Context(), order("twice"))
	wantCode(t, err, "uniqueness_error", 409)
}

func TestAListMayNotHaveYetWhatWasJustMade(t *testing.T) {
	clock := newClock()
	w := begin(t, hetzner.Options{Now: clock.now})
	if _, _, err := w.client.Server.Create(t.Context(), order("fresh")); err != nil {
		t.Fatal(err)
	}
	w.fault(t, hetzner.Rule{Kind: hetzner.StaleList, Path: "/servers", Next: 2})
	for _, want := range []struct {
		wait time.Duration
		n    int
	}{{0, 0}, {11 * time.Second, 1}} {
		clock.pass(want.wait)
		if all, err := w.client.Server.All(t.Context()); err != nil || len(all) != want.n {
			t.Errorf("%d servers, %v; want %d", len(all), err, want.n)
		}
	}
	if hits := w.Faults().Hits[hetzner.StaleList]; hits != 1 {
		t.Errorf("%d hits", hits)
	}
}

func TestATokenIsRevokedUnderway(t *testing.T) {
	w := begin(t, hetzner.Options{})
	w.fault(t, hetzner.Rule{Kind: hetzner.TokenRevoked, Skip: 1, Next: 1})
	if _, err := w.client.Server.All(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := w.client.Server.All(t.Context())
		wantCode(t, err, "unauthorized", 401)
	}
}

func TestARateLimitOnRequestLastsUntilTheBucketFills(t *testing.T) {
	clock := newClock()
	w := begin(t, hetzner.Options{Now: clock.now})
	w.fault(t, hetzner.Rule{Kind: hetzner.RateLimit})
	for range 2 { // the second has no rule left to strike it
		_, err := w.client.Server.All(t.Context())
		wantCode(t, err, "rate_limit_exceeded", 429)
	}
	clock.pass(time.Second)
	if _, err := w.client.Server.All(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnActionFailsOrTakesItsTime(t *testing.T) {
	w := begin(t, hetzner.Options{})
	w.fault(t, hetzner.Rule{Kind: hetzner.ActionFailed, Path: "/create_server"})
	made, _, err := w.client.Server.Create(t.Context(), order("failing"))
	if err != nil {
		t.Fatal(err)
	}
	err = w.client.Action.WaitFor(t.Context(), made.Action)
	if failed := (hcloud.ActionError{}); !errors.As(err, &failed) || failed.Code != "action_failed" {
		t.Fatalf("got %v", err)
	}
	if err := w.client.Action.WaitFor(t.Context(), made.NextActions...); err != nil {
		t.Fatal(err)
	}
	sv := w.server(t, made.Server.ID)
	if sv.Status != hcloud.ServerStatusOff {
		t.Errorf("status %s", sv.Status)
	}

	w.fault(t, hetzner.Rule{Kind: hetzner.ActionFailed, Path: "/delete_server"})
	gone, _, err := w.client.Server.DeleteWithResult(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Action.WaitFor(t.Context(), gone.Action); err == nil {
		t.Error("it did not fail")
	}
	if w.server(t, sv.ID) == nil {
		t.Error("it is gone though its deletion failed")
	}

	w.fault(t, hetzner.Rule{Kind: hetzner.ActionSlow, Path: "/delete_server", For: hetzner.Duration(time.Hour)})
	slow, _, err := w.client.Server.DeleteWithResult(t.Context(), sv)
	if err != nil {
		t.Fatal(err)
	}
	if a, _, err := w.client.Action.GetByID(t.Context(), slow.Action.ID); err != nil || a.Status != hcloud.ActionStatusRunning {
		t.Errorf("got %+v, %v", a, err)
	}
	if got := w.server(t, sv.ID); got == nil || got.Status != hcloud.ServerStatusDeleting {
		t.Errorf("got %+v", got)
	}
}

func TestFaultsAreWrittenInWordsOrJSON(t *testing.T) {
	words, err := hetzner.ParseFaults("resource_unavailable=2x, answer_lost=0.1,machine_boots_slowly=1x/20s")
	if err != nil {
		t.Fatal(err)
	}
	want := []hetzner.Rule{
		{Kind: "resource_unavailable", Next: 2}, {Kind: "answer_lost", Probability: 0.1},
		{Kind: "machine_boots_slowly", Next: 1, For: hetzner.Duration(20 * time.Second)},
	}
	if !reflect.DeepEqual(words.Rules, want) {
		t.Errorf("got %+v", words.Rules)
	}
	inJSON, err := hetzner.ParseFaults(`{"seed":7,"rules":[{"kind":"action_slow","next":1,"for":"1.5s","path":"/create_*"}]}`)
	if err != nil || inJSON.Seed != 7 || inJSON.Rules[0].For != hetzner.Duration(1500*time.Millisecond) {
		t.Errorf("got %+v, %v", inJSON, err)
	}
	for text, why := range map[string]string{
		"":                             "kind=probability",
		"flood=1x":                     "no such kind",
		"locked=x":                     "invalid syntax",
		"locked=2":                     "from 0 to 1",
		"locked=0":                     "never strikes",
		"locked=-1x":                   "negative",
		"locked=1x/2s":                 "does not last",
		"action_slow=1x/soon":          "duration",
		`{"rules":[{"kid":"locked"}]}`: "unknown field",
		`{} {}`:                        "more than one",
		`{"rules":[{"kind":"locked","next":1,"method":"post"}]}`:            "capitals",
		`{"rules":[{"kind":"locked","next":1,"path":"servers"}]}`:           "no pattern",
		`{"rules":[{"kind":"locked","next":1,"path":"/["}]}`:                "no pattern",
		`{"rules":[{"kind":"action_failed","next":1,"method":"POST"}]}`:     "only a call",
		`{"rules":[{"kind":"meteor","next":1}]}`:                            "is none of",
		`{"rules":[{"kind":"action_slow","next":1,"for":"quite a while"}]}`: "duration",
	} {
		if _, err := hetzner.ParseFaults(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", text, err, why)
		}
	}
}

func TestTheSameSeedStrikesTheSameCalls(t *testing.T) {
	strikes := func(seed uint64) string {
		w := begin(t, hetzner.Options{})
		if err := w.SetFaults(hetzner.Faults{Seed: seed, Rules: []hetzner.Rule{{Kind: hetzner.Conflict, Probability: 0.5}}}); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for range 32 {
			if _, err := w.client.Server.All(t.Context()); err != nil {
				out.WriteString("x")
			} else {
				out.WriteString(".")
			}
		}
		return out.String()
	}
	one := strikes(1)
	if one != strikes(1) || one == strikes(2) || !strings.Contains(one, "x") || !strings.Contains(one, ".") {
		t.Errorf("seed 1 gives %s", one)
	}
}
