package model

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// fault is an error as the API answers it.
type fault struct {
	status  int
	kind    string // the API's word for it, such as invalid_request_error
	message string
}

func (f *fault) Error() string { return fmt.Sprintf("%d %s: %s", f.status, f.kind, f.message) }

func invalid(format string, a ...any) *fault {
	return &fault{http.StatusBadRequest, "invalid_request_error", fmt.Sprintf(format, a...)}
}

func notFound(message string) *fault {
	return &fault{http.StatusNotFound, "not_found_error", message}
}

func tooLarge() *fault {
	return &fault{http.StatusRequestEntityTooLarge, "request_too_large", "Request exceeds the maximum size"}
}

// overloaded has no name in net/http: 529 is the service's own status.
func overloaded() *fault { return &fault{529, "overloaded_error", "Overloaded"} }

// body is the error's JSON, in an answer or as the data of an error event.
func (f *fault) body(requestID string) []byte {
	type inner struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	return encode(struct {
		Type      string `json:"type"`
		Error     inner  `json:"error"`
		RequestID string `json:"request_id"`
	}{"error", inner{f.kind, f.message}, requestID})
}

// refuse answers with f.
func (s *Server) refuse(w http.ResponseWriter, f *fault) {
	s.mu.Lock()
	s.totals.Refused++
	s.mu.Unlock()

	s.opts.Log.Info().Int("status", f.status).Str("error", f.kind).Str("reason", f.message).Msg("request refused")
	if f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Anthropic-Ratelimit-Requests-Remaining", "0")
	}
	if f.status >= http.StatusInternalServerError || f.status == http.StatusTooManyRequests {
		w.Header().Set("X-Should-Retry", "true")
	}
	s.send(w, f.status, f.body(w.Header().Get("Request-Id")))
}

// send writes a whole JSON body.
func (s *Server) send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil { //nolint:gosec // G705: it is JSON and says so, no page
		s.opts.Log.Debug().Err(err).Msg("the client went before its answer was written")
	}
}

// encode is for values that always have a JSON form.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return b
}
