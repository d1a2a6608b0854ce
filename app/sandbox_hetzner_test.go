package app

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"sam/sandbox/hetzner"
)

func TestTheStandInForHetznerIsServedUntilItIsStopped(t *testing.T) {
	cloud := startSam(t, nil, "sandbox", "hetzner", "--listen", "127.0.0.1:0", "--token", "mine",
		"--faults", "locked=1x,answer_lost=0.5", "--seed", "9")
	base := strings.TrimSpace(strings.TrimPrefix(cloud.line(t, "Hetzner's stand-in"), "Hetzner's stand-in"))
	if said := cloud.line(t, "export HCLOUD_ENDPOINT="); !strings.HasSuffix(said, "HCLOUD_ENDPOINT="+base+" HCLOUD_TOKEN=mine") {
		t.Errorf("it says %q", said)
	}
	if said := cloud.line(t, "Faults"); !strings.HasSuffix(said, "2 rules, seed 9") {
		t.Errorf("it says %q", said)
	}
	ask := func(token string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/servers", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Transport: newTransport()}
		defer client.CloseIdleConnections()
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		return res.StatusCode
	}
	for _, of := range []struct {
		token  string
		status int
	}{{"guessed", http.StatusUnauthorized}, {"mine", http.StatusLocked}, {"mine", http.StatusOK}, {hetznerReadOnly, http.StatusOK}} {
		if got := ask(of.token); got != of.status {
			t.Errorf("with token %s: %d, want %d", of.token, got, of.status)
		}
	}
}

func TestTheStandInForHetznerRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for words, why := range map[string]string{
		"--pace slow":            "there are brisk and measured",
		"--boot qemu":            "there are none and container",
		"--reach 127.0.0.1:8080": "without --boot container",
		"--faults flood=1x":      "there is no such kind",
		"--faults locked=2":      "not from 0 to 1",
		"--token=":               "needs its secret",
	} {
		var out strings.Builder
		ctx, cancel := context.WithCancel(t.Context())
		cmd := newSandboxHetzner()
		cmd.SetArgs(strings.Fields(words))
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", words, err, why)
		}
	}
}

func TestTheDocumentationNamesEveryFaultOfHetzners(t *testing.T) {
	page, err := os.ReadFile("../docs/sandbox.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "# The stand-in for Hetzner")
	for _, kind := range hetzner.FaultKinds() {
		if !strings.Contains(text, "`"+string(kind)+"`") {
			t.Errorf("docs/sandbox.md does not name %s", kind)
		}
	}
}
