package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Bounds of the requests that are held while they are looked through, all of them and those of one task, in bytes.
const (
	maxHeldRequests       = 1 << 30
	maxHeldRequestsOfTask = 4 * maxModelRequest
)

// maxTrusted is how large a request may say that it is to have the memory for it at once, in bytes. What is larger shows it first.
const maxTrusted = 2 << 20

// modelUploading is how long a request may take to arrive: 32 MiB at under a megabit a second.
const modelUploading = 5 * time.Minute

// heldRequests counts what is held. Its zero value holds nothing.
type heldRequests struct {
	mu   sync.Mutex
	all  int64
	task map[string]int64
}

// take reserves room, and reports whether there is. Give it back by calling what it returns.
func (h *heldRequests) take(task string, n int64) (release func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all+n > maxHeldRequests || h.task[task]+n > maxHeldRequestsOfTask {
		return nil, false
	}
	if h.task == nil {
		h.task = map[string]int64{}
	}
	h.all += n
	h.task[task] += n
	return sync.OnceFunc(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.all -= n
		if h.task[task] -= n; h.task[task] == 0 {
			delete(h.task, task)
		}
	}), true
}

// receive reads a request's body whole, for nothing of one that is not allowed may reach the model. A model begins to answer
// when it has the whole of it anyway. An error that is a *modelError is fit for the client.
func (m *Model) receive(ctx context.Context, w http.ResponseWriter, r *modelRequest) ([]byte, error) {
	if r.ContentLength > maxModelRequest {
		m.drain(w, r)
		return nil, errRequestTooLarge()
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(m.uploading))
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, maxTrusted)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(r.Body, maxModelRequest+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errors.Join(&modelError{
			status: http.StatusRequestTimeout, kind: "timeout_error", retry: true,
			message: fmt.Sprintf("the request did not arrive within %s; try again", m.uploading),
		}, err)
	case err != nil:
		return nil, fmt.Errorf("read a request to the model: %w", err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	if body.Len() > maxModelRequest {
		m.drain(w, r)
		return nil, errRequestTooLarge()
	}
	return body.Bytes(), nil
}
