package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"sam/agent/wire"
)

// A fetch that finds nothing new is what the broker's own time shows most in: its credentials are checked against a real
// Redis, and what upstream answers is there at once.
func TestTheGitBrokerAddsUnderAMillisecond(t *testing.T) {
	if raced {
		t.Skip("what the race detector adds would be measured: the git broker's own time goes untested here, see make speed")
	}
	const rounds, most = 500, time.Millisecond
	advertisement := make([]byte, 4<<10)
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = rw.Write(advertisement)
	}))
	t.Cleanup(upstream.Close)
	w := newNodeWorld(t)
	w.github.cloneURL = upstream.URL + "/harbour/quayside.git"
	w.link("local")
	placed := w.place(1, "local")
	ask := func(address string, header http.Header) time.Duration {
		to, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		resp, err := w.client.Do((&http.Request{Method: http.MethodGet, URL: to, Header: header}).WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		took := time.Since(began)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(body) != len(advertisement) {
			t.Fatalf("%s: %s, %d bytes, %v", address, resp.Status, len(body), err)
		}
		return took
	}
	const path = "/info/refs?service=git-upload-pack"
	credentials := http.Header{
		"Authorization":      {"Bearer " + w.keys.NodeToken("local")},
		wire.TaskTokenHeader: {w.keys.taskToken(placed.ID, placed.Epoch, "local")},
	}
	var direct, brokered []time.Duration
	for range rounds {
		direct = append(direct, ask(w.github.cloneURL+path, http.Header{}))
		brokered = append(brokered, ask(w.server.URL+"/git/"+string(placed.ID)+path, credentials))
	}
	slices.Sort(direct)
	slices.Sort(brokered)
	added := brokered[rounds/2] - direct[rounds/2]
	t.Logf("the git broker adds %s at p50 and %s at p99: upstream alone takes %s and %s", added, brokered[rounds*99/100]-direct[rounds*99/100], direct[rounds/2], direct[rounds*99/100])
	if added >= most {
		t.Errorf("the git broker adds %s at p50; it may add %s", added, most)
	}
}
