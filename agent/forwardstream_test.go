package agent

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"sam/agent/egress"
	"sam/agent/wire"
)

// A gateway answers a request for the model as soon as it has read as many bytes as were announced. The node's transport reads
// on then, to see the end: were the request closed at the first byte of the answer, that would be an error, and the answer cut.
func TestAnAnswerThatBeginsWithTheLastByteOfItsRequestIsWhole(t *testing.T) {
	t.Parallel()
	const events = 40
	gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength); err != nil {
			return
		}
		for i := range events {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	})
	f := forwardingTo(t, gateway, egress.Options{Rules: egress.Rules{Policy: egress.Registries}})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	t.Cleanup(client.CloseIdleConnections)
	body := bytes.Repeat([]byte("x"), 100<<10)
	var senders sync.WaitGroup
	var mu sync.Mutex
	cut := map[string]int{}
	for range 16 {
		senders.Go(func() {
			for range 40 {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.base()+wire.ModelPath+"tmine/anthropic/v1/messages", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Authorization", "Bearer "+taskToken)
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				text, err := io.ReadAll(response.Body)
				response.Body.Close()
				if n := strings.Count(string(text), "data: "); err != nil || n != events {
					mu.Lock()
					cut[fmt.Sprint(response.StatusCode, " ", err)]++
					mu.Unlock()
				}
			}
		})
	}
	senders.Wait()
	if len(cut) > 0 {
		t.Errorf("answers that are not whole: %v", cut)
	}
}
