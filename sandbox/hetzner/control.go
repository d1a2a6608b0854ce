package hetzner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"sam/sandbox/dice"
)

// controlPath is where what Hetzner has not is found.
const controlPath = "/_sandbox/"

// control answers below controlPath, in JSON. It asks nobody who they are, so it
// belongs on loopback; what a browser sends from another origin is refused.
//
//	GET    /_sandbox/faults             FaultReport
//	PUT    /_sandbox/faults             Faults: replaces all rules
//	DELETE /_sandbox/faults             nothing goes wrong any more
//	GET    /_sandbox/history            History
//	GET    /_sandbox/billing            Billing
//	PUT    /_sandbox/limits             Limits
//	PUT    /_sandbox/stock              {"type": …, "location": …, "sold_out": true}
//	DELETE /_sandbox/types/{name}       the type is offered no longer
//	POST   /_sandbox/tokens             Token
//	DELETE /_sandbox/tokens             {"token": …}: withdraws it
//	GET    /_sandbox/servers/{id}/log   {"log": …}: what its machine printed while it booted
//	DELETE /_sandbox/servers/{id}/machine   its machine dies; the API goes on saying that it runs
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, serve func(r *http.Request) (any, error)) {
		mux.HandleFunc(strings.Replace(pattern, " ", " "+controlPath, 1), func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
			body, err := serve(r)
			tellControl(w, body, err)
		})
	}
	on("GET faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	on("PUT faults", controlled(func(f Faults) error { return s.SetFaults(f) }))
	on("DELETE faults", func(*http.Request) (any, error) { return nil, s.SetFaults(Faults{}) })
	on("GET history", func(*http.Request) (any, error) { return s.History(), nil })
	on("GET billing", func(*http.Request) (any, error) { return s.Billing(), nil })
	on("PUT limits", controlled(func(l Limits) error { s.SetLimits(l); return nil }))
	on("PUT stock", controlled(func(ask struct {
		Type     string `json:"type"`
		Location string `json:"location"`
		SoldOut  bool   `json:"sold_out"`
	}) error {
		if !s.SetSoldOut(ask.Type, ask.Location, ask.SoldOut) {
			return fmt.Errorf("there is no type %q in location %q", ask.Type, ask.Location)
		}
		return nil
	}))
	on("DELETE types/{name}", func(r *http.Request) (any, error) {
		if !s.RemoveType(r.PathValue("name")) {
			return nil, noSuchPath()
		}
		return nil, nil
	})
	on("POST tokens", controlled(s.AddToken))
	on("DELETE tokens", controlled(func(t Token) error { s.RevokeToken(t.Secret); return nil }))
	on("GET servers/{id}/log", controlledServer(func(id int64) (any, error) {
		log, err := s.MachineLog(id)
		return object{"log": log}, err
	}))
	on("DELETE servers/{id}/machine", controlledServer(func(id int64) (any, error) { return nil, s.KillMachine(id) }))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		tellControl(w, nil, refuse(http.StatusNotFound, "not_found", fmt.Sprintf("there is no %s %s; see docs/sandbox.md", r.Method, r.URL.Path)))
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

func tellControl(w http.ResponseWriter, body any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusUnprocessableEntity
		if refusal := (*Error)(nil); errors.As(err, &refusal) {
			status = refusal.Status
		}
		body = object{"message": err.Error()}
	}
	w.Header().Set("Cache-Control", "no-store")
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"message":"the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone needs no answer
}

// controlled reads a body of JSON, refuses what it has no place for, and does
// something with the rest.
func controlled[T any](do func(T) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		var ask T
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return nil, refuse(http.StatusUnsupportedMediaType, "", "send JSON, with Content-Type: application/json")
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, refuse(http.StatusRequestEntityTooLarge, "", "the body could not be read: "+err.Error())
		}
		if err := dice.Decode(body, &ask); err != nil {
			return nil, fmt.Errorf("the body is not as it should be: %w", err)
		}
		return nil, do(ask)
	}
}

// controlledServer does something with the server of the path.
func controlledServer(do func(int64) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, notFound("server", 0)
		}
		return do(id)
	}
}
