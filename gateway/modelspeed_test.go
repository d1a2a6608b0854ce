package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// conversation is a request of about that many bytes: code and words, with the quotes and line ends that they have.
func conversation(size int) string {
	const turn = `{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"Read","input":{"file_path":"/workspace/api/upload.go"}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"`
	text := strings.Repeat(`func (s *Server) upload(w http.ResponseWriter, r *http.Request) {\n\tif r.Method != \"POST\" { // größer geht nicht\n`, 30)
	var turns []string
	for n := 0; n < size; n += len(turn) + len(text) {
		turns = append(turns, turn+text+`"}]}`)
	}
	return `{"model":"claude-opus-5-5","max_tokens":1000,"stream":true,"messages":[` + strings.Join(turns, ",") + `]}`
}

// The broker has a request whole before the model gets any of it, so what it adds grows with what is asked. An agent asks again with
// every step, and with all that was said before.
func TestTheModelBrokerAddsUnderAMillisecond(t *testing.T) {
	if raced {
		t.Skip("what the race detector adds would be measured: the model broker's own time goes untested here, see make speed")
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, "event: ping\ndata: {\"type\":\"ping\"}\n\n")
	}))
	t.Cleanup(upstream.Close)
	w := newModelWorldOn(t, upstream.URL)
	firstByte := func(r *http.Request) time.Duration {
		began := time.Now()
		response, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		_, err = response.Body.Read(make([]byte, 1))
		took := time.Since(began)
		if _, rest := io.Copy(io.Discard, response.Body); err != nil || rest != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v, %v", response.Status, err, rest)
		}
		return took
	}
	for _, c := range []struct {
		size, rounds int
		most         time.Duration
	}{{108 << 10, 300, time.Millisecond}, {1 << 20, 60, 8 * time.Millisecond}} {
		t.Run(fmt.Sprintf("%d KiB", c.size>>10), func(t *testing.T) {
			body := conversation(c.size)
			var direct, brokered, checked []time.Duration
			for range c.rounds {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, upstream.URL, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				direct = append(direct, firstByte(r))
				brokered = append(brokered, firstByte(w.request(http.MethodPost, "v1/messages", body)))
				began := time.Now()
				if err := (modelRules{}).check([]byte(body)); err != nil {
					t.Fatal(err)
				}
				checked = append(checked, time.Since(began))
			}
			p50 := func(all []time.Duration) time.Duration { slices.Sort(all); return all[len(all)/2] }
			added := p50(brokered) - p50(direct)
			t.Logf("the model broker adds %s at p50 to %d bytes' first byte, of which looking through them is %s; the model alone takes %s",
				added, len(body), p50(checked), p50(direct))
			if added >= c.most {
				t.Errorf("the model broker adds %s at p50; it may add %s", added, c.most)
			}
		})
	}
}
