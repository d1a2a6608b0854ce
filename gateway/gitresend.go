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
	head   []byte
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
		return &resent{head: head.Bytes(), length: n}, nil
	case err != nil:
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return &resent{head: head.Bytes(), rest: body, length: length}, nil
}

// reader is the body to send, nil for none. A transport may go on reading one after upstream has answered, so each sending has
// its own.
func (s *resent) reader() io.Reader {
	switch {
	case s.head == nil:
		return nil
	case s.rest == nil:
		return bytes.NewReader(s.head)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(s.head), s.rest), s.rest}
}

// again reports whether the body can be sent once more.
func (s *resent) again() bool { return s.rest == nil }
