package github

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

//go:embed templates
var pageFiles embed.FS

const (
	actorCookie = "sandbox_actor"
	// formLimit is above what a comment can hold (65,536 characters, each of up
	// to twelve bytes once it is escaped in a form).
	formLimit  = 1 << 20
	pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

// Pages are the stand-in's web pages, to be given as Options.Pages: repositories,
// issues and pull requests to read; issues, comments and labels to write, as
// whichever of the seeded people the visitor chooses to be. There is no sign-in:
// who reaches the pages may act as anyone, so they belong on loopback. What a
// browser sends from another origin is refused.
func Pages(s *Server) http.Handler {
	p := &pages{state: s, markdown: newPageMarkdown(), views: parsePageViews()}
	mux := http.NewServeMux()
	for file, kind := range map[string]string{
		"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "mark.svg": "image/svg+xml",
	} {
		mux.HandleFunc("GET /-/"+file, pageAsset(file, kind))
	}
	mux.HandleFunc("GET /{$}", p.page(p.repositories))
	mux.HandleFunc("GET /{owner}/{repo}", p.page(p.home))
	mux.HandleFunc("GET /{owner}/{repo}/issues", p.page(p.issues))
	mux.HandleFunc("GET /{owner}/{repo}/pulls", p.page(p.pulls))
	mux.HandleFunc("GET /{owner}/{repo}/issues/new", p.page(p.newIssue))
	mux.HandleFunc("GET /{owner}/{repo}/issues/{number}", p.page(p.issue))
	mux.HandleFunc("GET /{owner}/{repo}/pull/{number}", p.page(p.pullRequest))
	mux.HandleFunc("POST /-/actor", p.form(p.chooseActor))
	mux.HandleFunc("POST /{owner}/{repo}/issues", p.form(p.createIssue))
	mux.HandleFunc("POST /{owner}/{repo}/issues/{number}/{what}", p.form(p.change))
	mux.HandleFunc("/", p.page(func(*http.Request) (pageView, error) { return pageView{}, notFound() }))

	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fail(w, r, refuse(http.StatusForbidden, "This form was sent from another site. Nothing was changed."))
	}))
	return pageHeaders(guard.Handler(mux))
}

func pageHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", pagePolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache") // asked again each time; the ETag saves the body
		next.ServeHTTP(w, r)
	})
}

type pages struct {
	state    *Server
	markdown *pageMarkdown
	views    map[string]*template.Template
}

// pageView is what a page shows: the name of a template and what it is given.
type pageView struct {
	name        string
	Title       string
	Tab         string // issues or pulls: which is marked in the repository's bar
	Owner, Repo string
	Content     any

	Here   string // the page's own address, to come back to
	Actor  string
	People []User
}

// redirectError sends the visitor to another address instead of showing a page.
type redirectError struct{ to string }

func (e redirectError) Error() string { return "see " + e.to }

// page serves what build returns, under an ETag.
func (p *pages) page(build func(*http.Request) (pageView, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		view, err := build(r)
		var elsewhere redirectError
		switch {
		case errors.As(err, &elsewhere):
			http.Redirect(w, r, elsewhere.to, http.StatusFound)
		case err != nil:
			p.fail(w, r, err)
		default:
			p.render(w, r, http.StatusOK, view)
		}
	}
}

// form runs what a visitor sent and redirects to the address it returns, so that
// reloading the page there sends nothing twice.
func (p *pages) form(act func(http.ResponseWriter, *http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formLimit)
		if err := r.ParseForm(); err != nil {
			p.fail(w, r, refuse(http.StatusBadRequest, "The form could not be read: "+err.Error()))
			return
		}
		to, err := act(w, r)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// pageFault is what the error page shows.
type pageFault struct {
	Status  int
	Heading string
	Message string
	Fields  []string
	Sent    bool // a form was sent, so going back may save what was typed
}

func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	fault := pageFault{Status: http.StatusInternalServerError, Message: err.Error(), Sent: r.Method == http.MethodPost}
	var refusal *Error
	if errors.As(err, &refusal) {
		fault.Status, fault.Message = refusal.Status, refusal.Message
		for _, f := range refusal.Fields {
			words := []string{f.Resource, f.Field, strings.ReplaceAll(f.Code, "_", " ")}
			if f.Message != "" {
				words = []string{f.Message}
			}
			fault.Fields = append(fault.Fields, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
		}
	}
	fault.Heading = http.StatusText(fault.Status)
	if fault.Status == http.StatusNotFound && !fault.Sent {
		fault.Message = "There is nothing at " + r.URL.Path + " in this sandbox."
	}
	p.render(w, r, fault.Status, pageView{name: "error", Title: fault.Heading, Content: fault})
}

func (p *pages) render(w http.ResponseWriter, r *http.Request, status int, view pageView) {
	view.Here = r.URL.RequestURI()
	if r.Method == http.MethodPost {
		view.Here = "/"
	}
	view.People, view.Actor = p.people(), p.actor(r)
	var body bytes.Buffer
	if err := p.views[view.name].ExecuteTemplate(&body, "layout", view); err != nil {
		http.Error(w, fmt.Sprintf("render %s: %v", view.name, err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status == http.StatusOK {
		sum := sha256.Sum256(body.Bytes())
		tag := `"` + hex.EncodeToString(sum[:12]) + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a visitor who left is not an error
}

// people are those whom a visitor can act as.
func (p *pages) people() []User {
	var people []User
	for _, u := range p.state.Users() {
		if u.Type == "User" {
			people = append(people, u)
		}
	}
	return people
}

// actor is whom the visitor chose to be, else the first of the people; empty
// when there are none.
func (p *pages) actor(r *http.Request) string {
	people := p.people()
	if c, err := r.Cookie(actorCookie); err == nil {
		for _, u := range people {
			if u.Login == c.Value {
				return u.Login
			}
		}
	}
	if len(people) == 0 {
		return ""
	}
	return people[0].Login
}

func pageAsset(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		data, err := pageFiles.ReadFile("templates/" + name)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(data)
	}
}
