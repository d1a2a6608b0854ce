package github

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

// controlPath is where what no GitHub has is found: no account can be called so.
const controlPath = "/_sandbox/"

// control answers below controlPath, in JSON: faults, the history, and the acts
// for which GitHub has no API. Like the pages it asks nobody who they are, so it
// belongs on loopback; what a browser sends from another origin is refused.
//
//	GET    /_sandbox/faults                  FaultReport
//	PUT    /_sandbox/faults                  Faults: replaces all rules
//	DELETE /_sandbox/faults                  nothing goes wrong any more
//	PUT    /_sandbox/limits                  {"content": ContentLimits, "requests_per_hour": 5000}, either of them
//	GET    /_sandbox/history                 History
//	POST   /_sandbox/tokens                  {"login": …}: {"token": …}, a person's
//	POST   /_sandbox/users                   {"login": …, "owner": …}: an organisation when an owner is given
//	POST   /_sandbox/repositories            newRepository
//	GET    /_sandbox/installations           list of Installation
//	POST   /_sandbox/installations           {"app_id": …, "account": …, "repositories": […]}; no repositories: all
//	DELETE /_sandbox/installations/{id}
//	PUT    /_sandbox/installations/{id}/suspended
//	DELETE /_sandbox/installations/{id}/suspended
//	POST   /_sandbox/repositories/{owner}/{repo}/issues/{number}/delete   {"actor": …}
//
// Renames and transfers, edits, merges and the rest have their places in GitHub's
// own API, with a person's token.
func (s *Server) control() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, status int, serve func(r *http.Request) (any, error)) {
		mux.HandleFunc(strings.Replace(pattern, " ", " "+controlPath, 1), func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
			body, err := serve(r)
			s.tellControl(w, status, body, err)
		})
	}
	on("GET faults", http.StatusOK, func(*http.Request) (any, error) { return s.Faults(), nil })
	on("PUT faults", http.StatusOK, s.controlFaults)
	on("DELETE faults", http.StatusOK, func(*http.Request) (any, error) {
		err := s.SetFaults(Faults{})
		return s.Faults(), err
	})
	on("PUT limits", http.StatusNoContent, s.controlLimits)
	on("GET history", http.StatusOK, func(*http.Request) (any, error) { return s.History(), nil })
	on("POST tokens", http.StatusCreated, s.controlToken)
	on("POST users", http.StatusCreated, s.controlUser)
	on("POST repositories", http.StatusCreated, s.controlRepository)
	on("POST repositories/{owner}/{repo}/issues/{number}/delete", http.StatusNoContent, s.controlDelete)
	on("GET installations", http.StatusOK, func(*http.Request) (any, error) { return s.allInstallations(), nil })
	on("POST installations", http.StatusCreated, s.controlInstall)
	on("DELETE installations/{id}", http.StatusNoContent, onControlled(s.Uninstall))
	on("PUT installations/{id}/suspended", http.StatusNoContent, onControlled(s.Suspend))
	on("DELETE installations/{id}/suspended", http.StatusNoContent, onControlled(s.Unsuspend))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.tellControl(w, 0, nil, refuse(http.StatusNotFound, fmt.Sprintf("there is no %s %s; see docs/sandbox.md", r.Method, r.URL.Path)))
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

func (s *Server) tellControl(w http.ResponseWriter, status int, body any, err error) {
	if err != nil {
		status = http.StatusInternalServerError
		var refusal *Error
		if errors.As(err, &refusal) {
			status = refusal.Status
		}
		body = object{"message": err.Error()}
	}
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"message":"the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_, _ = w.Write(text) // a client that is gone needs no answer
	}
}

// readControl reads a body of JSON and refuses what it has no place for.
func readControl(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "send JSON, with Content-Type: application/json")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return refuse(http.StatusRequestEntityTooLarge, "the body could not be read: "+err.Error())
	}
	if err := dice.Decode(body, into); err != nil {
		return refuse(http.StatusUnprocessableEntity, "the body is not as it should be: "+err.Error())
	}
	return nil
}

func (s *Server) controlFaults(r *http.Request) (any, error) {
	var ask Faults
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	if err := s.SetFaults(ask); err != nil {
		return nil, refuse(http.StatusUnprocessableEntity, err.Error())
	}
	return s.Faults(), nil
}

func (s *Server) controlLimits(r *http.Request) (any, error) {
	var ask struct {
		Content         *ContentLimits `json:"content"`
		RequestsPerHour *int           `json:"requests_per_hour"`
	}
	if err := readControl(r, &ask); err != nil {
		return nil, err
	}
	if ask.RequestsPerHour != nil && *ask.RequestsPerHour < 0 {
		return nil, refuse(http.StatusUnprocessableEntity, fmt.Sprintf("requests_per_hour %d must not be negative: 0 refuses all", *ask.RequestsPerHour))
	}
	if ask.Content != nil {
		s.SetContentLimits(*ask.Content)
	}
	if ask.RequestsPerHour != nil {
		s.SetRateLimit(*ask.RequestsPerHour)
	}
	return nil, nil
}

// onControlled does something to the installation of the path.
func onControlled(do func(int64) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, notFound()
		}
		return nil, do(id)
	}
}
