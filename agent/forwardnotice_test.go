package agent

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"sam/agent/wire"
	"sam/task"
)

func TestWhatABrokerRefusesIsToldOnceAndTheWorkspaceSeesNoHeaderOfIt(t *testing.T) {
	refused := wire.Refused{Code: "push_refused", Subject: "refs/heads/main", Text: "It is the default branch;\nnobody pushes there."}
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := wire.RefusedHeader
		if r.URL.Query().Has("late") {
			name = http.TrailerPrefix + name
			_, _ = w.Write([]byte("progress"))
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set(name, refused.Header())
	}))
	t.Cleanup(gateway.Close)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	to, err := newGatewayClient(gateway.URL, nodeToken, client)
	if err != nil {
		t.Fatal(err)
	}
	var events []task.Event
	tell := &refusals{told: map[string][]string{}, emit: func(e task.Event) error { events = append(events, e); return nil }}
	f, err := startForward(t.Context(), to, "tmine", taskToken, ways{refused: tell.broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, query := range []string{"", "?late", "?late"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.base()+wire.GitPath+"tmine/info/refs"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+taskToken)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Header.Get(wire.RefusedHeader) != "" || res.Trailer.Get(wire.RefusedHeader) != "" {
			t.Errorf("%q was answered %s with %v and %v", query, res.Status, res.Header, res.Trailer)
		}
	}
	if err := f.close(t.Context()); err != nil { // all has been heard out
		t.Fatal(err)
	}
	if len(events) != 1 || events[0].Kind != task.Noticed || *events[0].Notice != (task.Notice{Code: "push_refused", Subject: "refs/heads/main"}) ||
		events[0].Text != "It is the default branch; nobody pushes there." {
		t.Errorf("told %+v", events)
	}
}

func TestRefusalsAreBoundedForEachCodeByItself(t *testing.T) {
	var codes []string
	tell := &refusals{told: map[string][]string{}, emit: func(e task.Event) error { codes = append(codes, e.Notice.Code); return nil }}
	for i := range 3 * maxRefusals {
		tell.note(hostRefused, string(rune('a'+i)), "no")
	}
	tell.note("push_refused", "v1", "no")
	if n := len(codes); n != maxRefusals+2 || !slices.Contains(codes, "push_refused") {
		t.Errorf("%d events: %v", n, codes)
	}
}
