package gateway

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sam/task"
)

// What cannot be read cannot be metered, and the client has not asked for it.
func TestACompressedAnswerIsRefused(t *testing.T) {
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(rw)
		_, _ = io.WriteString(packed, `{"type":"message","usage":{"input_tokens":1000000}}`)
		_ = packed.Close()
	}))
	w.refused(w.request(http.MethodPost, "v1/messages", ask("hello", false)), 502, "api_error", "compressed")
}

// The model may refuse before it has read all that it is asked.
func TestAnEarlyRefusalReachesTheClientWhole(t *testing.T) {
	halves := [2]string{`{"type":"error","error":{"type":"rate_limit_error",`, `"message":"slowly"}}`}
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(rw)
		if err := conn.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		rw.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(rw, halves[0])
		_ = conn.Flush()
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Errorf("the request ends with %v", err)
		}
		_, _ = io.WriteString(rw, halves[1])
	}))
	response, body, err := w.answer(w.request(http.MethodPost, "v1/messages", ask(strings.Repeat("x", 8<<20), false)))
	if err != nil || response.StatusCode != http.StatusTooManyRequests || body != halves[0]+halves[1] {
		t.Errorf("%s, %v", body, err)
	}
}

// Half a request is nothing that can be looked through, and holds its room.
func TestAClientThatStallsInItsRequestIsLetGoAndGivesItsRoomBack(t *testing.T) {
	broker := newBroker(t, "http://127.0.0.1:1")
	broker.uploading = 100 * time.Millisecond
	w := newModelWorldWith(t, broker)
	unsent, stalled := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r := w.request(http.MethodPost, "v1/messages", "").WithContext(ctx)
	r.Body, r.ContentLength = unsent, 8<<20
	w.refused(r, http.StatusRequestTimeout, "timeout_error", "did not arrive")
	_ = stalled.Close()
	w.until("its room is free", func() bool {
		broker.held.mu.Lock()
		defer broker.held.mu.Unlock()
		return broker.held.all == 0 && len(broker.held.task) == 0
	})
}

func TestATaskCannotHoldAllTheRoomForRequests(t *testing.T) {
	var held heldRequests
	var releases []func()
	for range maxHeldRequestsOfTask / maxModelRequest {
		release, ok := held.take("tgreedy", maxModelRequest)
		if !ok {
			t.Fatal("there is no room for what is allowed")
		}
		releases = append(releases, release)
	}
	if _, ok := held.take("tgreedy", 1); ok {
		t.Error("it gets more than its share")
	}
	if _, ok := held.take("tother", maxModelRequest); !ok {
		t.Error("another task gets none")
	}
	releases[0]()
	releases[0]() // as good as once
	if _, ok := held.take("tgreedy", maxModelRequest); !ok {
		t.Error("room that was given back cannot be taken")
	}
}

func TestTheNamesOfModelsWithoutAPriceDoNotPileUp(t *testing.T) {
	n := 0
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		n++
		fmt.Fprintf(rw, `{"type":"message","model":"made-up-%d","usage":{"output_tokens":1}}`, n)
	}))
	for range 3 * maxUnpriced {
		if response, body, err := w.answer(w.request(http.MethodPost, "v1/messages", "{}")); err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%v %s, %v", response, body, err)
		}
	}
	if told := strings.Count(w.log.String(), "has no price"); told != maxUnpriced {
		t.Errorf("the log tells of %d models, want the first %d", told, maxUnpriced)
	}
	if got := w.read(w.task.ID).Spent; got != (task.Spent{Requests: 3 * maxUnpriced, Output: 3 * maxUnpriced, MicroUSD: 25 * 3 * maxUnpriced}) {
		t.Errorf("spent %+v", got)
	}
}
