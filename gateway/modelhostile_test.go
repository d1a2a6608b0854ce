package gateway

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sam/task"
)

func TestAModelsNameLeadsNowhereElse(t *testing.T) {
	asked := make(chan string, 100)
	w := newModelWorld(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked <- r.URL.RequestURI()
		_, _ = io.WriteString(rw, `{"data":[]}`)
	}))
	for _, id := range []string{
		"%2e%2e", "%2E%2E", "..%2F..%2Fv1%2Fmessages%2Fbatches", "%2e%2e%2forganizations%2fme", "..%5cfiles", "a%00b", "a%3Fbeta=true", "%2Fetc", strings.Repeat("a", 300),
	} {
		r := w.request(http.MethodGet, "v1/models/x", "")
		r.URL.RawPath = strings.TrimSuffix(r.URL.EscapedPath(), "x") + id
		r.URL.Path = strings.TrimSuffix(r.URL.Path, "x") + strings.NewReplacer("%2e", ".", "%2E", ".", "%2F", "/", "%2f", "/", "%5c", `\`, "%00", "\x00", "%3F", "?").Replace(id)
		response, body, err := w.answer(r)
		if err != nil || response.StatusCode != http.StatusNotFound && response.StatusCode != http.StatusTemporaryRedirect && response.StatusCode != http.StatusMovedPermanently {
			t.Errorf("%s: %v %s, %v", id, response.Status, body, err)
		}
	}
	for _, id := range []string{"claude-opus-5-5", "claude-opus-4-1@20250805", "us.anthropic.claude-sonnet-4:0"} {
		if response, body, err := w.answer(w.request(http.MethodGet, "v1/models/"+id, "")); err != nil || response.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %s, %v", id, response.Status, body, err)
			continue
		}
		if got := <-asked; got != "/v1/models/"+id {
			t.Errorf("%s was asked for as %s", id, got)
		}
	}
	if len(asked) > 0 {
		t.Errorf("%s reached the model", <-asked)
	}
}

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
	response, body, err := w.answer(w.request(http.MethodPost, "v1/messages", strings.Repeat("x", 8<<20)))
	if err != nil || response.StatusCode != http.StatusTooManyRequests || body != halves[0]+halves[1] {
		t.Errorf("%s, %v", body, err)
	}
}

func TestARequestThatWasSentWholeIsNotFailedWhenItIsStopped(t *testing.T) {
	body := newUpload(iotest.DataErrReader(strings.NewReader("{}")), maxModelRequest) // as the server's bodies end
	if _, err := io.ReadFull(body, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if err := body.stop(); !errors.Is(err, io.EOF) {
		t.Errorf("it ended with %v", err)
	}
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the transport reads on and gets %d bytes, %v", n, err)
	}
}

func TestAClientThatStallsInItsRequestIsToldOfAnEarlyRefusal(t *testing.T) {
	const refusal = `{"type":"error"}`
	heard := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Length", strconv.Itoa(len(refusal)))
		rw.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(rw, refusal)
		_ = http.NewResponseController(rw).Flush()
		<-heard
	}))
	t.Cleanup(upstream.Close)
	broker := newBroker(t, upstream.URL)
	broker.telling = 100 * time.Millisecond
	w := newModelWorldWith(t, broker)
	unsent, stalled := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	r := w.request(http.MethodPost, "v1/messages", "").WithContext(ctx)
	r.Body, r.ContentLength = unsent, 8<<20 // Go's server reads what is shorter before it answers
	response, body, err := w.answer(r)
	close(heard)
	_ = stalled.Close()
	if err != nil || response.StatusCode != http.StatusTooManyRequests || body != refusal {
		t.Errorf("%v, %s", err, body)
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
