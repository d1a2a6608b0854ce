package github_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sam/sandbox/github"
)

// inMemory carries deliveries to a handler without a network.
type inMemory func(*http.Request) int

func (h inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	defer func() { _ = r.Body.Close() }()
	return &http.Response{StatusCode: h(r), Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func TestDeliveriesAndTheirFaultsFollowASimulatedClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []time.Time
		hub := must(github.New(github.Options{Transport: inMemory(func(r *http.Request) int {
			if r.Header.Get("X-GitHub-Event") == "issues" {
				heard = append(heard, time.Now())
			}
			return http.StatusOK
		})}))
		must(hub.CreateUser("octo"))
		must(hub.CreateRepository(github.RepositorySpec{Owner: "octo", Name: "hello"}))
		a := must(hub.CreateApp(github.AppSpec{
			Name: "Sim", Owner: "octo", WebhookURL: "http://app.invalid/hook",
			Permissions: map[string]string{"issues": "write"}, Events: []string{"issues"},
		}))
		must(hub.Install(a.ID, "octo"))
		if err := hub.SetFaults(github.Faults{Rules: []github.Rule{{Kind: github.Late, Next: 1, For: time.Hour}}}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		must(hub.CreateIssue("octo", "octo", "hello", "Slow", ""))
		if err := hub.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if len(heard) != 1 || heard[0].Sub(begun) != time.Hour {
			t.Errorf("heard at %v, begun at %v", heard, begun)
		}
		if err := hub.Close(); err != nil {
			t.Error(err)
		}
	})
}
