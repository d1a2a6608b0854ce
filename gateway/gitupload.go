package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

var (
	errUploadTooLarge = errors.New("the upload is larger than its limit")
	errUploadStopped  = errors.New("the upload was stopped")
)

// upload is a request body on its way upstream, with a bound. Two things make it more than a limited reader. An HTTP
// transport may go on reading a body after it has returned: stop makes sure that nobody does, so that the handler may
// drain the connection or return. And once a handler begins its answer, Go's server itself takes what is unread of the
// body: done says when the answer may begin.
type upload struct {
	mu      sync.Mutex
	r       io.Reader
	left    int64
	err     error // io.EOF once all was read
	stopped bool

	release sync.Once
	done    chan struct{} // closed when nobody will read any more
}

func newUpload(r io.Reader, limit int64) *upload {
	return &upload{r: r, left: limit, done: make(chan struct{})}
}

// Close is the transport's word that it is done with the body.
func (u *upload) Close() error {
	u.release.Do(func() { close(u.done) })
	return nil
}

// Read returns errUploadTooLarge as soon as there is one byte more than the limit. An end that was told stays told: a
// transport that has sent a body of known length reads on to see that there is no more, and by then the answer may have come
// and the upload been stopped, which is no failure of it.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil || len(p) == 0 {
		return 0, u.err
	}
	if u.stopped {
		return 0, errUploadStopped
	}
	if int64(len(p)) > u.left+1 {
		p = p[:u.left+1]
	}
	n, err := u.r.Read(p)
	if int64(n) > u.left {
		u.err = errUploadTooLarge
		return int(u.left), u.err
	}
	u.left -= int64(n)
	if u.err = err; err != nil {
		_ = u.Close()
	}
	return n, err
}

// stop waits for a Read under way, which the end of the request's context bounds, and fails all that come later. It
// returns how reading had ended: nil if it had not, io.EOF if all was read.
func (u *upload) stop() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	_ = u.Close()
	return u.err
}

func (u *upload) tooLarge() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return errors.Is(u.err, errUploadTooLarge)
}

// drain reads what is left of a refused push. Git looks at the answer only when it has sent everything, so an answer
// given early would show as a broken connection. Whoever sends more than the bounds gets that.
func drain(w http.ResponseWriter, r *gitRequest) {
	if r.Context().Err() != nil {
		w.Header().Set("Connection", "close")
		return
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(r.limits.DrainTime))
	if n, err := io.CopyN(io.Discard, r.Body, r.limits.DrainBytes+1); !errors.Is(err, io.EOF) || n > r.limits.DrainBytes {
		w.Header().Set("Connection", "close")
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
}
