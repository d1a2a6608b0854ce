package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
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
		m.drain(w, r)
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
		_ = body.Close() // nobody will read it
	}
	passHeaders(request.Header, r.Header, modelRequestHeaders[:])
	request.Header.Set("X-Api-Key", m.key)
	request.Header.Set("Accept-Encoding", "identity") // a compressed stream comes in lumps
	response, err := m.client.Do(request)
	if err == nil {
		err = outlast(ctx, response, body)
	}
	// Nobody may read the request beside the server when the answer begins, and a client looks at the answer only when it
	// has sent everything.
	if ended := m.stop(w, body); !errors.Is(ended, io.EOF) && r.ContentLength != 0 {
		m.drain(w, r)
	}
	switch {
	case body.tooLarge():
		if response != nil {
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
	case response.Header.Get("Content-Encoding") != "" && response.Header.Get("Content-Encoding") != "identity":
		response.Body.Close()
		return nil, errModelAway(http.StatusBadGateway, "the model's address answers compressed, which SAM asked it not to and cannot meter")
	}
	return response, nil
}

// maxEarlyAnswer is what is kept of an answer that came before the request was read, in bytes: it is a refusal.
const maxEarlyAnswer = 1 << 20

// outlast makes an answer that came before the request was read independent of the upload. The transport closes a
// connection whose upload is stopped, and what is unread of the answer would go with it.
func outlast(ctx context.Context, response *http.Response, body *upload) error {
	select {
	case <-body.done:
		return nil
	default:
	}
	if response.StatusCode < http.StatusMultipleChoices { // it goes on being read
		select {
		case <-body.done:
		case <-ctx.Done():
		}
		return nil
	}
	held, err := io.ReadAll(io.LimitReader(response.Body, maxEarlyAnswer))
	response.Body.Close()
	if err != nil {
		return fmt.Errorf("read the model's early answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(held))
	return nil
}

// stop ends an upload. A client that stalls in the middle of it is not waited for longer than it takes to tell it so.
func (m *Model) stop(w http.ResponseWriter, body *upload) error {
	select {
	case <-body.done:
		return body.stop()
	default:
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(m.telling))
	ended := body.stop()
	_ = conn.SetReadDeadline(time.Time{})
	return ended
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
