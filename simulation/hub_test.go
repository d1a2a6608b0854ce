package simulation

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"sam/sandbox/github"
)

// addressOfHub is where replicas find GitHub's stand-in; nothing listens there.
const addressOfHub = "http://github.invalid"

// The people: who may ask, who is told that they may not, and who is answered with silence.
const (
	maintainer = "ada"
	triager    = "tom"
	stranger   = "eve"
)

// place is a repository that the App is installed on, by the name that it has at first. GitHub takes that one for good.
type place struct{ owner, name string }

func (p place) String() string { return p.owner + "/" + p.name }

// places are two repositories of one account and one of another.
func places() []place {
	return []place{{"harbour", "quayside"}, {"harbour", "lighthouse"}, {"airfield", "tower"}}
}

// hub is GitHub's stand-in with people, repositories and the App in it.
type hub struct {
	*github.Server
	handler http.Handler
	app     github.App
	ids     map[place]int64 // of the repositories, which stay when they are renamed and transferred
}

// newHub makes it. Deliveries go through to.
func newHub(dir string, to http.RoundTripper) (*hub, error) {
	s, err := github.New(github.Options{Dir: dir, Transport: to, DeliveryAge: logAge})
	if err != nil {
		return nil, err
	}
	h := &hub{Server: s, handler: s.Handler(), ids: map[place]int64{}}
	s.SetURL(addressOfHub)
	if err := h.seed(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return h, nil
}

func (h *hub) seed() error {
	for _, login := range []string{maintainer, triager, stranger} {
		if _, err := h.CreateUser(login); err != nil {
			return err
		}
	}
	var err error
	if h.app, err = h.CreateApp(github.AppSpec{
		Name: "SAM", Owner: maintainer, WebhookURL: "http://sam.invalid/api/github/hook",
		Permissions: map[string]string{"contents": "write", "issues": "write", "pull_requests": "write"},
		Events:      []string{"issue_comment", "issues", "pull_request", "repository"},
	}); err != nil {
		return err
	}
	owners := map[string]bool{}
	for _, p := range places() {
		if !owners[p.owner] {
			if _, err := h.CreateOrganization(p.owner, maintainer); err != nil {
				return err
			}
		}
		owners[p.owner] = true
		r, err := h.CreateRepository(github.RepositorySpec{
			Owner: p.owner, Name: p.name, Files: map[string][]byte{"README.md": []byte("# " + p.name + "\n")}, Protected: []string{"main"},
		})
		if err != nil {
			return err
		}
		h.ids[p] = r.ID
		if err := errors.Join(h.SetCollaborator(p.owner, p.name, maintainer, "maintain"),
			h.SetCollaborator(p.owner, p.name, triager, "triage")); err != nil {
			return err
		}
	}
	for owner := range owners {
		if _, err := h.Install(h.app.ID, owner); err != nil {
			return err
		}
	}
	return nil
}

// serve has a handler answer a client's request without a network.
func serve(handler http.Handler, r *http.Request) (res *http.Response, err error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	in := r.Clone(r.Context())
	in.RequestURI, in.RemoteAddr, in.Host = r.URL.RequestURI(), "127.0.0.1:1", r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer func() {
		if broken := recover(); broken != nil {
			if broken != http.ErrAbortHandler { //nolint:errorlint // it is a value, recovered
				panic(broken)
			}
			res, err = nil, io.ErrUnexpectedEOF
		}
	}()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, in)
	res = recorder.Result()
	res.Request = r
	return res, nil
}

// toHub carries a replica's calls to the stand-in.
type toHub struct {
	hub *hub
	out *outside
}

// RoundTrip implements http.RoundTripper.
func (t toHub) RoundTrip(r *http.Request) (res *http.Response, err error) {
	err = t.out.do(r.Context(), call(r), func() error {
		res, err = serve(t.hub.handler, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

var numbers = regexp.MustCompile(`[0-9]+`)

// call names what a request changes at GitHub, "" for one that reads.
func call(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
		return ""
	}
	return r.Method + " " + numbers.ReplaceAllString(strings.TrimPrefix(r.URL.Path, "/api/v3"), "N")
}
