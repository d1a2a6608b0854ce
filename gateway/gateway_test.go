package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"sam/agent/wire"
	"sam/task"
)

// strangers are headers that make nobody of a request.
func strangers(t *testing.T, k Keys) map[string]http.Header {
	t.Helper()
	local := k.NodeToken("local")
	_, mac, _ := strings.Cut(local, ".")
	return map[string]http.Header{
		"no credential":                     {},
		"an empty one":                      bearer(""),
		"a node's name alone":               bearer("local"),
		"another node's mac":                bearer("other." + mac),
		"a mac without a name":              bearer("." + mac),
		"one of another server":             bearer(testKeys(t, "a secret of another house").NodeToken("local")),
		"the right one, not as a bearer":    {"Authorization": {"Basic " + local}},
		"the token of a task":               bearer(k.taskToken("t1", 1, "local")),
		"the right one in the wrong header": {wire.TaskTokenHeader: {local}},
	}
}

func TestWithoutANodesCredentialTheDoorStaysShut(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	for name, header := range strangers(t, w.keys) {
		conn, status, err := w.try(header)
		if err == nil {
			_ = conn.CloseNow()
		}
		if status != http.StatusUnauthorized {
			t.Errorf("%s: a link is answered with %d", name, status)
		}
		if status, _ := w.fetchToken(header, `{"task":"t1","epoch":1}`); status != http.StatusUnauthorized {
			t.Errorf("%s: a request for a token is answered with %d", name, status)
		}
	}
	if n := w.node("local"); n.State != task.NodeBooting {
		t.Errorf("the node is %s", n.State)
	}
}

func (w *nodeWorld) fetchToken(header http.Header, body string) (int, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL+wire.FetchTokenPath, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header.Clone()
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Cache-Control") != "no-store" {
		w.t.Error("a token may be cached")
	}
	return resp.StatusCode, string(answer)
}

func TestAFetchTokenIsForTheNodeAndTheAttemptThatRuns(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	w.link("local")
	running := w.place(1, "local")
	again := w.place(2, "local")
	before := refOf(again)
	again = w.placeAgain(w.move(w.lose(again), task.Placing), "local")
	over := w.move(w.place(3, "local"), task.Cancelled)

	request := func(ref wire.Ref) string {
		b, err := json.Marshal(wire.FetchTokenRequest{Ref: ref})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		node, body string
		want       int
	}{
		"a task that the node prepares":   {"local", request(refOf(running)), http.StatusOK},
		"a second attempt":                {"local", request(refOf(again)), http.StatusOK},
		"the attempt before":              {"local", request(before), http.StatusForbidden},
		"an attempt to come":              {"local", request(wire.Ref{Task: string(running.ID), Epoch: running.Epoch + 1}), http.StatusForbidden},
		"another node's task":             {"other", request(refOf(running)), http.StatusForbidden},
		"a task that is over":             {"local", request(refOf(over)), http.StatusForbidden},
		"a task that nobody made":         {"local", request(wire.Ref{Task: "tnone", Epoch: 1}), http.StatusForbidden},
		"no task at all":                  {"local", `{}`, http.StatusForbidden},
		"what is not JSON":                {"local", `task=t1`, http.StatusBadRequest},
		"nothing":                         {"local", ``, http.StatusBadRequest},
		"an epoch that is no number":      {"local", `{"task":"t1","epoch":"one"}`, http.StatusBadRequest},
		"more than a request can be long": {"local", `{"task":"` + strings.Repeat("t", 5000) + `"}`, http.StatusBadRequest},
	} {
		status, answer := w.fetchToken(bearer(w.keys.NodeToken(c.node)), c.body)
		if status != c.want {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		var reply wire.FetchTokenReply
		if status == http.StatusOK && (json.Unmarshal([]byte(answer), &reply) != nil || reply.Token != fetchTokenValue) {
			t.Errorf("%s: %s", name, answer)
		}
		if status != http.StatusOK && strings.Contains(answer, fetchTokenValue) {
			t.Errorf("%s: a refusal holds the token", name)
		}
	}
}

func TestWhenGitHubIsAwayTheNodeIsToldToTryAgainAndNoMore(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	w.link("local")
	placed := w.place(1, "local")
	w.github.away = true
	status, answer := w.fetchToken(bearer(w.keys.NodeToken("local")), `{"task":"`+string(placed.ID)+`","epoch":1}`)
	if status != http.StatusBadGateway || !strings.Contains(answer, "try again") || strings.Contains(answer, "ghs_") {
		t.Errorf("%d %s", status, answer)
	}
}

func TestAGatewayThatClosesTellsItsNodesAndNotesThemOutOfReach(t *testing.T) {
	t.Parallel()
	w := newNodeWorld(t)
	p, _ := w.link("local")
	silent := w.dial("other") // has not said hello
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		w.gateway.Close()
	}()
	for _, p := range []*peer{p, silent} {
		if c := p.ended(); c.Code != websocket.StatusGoingAway || !strings.Contains(c.Reason, "dial again") {
			t.Errorf("closed with %v", c)
		}
	}
	<-closed
	if n := w.node("local"); n.State != task.NodeLost {
		t.Errorf("the node is %s", n.State)
	}
	if _, status, _ := w.try(bearer(w.keys.NodeToken("local"))); status != http.StatusServiceUnavailable {
		t.Errorf("a link to a closed gateway is answered with %d", status)
	}
}
