package github

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxRequest bounds the body of an API request, in bytes.
const maxRequest = 10 << 20

// call is one request to the API on its way through a handler.
type call struct {
	s      *Server
	w      http.ResponseWriter // handlers answer by reply, not here
	r      *http.Request
	id     identity
	repo   *repository // below /repos/{owner}/{repo}
	header http.Header // of the answer
	body   []byte
	stale  bool // the list is asked of a replica that lags
	counts bool // against the caller's hourly requests
}

// by is who acts by this call.
func (c *call) by() actor {
	by := actor{account: c.id.account}
	if c.id.inst != nil {
		by.via = c.id.app
	}
	return by
}

// reply is what a handler answers. A nil body is no body at all.
type reply struct {
	status int
	body   any
	text   []byte // instead of body
	kind   string // content type of text
}

func ok(body any) reply      { return reply{status: http.StatusOK, body: body} }
func created(body any) reply { return reply{status: http.StatusCreated, body: body} }
func noContent() reply       { return reply{status: http.StatusNoContent} }

// read parses the JSON body into a value. No body is an empty object.
func (c *call) read(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	var mismatch *json.UnmarshalTypeError
	switch err := json.Unmarshal(c.body, into); {
	case errors.As(err, &mismatch):
		return malformed(fmt.Sprintf("For 'properties/%s', %s is not of the right type.", mismatch.Field, mismatch.Value))
	case err != nil:
		return refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return nil
}

// number reads a numeric part of the path.
func (c *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	if err != nil {
		return 0, notFound()
	}
	return n, nil
}

func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// since reads the time from which on a list is wanted; without it that is ever.
func (c *call) since(resource string) (time.Time, error) {
	text := c.query("since")
	if text == "" {
		return zeroTime(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return zeroTime(), invalid(FieldError{Resource: resource, Field: "since", Code: "invalid"})
	}
	return at, nil
}

// wants says whether the caller asks for a media type such as "diff" or "raw".
func (c *call) wants(form string) bool {
	accept := c.r.Header.Get("Accept")
	for _, prefix := range []string{"application/vnd.github.v3.", "application/vnd.github."} {
		if strings.Contains(accept, prefix+form) {
			return true
		}
	}
	return false
}

// page cuts a list to the page that the caller asks for and links to the others.
func page[T any](c *call, list []T) []T {
	size := 30
	if n, err := strconv.Atoi(c.query("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	at := 1
	if n, err := strconv.Atoi(c.query("page")); err == nil && n > 0 {
		at = n
	}
	last := max(1, (len(list)+size-1)/size)
	var links []string
	link := func(rel string, to int) {
		links = append(links, c.link(rel, map[string]string{"page": strconv.Itoa(to)}))
	}
	if at > 1 {
		link("prev", min(at-1, last))
	}
	if at < last {
		link("next", at+1)
		link("last", last)
	}
	if at > 1 {
		link("first", 1)
	}
	if len(links) > 0 {
		c.header.Set("Link", strings.Join(links, ", "))
	}
	from := min((at-1)*size, len(list))
	return list[from:min(from+size, len(list))]
}

// link writes one entry of a Link header: this address with other parameters.
func (c *call) link(rel string, with map[string]string) string {
	query := c.r.URL.Query()
	for name, value := range with {
		query.Set(name, value)
	}
	return fmt.Sprintf("<%s%s?%s>; rel=%q", c.s.url, (&url.URL{Path: c.r.URL.Path}).EscapedPath(), query.Encode(), rel)
}

// rendered renders every element of a list; an empty one stays a JSON list.
func rendered[T any](list []T, render func(T) object) []object {
	out := make([]object, 0, len(list))
	for _, one := range list {
		out = append(out, render(one))
	}
	return out
}

// api answers /api/v3/.
func (s *Server) api() http.Handler {
	table := newTable(slices.Concat(appRoutes(), moveRoutes(), issueRoutes(), contentRoutes(), pullRoutes()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = s.located(r)
		s.answer(w, r, table.find(r))
	})
}

// answer runs one request through identity, rate limit, rights and handler.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, rt route) {
	h := w.Header()
	h.Set("X-GitHub-Request-Id", strings.ToUpper(strings.ReplaceAll(newGUID(), "-", ":")[:26]))
	h.Set("X-GitHub-Media-Type", "github.v3; format=json")
	h.Set("X-GitHub-Api-Version-Selected", "2022-11-28")
	h.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP")
	c := &call{s: s, w: w, r: r, header: h}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		s.write(c, reply{}, refuse(http.StatusRequestEntityTooLarge, "Payload too large"))
		return
	}
	c.body = body

	s.mu.Lock()
	id, refusal := s.identify(r)
	counts := refusal == nil && !rt.uncounted
	c.id, c.counts = id, counts
	lost := false
	if counts {
		refusal, lost = s.strike(c, rt)
	}
	if refusal == nil && counts {
		refusal = s.spend(id, r)
	}
	if refusal == nil {
		refusal = s.allow(c, rt)
	}
	if refusal == nil && counts {
		refusal = s.notFoundYet(c)
	}
	if refusal == nil {
		refusal = s.create(c, rt)
	}
	var out reply
	switch {
	case refusal != nil:
		err = refusal
	case rt.unlocked:
		s.mu.Unlock()
		out, err = rt.serve(c)
		s.mu.Lock()
	default:
		out, err = rt.serve(c)
	}
	s.mu.Unlock()
	if lost && err == nil {
		s.dice.Hit(BadGatewayAfter)
		err = badGateway()
	}
	s.write(c, out, err)
}

// write sends what a handler has answered, with its ETag and the caller's count.
func (s *Server) write(c *call, out reply, err error) {
	h := c.header
	var refusal *Error
	if err != nil {
		if !errors.As(err, &refusal) {
			s.log.Error().Err(err).Str("path", c.r.URL.Path).Msg("request failed")
			refusal = refuse(http.StatusInternalServerError, "Server Error")
		}
		h.Del("Link")
		h.Del("Location")
		for name, value := range refusal.header {
			h.Set(name, value)
		}
		out = reply{status: refusal.Status, body: refusal.object()}
	}
	text, kind := out.text, out.kind
	if out.body != nil {
		// Plain maps, lists and texts always marshal.
		text, _ = json.Marshal(out.body)
		kind = "application/json; charset=utf-8"
	}
	if kind != "" {
		h.Set("Content-Type", kind)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	read := c.r.Method == http.MethodGet || c.r.Method == http.MethodHead
	if read && out.status == http.StatusOK {
		h.Set("Cache-Control", "private, max-age=60, s-maxage=60")
		tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(append([]byte(kind+"\n"+h.Get("Link")+"\n"), text...)))
		h.Set("ETag", tag)
		if matches(c.r.Header.Get("If-None-Match"), tag) {
			h.Del("Content-Type")
			out.status, text = http.StatusNotModified, nil
		}
	}
	s.mu.Lock()
	if out.status == http.StatusNotModified && c.counts {
		s.refund(c.id, c.r)
	}
	if refusal == nil || refusal.Status != http.StatusUnauthorized {
		s.tell(h, c.id, c.r)
	}
	s.mu.Unlock()
	c.w.WriteHeader(out.status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(text) // a client that is gone needs no answer
	}
}

// matches compares If-None-Match with a tag, weakly.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one != "" && (one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/")) {
			return true
		}
	}
	return false
}

// object is an error as the API answers it.
func (e *Error) object() object {
	o := object{
		"message": e.Message, "documentation_url": cmp.Or(e.docs, "https://docs.github.com/rest"), "status": strconv.Itoa(e.Status),
	}
	maps.Copy(o, e.more)
	if len(e.Fields) > 0 {
		o["errors"] = e.Fields
	}
	return o
}
