package forge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxRefusal bounds what is read of an answer that refuses, bytes.
const maxRefusal = 1 << 20

// bounded gives every exchange with GitHub callTimeout, from the request to the end of the answer, the minting of
// tokens included. (http.Client's own timeout would leave a goroutine behind for each error that go-github reads.) It
// says of every answer that is a limit of GitHub's for how long, in a header of SAM's own, and hides from go-github what
// would have it refuse calls by itself for longer than mostBlocked.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	// After a process was stopped for a while its timers fire late, and by then another replica does what this one was at.
	if deadline, ok := r.Context().Deadline(); ok && !time.Now().Before(deadline) {
		return nil, context.DeadlineExceeded
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTimeout)
	res, err := b.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Header.Del(headerLimit) // it is ours alone
	if res.StatusCode < http.StatusBadRequest {
		res.Body = &ending{res.Body, cancel}
	} else {
		// Not everybody who gets a refusal closes it (ghinstallation does not), so nothing must depend on that.
		defer cancel()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxRefusal))
		if err = errors.Join(err, res.Body.Close()); err != nil {
			return nil, fmt.Errorf("read the answer %s: %w", res.Status, err)
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
		if after, limited := limitOf(res.StatusCode, res.Header, body, time.Now()); limited {
			res.Header.Set(headerLimit, strconv.FormatInt(after.Milliseconds(), 10))
		}
	}
	unblock(res, time.Now())
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
