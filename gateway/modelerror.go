package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// modelError is an error as the Messages API answers it.
type modelError struct {
	status  int
	kind    string // the API's word: overloaded_error …
	message string // for the person or agent at the other end; never what upstream said, nor the key
	retry   bool
}

func (e *modelError) Error() string { return e.message }

func (e *modelError) tell(w http.ResponseWriter) {
	var body struct {
		Type  string `json:"type"`
		Error struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Type, body.Error.Type, body.Error.Message = "error", e.kind, e.message
	encoded, err := json.Marshal(body)
	if err != nil { // a struct of strings always encodes
		panic(err)
	}
	should := "false"
	if e.retry {
		should = "true"
	}
	w.Header().Set("X-Should-Retry", should) // the clients' libraries ask for this before they look at the status
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	_, _ = w.Write(encoded)
}

func errNoSuchModelPath() *modelError {
	return &modelError{status: http.StatusNotFound, kind: "not_found_error",
		message: "SAM brokers the Messages API here, and nothing else of it than POST v1/messages and POST v1/messages/count_tokens"}
}

func errNoModel() *modelError {
	return &modelError{status: http.StatusForbidden, kind: "permission_error",
		message: "SAM has no key for this model: whoever runs SAM must set model.anthropic.key_file"}
}

func errRequestTooLarge() *modelError {
	return &modelError{status: http.StatusRequestEntityTooLarge, kind: "request_too_large", message: "a request to the model may have 32 MiB"}
}

func errTooMuchAtOnce() *modelError {
	return &modelError{status: http.StatusTooManyRequests, kind: "rate_limit_error", retry: true,
		message: "this task, or all of them together, has too many large requests to the model under way; try again shortly"}
}

// refuse counts, logs and words a request that asks for what is not allowed.
func (m *Model) refuse(ctx context.Context, w http.ResponseWriter, err error) error {
	var unwanted *unwantedError
	if !errors.As(err, &unwanted) {
		return err
	}
	m.refused.WithLabelValues(unwanted.what).Inc()
	w.Header().Set(wire.RefusedHeader, wire.Refused{
		Code: "model_refused", Subject: unwanted.what, Text: "A request to the model was refused: " + unwanted.Error(),
	}.Header())
	zerolog.Ctx(ctx).Warn().Str("what", unwanted.what).Str("subject", keepName(unwanted.subject)).Msg("request to the model refused")
	return &modelError{status: http.StatusBadRequest, kind: "invalid_request_error", message: unwanted.Error()}
}

func errModelAway(status int, message string) *modelError {
	return &modelError{status: status, kind: "api_error", message: message, retry: true}
}

// errModelKeyRefused tells a refused key as what it is. The status is kept: clients tell a key from a permission by it.
func errModelKeyRefused(status int) *modelError {
	kind := "authentication_error"
	if status == http.StatusForbidden {
		kind = "permission_error"
	}
	return &modelError{status: status, kind: kind,
		message: "the model refused SAM's own key: whoever runs SAM must check the key in model.anthropic.key_file, and what it may use"}
}

// asModelError is what to answer when a request was not admitted.
func asModelError(r *http.Request, err error) *modelError {
	var forbidden *GitForbiddenError
	switch {
	case errors.Is(err, ErrGitUnauthorized):
		return &modelError{status: http.StatusUnauthorized, kind: "authentication_error",
			message: "SAM does not know this task's credentials; use the address and the key that SAM configured in this workspace"}
	case errors.As(err, &forbidden):
		return &modelError{status: http.StatusForbidden, kind: "permission_error",
			message: "this task does not run any more, so the model is closed to it; ask for a new task to go on"}
	default:
		zerolog.Ctx(r.Context()).Error().Err(err).Msg("authorize a request to the model")
		return errModelAway(http.StatusServiceUnavailable, "SAM cannot check this task's rights at the moment; try again shortly")
	}
}
