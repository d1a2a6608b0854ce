package github_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"sam/sandbox/github"
)

// befall makes faults strike, and says at the end of the test which did.
func (w *world) befall(rules ...github.Rule) {
	w.t.Helper()
	w.check(w.hub.SetFaults(github.Faults{Seed: 7, Rules: rules}))
}

// expectHits compares how often each kind of fault has had its effect.
func (w *world) expectHits(want map[github.FaultKind]int) {
	w.t.Helper()
	if got := w.hub.Faults().Hits; !reflect.DeepEqual(got, want) {
		w.t.Errorf("hits %v, want %v", got, want)
	}
}

func TestTheSameSeedAndCallsFailInTheSamePlaces(t *testing.T) {
	pattern := func(seed uint64) string {
		w := newWorld(t)
		auth := "Authorization: token " + w.token(nil)
		w.check(w.hub.SetFaults(github.Faults{Seed: seed, Rules: []github.Rule{{Kind: github.BadGateway, Probability: 0.3}}}))
		var seen strings.Builder
		for range 40 {
			if w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", auth).status == http.StatusOK {
				seen.WriteByte('.')
			} else {
				seen.WriteByte('x')
			}
		}
		return seen.String()
	}
	first, again, other := pattern(1), pattern(1), pattern(2)
	if first != again || first == other {
		t.Errorf("seed 1: %s, then %s; seed 2: %s", first, again, other)
	}
	if n := strings.Count(first, "x"); n < 4 || n > 24 {
		t.Errorf("%d of 40 failed at a probability of 0.3", n)
	}
}

func TestARuleStrikesWhatItNamesAndIsSpent(t *testing.T) {
	w := newWorld(t)
	auth := "Authorization: token " + w.token(nil)
	w.befall(github.Rule{Kind: github.BadGateway, Next: 2, Skip: 1, Method: "GET", Path: "/repos/{owner}/*/issues/**"})
	var got []int
	for _, path := range []string{
		"/repos/octo/hello", "/repos/octo/hello/issues/comments", "/repos/octo/hello/issues/comments",
		"/repos/octo/hello/pulls", "/repos/octo/secret/issues/comments", "/repos/octo/hello/issues/comments",
	} {
		got = append(got, w.ask(http.MethodGet, w.api(path), "", auth).status)
	}
	if want := []int{200, 200, 502, 200, 502, 200}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	r := w.hub.Faults().Rules[0]
	if r.Matched != 3 || r.Struck != 2 {
		t.Errorf("matched %d, struck %d", r.Matched, r.Struck)
	}
	w.expectHits(map[github.FaultKind]int{github.BadGateway: 2})
}

func TestPeopleAreSparedFaults(t *testing.T) {
	w := newWorld(t)
	w.befall(github.Rule{Kind: github.BadGateway, Probability: 1}, github.Rule{Kind: github.Git502, Probability: 1})
	octo := must(w.hub.CreatePersonalToken("octo"))
	if got := w.ask(http.MethodGet, w.api("/repos/octo/hello"), "", "Authorization: token "+octo); got.status != 200 {
		t.Errorf("a person's call: %d", got.status)
	}
	w.mustGit(w.dir, "ls-remote", w.remote("secret", octo))
	w.expectHits(map[github.FaultKind]int{github.BadGateway: 0, github.Git502: 0})
}

func TestFaultsAreReadFromACommandLine(t *testing.T) {
	f, err := github.ParseFaults("late=0.25/1500ms, push_answer_lost=2x,git=0.1")
	if err != nil {
		t.Fatal(err)
	}
	want := []github.Rule{
		{Kind: github.Late, Probability: 0.25, For: 1500 * time.Millisecond}, {Kind: github.PushAnswerLost, Next: 2},
		{Kind: github.TokenForgotten, Probability: 0.1}, {Kind: github.Git502, Probability: 0.1},
		{Kind: github.Git503, Probability: 0.1}, {Kind: github.PushAnswerLost, Probability: 0.1},
	}
	if !reflect.DeepEqual(f.Rules, want) {
		t.Errorf("read %+v", f.Rules)
	}
	all, err := github.ParseFaults("all=0.1/3s")
	if err != nil || len(all.Rules) != len(github.FaultKinds()) {
		t.Errorf("all: %d rules of %d kinds, %v", len(all.Rules), len(github.FaultKinds()), err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	back, err := github.ParseFaults(string(text))
	if err != nil || !reflect.DeepEqual(back, all) {
		t.Errorf("%s reads as %+v, %v", text, back, err)
	}
}

func TestFaultsThatCannotBeMeantAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"slow=0.1":             "there is no such kind",
		"late":                 "write it as kind=probability",
		"late=1.5":             "not from 0 to 1",
		"late=often":           "invalid syntax",
		"late=0":               "it never strikes",
		"failed=0.1/2s":        "it does not last",
		"late=0.1/soon":        "invalid duration",
		`{"rules":[{}]}`:       "is none of late",
		`{"rules":[],"x":1}`:   `unknown field "x"`,
		`{"rules":[]} {}`:      "more than one JSON value",
		rule(`"event":"push"`): "has a method and a path",
		rule(`"path":"repos"`): "does not begin with /",
		rule(`"method":"get"`): "not in capitals",
		rule(`"times":2`):      "times is for not_found_yet",
		rule(`"chance":2`):     `unknown field "chance"`,
		rule(`"next":-1`):      "must not be negative",
		`{"rules":[{"kind":"late","next":1,"path":"/"}]}`:                  "a delivery has an event",
		`{"rules":[{"kind":"bad_gateway_after","next":1,"method":"GET"}]}`: "no effect to be after",
		`{"rules":[{"kind":"late","next":1,"for":"2"}]}`:                   "missing unit",
	} {
		if _, err := github.ParseFaults(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	w := newWorld(t)
	if err := w.hub.SetFaults(github.Faults{Rules: []github.Rule{{Kind: "x", Next: 1}}}); err == nil {
		t.Error("a kind that does not exist was taken")
	}
}

func rule(more string) string {
	return fmt.Sprintf(`{"rules":[{"kind":"bad_gateway","probability":0.5,%s}]}`, more)
}
