package app

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"sam/sandbox/github"
)

func TestTheStandInIsToldWhatGoesWrongAndReportsIt(t *testing.T) {
	hub := startSam(t, nil, "sandbox", "github", "--listen", "127.0.0.1:0", "--dir", t.TempDir(),
		"--webhook", "http://127.0.0.1:1/hook", "--faults", "deliveries=0.5,primary_403=2x/3s", "--seed", "9")
	base := strings.TrimSpace(strings.TrimPrefix(hub.line(t, "GitHub's stand-in"), "GitHub's stand-in"))
	hub.line(t, "sam serve --config")

	ask := func(path string, into any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: newTransport()}
		defer client.CloseIdleConnections()
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s: %v: %s", path, err, text)
		}
	}
	want, err := github.ParseFaults("deliveries=0.5,primary_403=2x/3s")
	if err != nil {
		t.Fatal(err)
	}
	var report github.FaultReport
	ask("/_sandbox/faults", &report)
	var got []github.Rule
	for _, r := range report.Rules {
		got = append(got, r.Rule)
	}
	if report.Seed != 9 || !reflect.DeepEqual(got, want.Rules) {
		t.Errorf("the stand-in has %+v", report)
	}
	var history github.History
	ask("/_sandbox/history", &history)
	if len(history.Issues) != 1 || history.Issues[0].Repository != "harbour/quayside" {
		t.Errorf("the history has %+v", history.Issues)
	}
}
