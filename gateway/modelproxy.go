package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// The headers that pass, by their canonical names; a * stands for any end. Whatever else a workspace sends, credentials
// before all, stays here; and so does what upstream says about the operator's account.
var (
	modelRequestHeaders  = [...]string{"Anthropic-Version", "Anthropic-Beta", "Content-Type", "Accept", "User-Agent", "X-Stainless-*"}
	modelResponseHeaders = [...]string{"Content-Type", "Request-Id", "Retry-After", "Retry-After-Ms", "X-Should-Retry", "Anthropic-Ratelimit-*"}
)

func passHeaders(to, from http.Header, allowed []string) {
	for name, values := range from {
		for _, pattern := range allowed {
			if start, open := strings.CutSuffix(pattern, "*"); name == pattern || open && strings.HasPrefix(name, start) {
				to[name] = values
			}
		}
	}
}

// send passes a request on and returns the answer, unless that is one that only SAM's operator can do something about. An
// error that is a *modelError is fit for the client.
func (m *Model) send(ctx context.Context, w http.ResponseWriter, r *modelRequest) (*http.Response, error) {
	if r.ContentLength > maxModelRequest {
		drainModel(w, r)
		return nil, errRequestTooLarge()
	}
	address := m.base.JoinPath(r.path)
	address.RawQuery = r.URL.RawQuery
	body := newUpload(r.Body, maxModelRequest)
	request, err := http.NewRequestWithContext(ctx, r.Method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make a request to the model: %w", err)
	}
	if request.ContentLength = r.ContentLength; r.ContentLength == 0 {
		request.Body = http.NoBody
	}
	passHeaders(request.Header, r.Header, modelRequestHeaders[:])
	request.Header.Set("X-Api-Key", m.key)
	request.Header.Set("Accept-Encoding", "identity") // a compressed stream comes in lumps
	response, err := m.client.Do(request)
	// An answer may come before the request is read. Nobody may read it beside the server then, and a client looks at the
	// answer only when it has sent everything.
	if ended := body.stop(); !errors.Is(ended, io.EOF) && r.ContentLength != 0 {
		drainModel(w, r)
	}
	switch {
	case body.tooLarge():
		if err == nil {
			response.Body.Close()
		}
		return nil, errRequestTooLarge()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, errors.Join(errModelAway(http.StatusGatewayTimeout, "the model did not answer in time; try again"), err)
	case err != nil:
		return nil, err
	}
	switch code := response.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		said := words(response.Body)
		response.Body.Close()
		return nil, errors.Join(errModelKeyRefused(code), said)
	case code >= 300 && code < 400:
		response.Body.Close()
		return nil, errModelAway(http.StatusBadGateway, fmt.Sprintf("the model's address gave a redirect (%d), which SAM does not follow", code))
	}
	return response, nil
}

func drainModel(w http.ResponseWriter, r *modelRequest) {
	drain(w, &gitRequest{Request: r.Request, limits: GitLimits{}.withDefaults()})
}

// words are the beginning of an error's body, for the log.
func words(body io.Reader) error {
	said, _ := io.ReadAll(io.LimitReader(body, 1<<10))
	return fmt.Errorf("upstream said: %q", said)
}

// scrubbed hides the key in an error's text.
func scrubbed(err error, key string) error { return &scrubbedError{err: err, token: key} }

// pass hands an answer on, piece by piece as it comes, and shows it to the meter. An error means that not all of it went
// through.
func pass(w http.ResponseWriter, response *http.Response, meter *meter) error {
	passHeaders(w.Header(), response.Header, modelResponseHeaders[:])
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(response.StatusCode)
	if err := http.NewResponseController(w).Flush(); err != nil { // the client's first sign of life
		return fmt.Errorf("flush to client: %w", err)
	}
	return stream(w, io.TeeReader(response.Body, meter))
}
