package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxResent is how much of a request is held in memory so that it can be sent again, bytes. What git asks for when it
// fetches is a few thousand.
const maxResent = 256 << 10

// resent is a request's body on its way upstream, which can be sent once more if it was small.
type resent struct {
	head   *bytes.Reader
	rest   io.ReadCloser // what did not fit into head; nil when all did
	length int64         // as in http.Request
}

// resendable reads the beginning of a body, which is nil where a request has none. The length is what the client said.
func resendable(body *upload, length int64) (*resent, error) {
	if body == nil {
		return &resent{}, nil
	}
	var head bytes.Buffer
	n, err := io.CopyN(&head, body, maxResent)
	switch {
	case errors.Is(err, io.EOF):
		return &resent{head: bytes.NewReader(head.Bytes()), length: n}, nil
	case err != nil:
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return &resent{head: bytes.NewReader(head.Bytes()), rest: body, length: length}, nil
}

// reader is the body to send; nil for none.
func (s *resent) reader() io.Reader {
	switch {
	case s.head == nil:
		return nil
	case s.rest == nil:
		return io.NopCloser(s.head)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(s.head, s.rest), s.rest}
}

// rewind makes the body ready to be sent once more, and reports whether it can be.
func (s *resent) rewind() bool {
	if s.rest != nil {
		return false
	}
	if s.head != nil {
		_, _ = s.head.Seek(0, io.SeekStart) // to its start a bytes.Reader always can
	}
	return true
}
