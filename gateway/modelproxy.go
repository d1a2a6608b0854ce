package gateway

import (
	"bytes"
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
	modelRequestHeaders  = [...]string{"Anthropic-Version", "Accept", "User-Agent", "X-Stainless-*"}
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

// send passes a request on, when it asks for nothing that is not allowed, and returns the answer, unless that is one that
// only SAM's operator can do something about. An error that is a *modelError is fit for the client.
func (m *Model) send(ctx context.Context, w http.ResponseWriter, r *modelRequest) (*http.Response, error) {
	size := r.ContentLength
	if size < 0 || size > maxModelRequest {
		size = maxModelRequest
	}
	release, ok := m.held.take(r.grant.Task, size)
	if !ok {
		m.drain(w, r)
		return nil, errTooMuchAtOnce()
	}
	defer release() // by the answer's head the request is there
	body, err := m.receive(ctx, w, r)
	if err != nil {
		return nil, err
	}
	if err := m.rules.check(body); err != nil {
		return nil, m.refuse(ctx, w, err)
	}
	request, err := m.request(ctx, r, body)
	if err != nil {
		return nil, err
	}
	response, err := m.client.Do(request)
	switch {
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
	case response.Header.Get("Content-Encoding") != "" && response.Header.Get("Content-Encoding") != "identity":
		response.Body.Close()
		return nil, errModelAway(http.StatusBadGateway, "the model's address answers compressed, which SAM asked it not to and cannot meter")
	}
	return response, nil
}

// request is what the model is asked: the workspace's body, and of its headers and query what the API has.
func (m *Model) request(ctx context.Context, r *modelRequest, body []byte) (*http.Request, error) {
	address := m.base.JoinPath(r.path)
	if r.URL.Query().Get("beta") == "true" {
		address.RawQuery = "beta=true"
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make a request to the model: %w", err)
	}
	passHeaders(request.Header, r.Header, modelRequestHeaders[:])
	passed, dropped := m.rules.betas(r.Header.Values("Anthropic-Beta"))
	if passed != "" {
		request.Header.Set("Anthropic-Beta", passed)
	}
	m.refused.WithLabelValues("beta").Add(float64(dropped))
	request.Header.Set("Content-Type", "application/json") // whatever it was called: it is checked as that
	request.Header.Set("X-Api-Key", m.key)
	request.Header.Set("Accept-Encoding", "identity") // a compressed stream comes in lumps
	return request, nil
}

func (m *Model) drain(w http.ResponseWriter, r *modelRequest) {
	drain(w, &gitRequest{Request: r.Request, limits: GitLimits{DrainTime: m.telling}.withDefaults()})
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
