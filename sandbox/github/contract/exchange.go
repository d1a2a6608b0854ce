package contract

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/routers"
)

// prefix is where GitHub Enterprise, and so the stand-in, mounts the REST API.
const prefix = "/api/v3"

// Wrap returns next with every exchange below /api/v3/ checked in passing:
// method, path, parameters and body of the request; status, content type and
// body of the response. Each difference is one tb.Errorf. The exchange itself
// is not changed; one that the handler aborts or hijacks is left unchecked.
// The server must have stopped answering before the test of tb ends.
func (d *Description) Wrap(tb testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, prefix+"/") {
			next.ServeHTTP(w, r)
			return
		}
		asked := r.Clone(r.Context())
		body, err := io.ReadAll(r.Body)
		r.Body = restored{io.MultiReader(bytes.NewReader(body), failing{err}), r.Body}

		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		if rec.hijacked {
			return
		}
		asked.URL = unprefixed(asked.URL)
		asked.Body = io.NopCloser(bytes.NewReader(body))
		for _, difference := range d.differences(asked, body, rec) {
			tb.Errorf("%s %s -> %d: %s", r.Method, asked.URL.RequestURI(), rec.status, difference)
		}
		d.checked.Add(1)
	})
}

func unprefixed(u *url.URL) *url.URL {
	short := *u
	short.Path = strings.TrimPrefix(u.Path, prefix)
	short.RawPath = strings.TrimPrefix(u.RawPath, prefix)
	// GitHub redirects an old name to /repositories/{id}, where everything is that
	// is under the name; the description has only the latter.
	for _, path := range []*string{&short.Path, &short.RawPath} {
		if rest, byID := strings.CutPrefix(*path, "/repositories/"); byID {
			*path = "/repos/repositories/" + rest
		}
	}
	return &short
}

// route finds the operation of a request. GitHub answers HEAD wherever it
// answers GET, which the description does not spell out.
func (d *Description) route(r *http.Request) (*routers.Route, map[string]string, error) {
	if r.Method == http.MethodHead {
		r = r.Clone(r.Context())
		r.Method = http.MethodGet
	}
	return d.router.FindRoute(r)
}

// restored gives a body that was read ahead back, closing the original.
type restored struct {
	io.Reader
	io.Closer
}

// failing repeats the error with which reading ahead ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

// recorder keeps a copy of an answer while it passes through.
type recorder struct {
	http.ResponseWriter
	status   int
	decided  bool
	hijacked bool
	body     bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	if !r.decided && status >= 200 {
		r.status, r.decided = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.decided = true
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

// Hijack lets a handler cut the connection, as stand-ins for faults do.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	r.hijacked = true
	return http.NewResponseController(r.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController reach Flush and the deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
