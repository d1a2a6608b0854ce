package github_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sam/sandbox/github"
)

// issue opens one, by which an app that listens hears "issues opened".
func (w *world) issue(title string) {
	w.t.Helper()
	_, err := w.hub.CreateIssue("robin", "octo", "hello", title, "")
	w.check(err)
}

// titles lists the issues that were heard of.
func (e *ear) titles() []string {
	var titles []string
	for _, h := range e.all() {
		_, rest, _ := strings.Cut(string(h.body), `"title":"`)
		title, _, _ := strings.Cut(rest, `"`)
		titles = append(titles, title)
	}
	return titles
}

func TestADeliveryComesLate(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.befall(github.Rule{Kind: github.Late, Next: 1, For: 2 * time.Second})
	w.issue("first")
	w.issue("second")
	if got := e.titles(); !slices.Equal(got, []string{"second", "first"}) {
		t.Errorf("heard %v", got)
	}
	if log := w.hub.Deliveries(w.app.ID); log[0].ID <= log[1].ID || log[0].GUID != e.all()[1].guid {
		t.Errorf("what came last is not the newest of the log: %v", log)
	}
	w.expectHits(map[github.FaultKind]int{github.Late: 1})
}

func TestADeliveryComesTwiceUnderOneGUIDOrTwo(t *testing.T) {
	for kind, guids := range map[github.FaultKind]int{github.Duplicate: 1, github.Twin: 2} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			e := w.listen(w.app)
			w.befall(github.Rule{Kind: kind, Next: 1, Event: "issues.opened"})
			w.issue("Slow")
			got := e.all()
			if len(got) != 2 || string(got[0].body) != string(got[1].body) || (got[0].guid == got[1].guid) != (guids == 1) {
				t.Fatalf("heard %d", len(got))
			}
			past := w.hub.History().Deliveries[1:] // past the greeting
			if len(past) != guids {
				t.Fatalf("the history has %+v", past)
			}
			if kind == github.Duplicate && len(past[0].Attempts) != 2 {
				t.Errorf("attempts %+v", past[0].Attempts)
			}
			if kind == github.Twin && (past[0].TwinOf == "") == (past[1].TwinOf == "") {
				t.Errorf("the twins are %+v", past)
			}
			w.expectHits(map[github.FaultKind]int{kind: 1})
		})
	}
}

func TestADeliveryIsOvertakenByTheNext(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.befall(github.Rule{Kind: github.Reordered, Next: 1, For: time.Minute})
	w.issue("first")
	w.issue("second")
	w.issue("third")
	if got := e.titles(); !slices.Equal(got, []string{"second", "first", "third"}) {
		t.Errorf("heard %v", got)
	}
	w.expectHits(map[github.FaultKind]int{github.Reordered: 1})
}

func TestADeliveryThatNothingOvertakesIsNoHit(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.befall(github.Rule{Kind: github.Reordered, Next: 1, For: 20 * time.Millisecond})
	w.issue("alone")
	if got := e.titles(); !slices.Equal(got, []string{"alone"}) {
		t.Errorf("heard %v", got)
	}
	w.expectHits(map[github.FaultKind]int{github.Reordered: 0})
}

func TestADeliveryFailsAndIsRedelivered(t *testing.T) {
	for kind, want := range map[github.FaultKind]struct {
		code, heard int
		status      string
	}{
		github.Unreachable: {502, 0, "failed to connect to host"},
		github.Failed:      {500, 0, "Invalid HTTP Response: 500"},
		github.FailedTaken: {500, 1, "Invalid HTTP Response: 500"},
		github.TimedOut:    {504, 1, "timed out"},
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			e := w.listen(w.app)
			w.befall(github.Rule{Kind: kind, Next: 1})
			w.issue("Slow")
			if got := e.all(); len(got) != want.heard {
				t.Errorf("heard %d", len(got))
			}
			log, _, err := w.asApp(w.app).Apps.ListHookDeliveries(t.Context(), nil)
			w.check(err)
			if log[0].GetStatusCode() != want.code || log[0].GetStatus() != want.status {
				t.Errorf("logged %v", log[0])
			}
			past := w.hub.History().Deliveries[1]
			if a := past.Attempts[0]; a.Fault != kind || a.Answered != 200*want.heard || a.StatusCode != want.code {
				t.Errorf("the history has %+v", a)
			}
			if _, res, err := w.asApp(w.app).Apps.RedeliverHookDelivery(t.Context(), log[0].GetID()); res == nil || res.StatusCode != 202 {
				t.Errorf("asking again: %v", err)
			}
			if got := e.all(); len(got) != want.heard+1 || got[want.heard].guid != log[0].GetGUID() {
				t.Errorf("then heard %d", len(got))
			}
			past = w.hub.History().Deliveries[1]
			if len(past.Attempts) != 2 || !past.Attempts[1].Redelivery || past.Attempts[1].Answered != 200 {
				t.Errorf("the history has %+v", past)
			}
			w.expectHits(map[github.FaultKind]int{kind: 1})
		})
	}
}

func TestWhatTheAppRefusedIsNotSaidToBeTaken(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	e.answer(http.StatusServiceUnavailable)
	w.befall(github.Rule{Kind: github.TimedOut, Probability: 1})
	w.issue("Slow")
	e.all()
	if d := w.hub.Deliveries(w.app.ID)[0]; d.StatusCode != 503 {
		t.Errorf("logged %+v", d)
	}
	w.expectHits(map[github.FaultKind]int{github.TimedOut: 0})
}

func TestOfSeveralAppsTheSameOneIsStruckEachTime(t *testing.T) {
	w := newWorld(t)
	apps := []int64{w.app.ID}
	for _, name := range []string{"Second App", "Third App"} {
		a := w.newApp(name, map[string]string{"issues": "write"}, "issues")
		_, err := w.hub.Install(a.ID, "octo")
		w.check(err)
		apps = append(apps, a.ID)
	}
	for _, id := range apps {
		w.check(w.hub.SetWebhook(id, w.loose+"/nobody"))
	}
	const rounds = 6
	for range rounds {
		w.befall(github.Rule{Kind: github.Failed, Next: 1})
		must(w.hub.CreateIssue("robin", "octo", "hello", "x", ""))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.check(w.hub.Settle(ctx))
	struck := map[int64]int{}
	for _, d := range w.hub.History().Deliveries {
		for _, a := range d.Attempts {
			if a.Fault == github.Failed {
				struck[d.AppID]++
			}
		}
	}
	if struck[apps[0]] != rounds || len(struck) != 1 {
		t.Errorf("struck by app: %v; want the oldest, %d, %d times", struck, apps[0], rounds)
	}
}

func TestAGreetingIsSparedFaults(t *testing.T) {
	w := newWorld(t)
	w.befall(github.Rule{Kind: github.Unreachable, Probability: 1})
	w.listen(w.app) // which fails when the ping does not come
	w.expectHits(map[github.FaultKind]int{github.Unreachable: 0})
}

func TestTheLogGoesBackThreeDays(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.issue("Slow")
	e.all()
	id := w.hub.Deliveries(w.app.ID)[0].ID
	w.clock.advance(3*24*time.Hour - time.Minute)
	w.check(w.hub.Redeliver(w.app.ID, id))
	e.all()
	w.clock.advance(2 * time.Minute)
	if err := w.hub.Redeliver(w.app.ID, id); err == nil {
		t.Error("it was redelivered after three days")
	}
	if log := w.hub.Deliveries(w.app.ID); len(log) != 1 || !log[0].Redelivery {
		t.Errorf("the log still has %v", log)
	}
	if past := w.hub.History().Deliveries; len(past) != 2 || len(past[1].Attempts) != 2 {
		t.Errorf("the history forgets: %+v", past)
	}
}

func TestTheLogTellsSuccessFromFailure(t *testing.T) {
	w := newWorld(t)
	e := w.listen(w.app)
	w.befall(github.Rule{Kind: github.Failed, Next: 2})
	for i := range 3 {
		w.issue(fmt.Sprint(i))
	}
	e.all()
	auth := "Authorization: Bearer " + w.signed()
	for status, want := range map[string]int{"failure": 2, "success": 2} { // and the greeting
		got := w.ask(http.MethodGet, w.api("/app/hook/deliveries?status="+status), "", auth)
		if n := strings.Count(string(got.body), `"guid"`); got.status != 200 || n != want {
			t.Errorf("%s: %d %s", status, got.status, got.body)
		}
	}
}

func TestAnAppThatHangsDoesNotHoldUpTheOthersDeliveries(t *testing.T) {
	w := newWorld(t)
	release, heard := make(chan struct{}), make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard <- r.Header.Get("X-GitHub-Event")
		if r.Header.Get("X-GitHub-Event") == "issues" {
			<-release
		}
	}))
	defer srv.Close()
	defer close(release)
	w.check(w.hub.SetWebhook(w.app.ID, srv.URL))
	w.issue("Slow")
	must(w.hub.CreateComment("robin", "octo", "hello", 1, "hi"))
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second) // before the first is given up
	defer cancel()
	for _, want := range []string{"ping", "issues", "issue_comment"} {
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("heard %s, want %s", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("never heard %s", want)
		}
	}
}
