package hetzner

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// maxRequest bounds a call's body, in bytes. user_data alone may have 32 KiB.
const maxRequest = 1 << 20

// call is one request of the API while it is served.
type call struct {
	s     *Server
	p     *project
	r     *http.Request
	body  []byte
	torn  bool // the body is longer than any may be, or broke off
	stale bool // lists leave out what has just been made
	links []string
}

// reply is what a call is answered with. Without a body it is empty.
type reply struct {
	status int
	body   any
}

func ok(body any) reply      { return reply{http.StatusOK, body} }
func created(body any) reply { return reply{http.StatusCreated, body} }
func gone() reply            { return reply{http.StatusNoContent, nil} }

// route is one call of the API. serve is called with mu held.
type route struct {
	pattern string
	serve   func(c *call) (reply, error)
}

// api serves everything below /v1/.
func (s *Server) api() http.Handler {
	mux := http.NewServeMux()
	for _, of := range [][]route{
		serverRoutes(), imageRoutes(), keyRoutes(), ipRoutes(), volumeRoutes(), firewallRoutes(), catalogueRoutes(), actionRoutes(),
	} {
		for _, rt := range of {
			mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, rt.serve) })
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		err := noSuchPath()
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" {
				err = refuse(http.StatusMethodNotAllowed, "method_not_allowed", "the request method is not allowed")
			}
		}
		s.serve(w, r, func(*call) (reply, error) { return reply{}, err })
	})
	return mux
}

// serve answers one call: who is it, may they still, does a fault befall it, and
// then what it asks for.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, do func(*call) (reply, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	w.Header().Set("X-Correlation-Id", correlation())
	c := &call{s: s, r: r, body: body, torn: err != nil}
	out := s.answer(c, do, w.Header())
	switch out.harm {
	case AnswerLost:
		// The connection is closed without a word: the caller cannot know.
		panic(http.ErrAbortHandler)
	case BadGateway, BadGatewayAfter:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway) // the proxy's own page, no JSON
		_, _ = io.WriteString(w, "<html><body><h1>502 Bad Gateway</h1></body></html>\n")
		return
	}
	if out.text != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(out.status)
	_, _ = w.Write(out.text) // a client that is gone needs no answer
}

// answered is a call's answer, to be written when the lock is no longer held.
type answered struct {
	status int
	text   []byte    // nil: none
	harm   FaultKind // what befalls the answer on its way; empty: nothing
}

// answer is serve's part under the lock. What is answered becomes text there too,
// for it holds parts of what others change.
func (s *Server) answer(c *call, do func(*call) (reply, error), h http.Header) (out answered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	note := Call{At: s.now().UTC(), Method: c.r.Method, Path: c.r.URL.Path}
	rep, err := s.obey(c, do, &note)
	if err != nil {
		e := &Error{Status: http.StatusInternalServerError, Code: "server_error", Message: err.Error()}
		errors.As(err, &e)
		note.Code = e.Code
		rep = reply{e.Status, object{"error": object{"code": e.Code, "message": e.Message, "details": e.Details}}}
	} else {
		out.harm = note.Fault
	}
	if c.p != nil {
		s.tell(h, c.p, rep.status == http.StatusTooManyRequests)
	}
	for _, link := range c.links {
		h.Add("Link", link)
	}
	note.Status = rep.status
	s.calls = append(s.calls, note)
	out.status = rep.status
	if rep.body == nil {
		return out
	}
	if out.text, err = json.Marshal(rep.body); err != nil {
		out.status, out.text = http.StatusInternalServerError, []byte(`{"error":{"code":"server_error","message":"the answer has no JSON form"}}`)
	}
	return out
}

// obey does what a call asks for, if it may. With mu held.
func (s *Server) obey(c *call, do func(*call) (reply, error), note *Call) (reply, error) {
	t, err := s.identify(c.r)
	if err != nil {
		return reply{}, err
	}
	c.p, note.Project = t.project, t.project.name
	if err := s.spend(c.p); err != nil {
		return reply{}, err
	}
	if t.readOnly && c.r.Method != http.MethodGet {
		return reply{}, readOnly()
	}
	if c.torn {
		return reply{}, noJSON()
	}
	struck, err := s.strike(c)
	note.Fault = struck
	switch {
	case err != nil:
		return reply{}, err
	case struck == BadGateway:
		return reply{status: http.StatusBadGateway}, nil
	}
	out, err := do(c)
	if err != nil {
		return reply{}, err
	}
	switch struck {
	case BadGatewayAfter, AnswerLost:
		s.dice.Hit(struck)
	case TimeoutAfter:
		s.dice.Hit(struck)
		return reply{}, refuse(http.StatusGatewayTimeout, "timeout", "the request could not be answered in time")
	}
	return out, nil
}

// correlation is what Hetzner's support asks for; clients show it with errors.
func correlation() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// read decodes the body. An empty one is an empty object, as clients send none for
// actions.
func (c *call) read(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	if !json.Valid(c.body) {
		return noJSON()
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		field := "body"
		if kind := (*json.UnmarshalTypeError)(nil); errors.As(err, &kind) && kind.Field != "" {
			field = kind.Field
		}
		return invalid(field, "has the wrong type")
	}
	return nil
}

// id is the one in the path; 0 for what is no id, which nothing has.
func (c *call) id() int64 {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return 0
	}
	return id
}

// about makes handlers of calls about one thing of the caller's project, the one that
// the path names. what is its kind, in Hetzner's words.
func about[T any](all func(*project) map[int64]*T, what string) func(do func(*call, *T) (reply, error)) func(*call) (reply, error) {
	return func(do func(*call, *T) (reply, error)) func(*call) (reply, error) {
		return func(c *call) (reply, error) {
			it, err := one(c, all(c.p), what)
			if err != nil {
				return reply{}, err
			}
			return do(c, it)
		}
	}
}

// one finds what the path names.
func one[T any](c *call, all map[int64]*T, what string) (*T, error) {
	if found := all[c.id()]; found != nil {
		return found, nil
	}
	return nil, notFound(what, c.id())
}
