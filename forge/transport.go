package forge

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

// unsaidLimit is how long to stay away when GitHub speaks of a secondary limit and not of when it ends. Left to itself
// go-github would wait for the primary limit's reset, up to an hour, and hold back every call of the installation.
const unsaidLimit = time.Minute

// bounded gives every exchange with GitHub callTimeout, from the request to the end of the answer, the minting of
// tokens included. (http.Client's own timeout would leave a goroutine behind for each error that go-github reads.)
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	res, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &ending{res.Body, cancel}
	h := res.Header
	if res.StatusCode == http.StatusForbidden && h.Get("Retry-After") == "" && h.Get("X-RateLimit-Remaining") != "0" {
		h.Set("Retry-After", strconv.Itoa(int(unsaidLimit.Seconds())))
	}
	return res, nil
}

// ending frees what an exchange holds when its answer is read or closed.
type ending struct {
	io.ReadCloser
	end context.CancelFunc
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if err != nil {
		e.end()
	}
	return n, err
}

func (e *ending) Close() error {
	defer e.end()
	return e.ReadCloser.Close()
}
