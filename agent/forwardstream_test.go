package agent

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"sam/agent/egress"
	"sam/agent/wire"
)

// lookingOn is a gateway that answers as soon as it has read what was announced, and a transport that looks for the end of the
// request only then. The real one does so when it is slower than its peer, which is seldom, and cuts the answer at an error too.
type lookingOn struct{ first, second string }

func (l lookingOn) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength); err != nil {
		return nil, err
	}
	answer, writer := io.Pipe()
	go func() {
		_, _ = io.WriteString(writer, l.first) // it returns when the proxy has read all of it,
		_, _ = io.WriteString(writer, l.first) // and now that it has written the first
		if n, err := r.Body.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
			_ = writer.CloseWithError(err)
			return
		}
		_, _ = io.WriteString(writer, l.second)
		_ = writer.Close()
	}()
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: answer, ContentLength: -1, Request: r}, nil
}

func TestAnAnswerThatBeginsBeforeTheEndOfItsRequestWasSeenIsWhole(t *testing.T) {
	t.Parallel()
	g, err := newGatewayClient("http://127.0.0.1:1", nodeToken, &http.Client{Transport: lookingOn{"first, ", "second"}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := startForward(t.Context(), g, "tmine", taskToken, ways{Options: egress.Options{Rules: egress.Rules{Policy: egress.Registries}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.base()+wire.ModelPath+"tmine/anthropic/v1/messages", strings.NewReader("a request"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+taskToken)
	// A connection that is kept: only of such a one the server takes the rest of a request before it answers.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || string(text) != "first, first, second" {
		t.Errorf("it heard %q, %v", text, err)
	}
}
