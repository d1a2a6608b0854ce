package dashboard

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// policy allows our own files and nothing else: no inline script or style, no image or connection elsewhere, no frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// page is what every page has.
type page struct {
	Title string
	Live  string // the topics it follows
	From  string // the vector it was rendered with
	Tail  bool   // it can follow its end
}

// respond renders a page whole before it says that all is well.
func (d *Dashboard) respond(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	content, err := d.render.execute(name, data)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	write(w, r, status, []byte(content), nil)
}

// write sends content, compressed where the browser takes that. packed is its gzipped form, if that is at hand.
func write(w http.ResponseWriter, r *http.Request, status int, content, packed []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if takesGzip(r) && len(content) > 1000 {
		if packed == nil {
			var err error
			if packed, err = zipped(content); err != nil {
				packed = nil
			}
		}
		if packed != nil {
			h.Set("Content-Encoding", "gzip")
			content = packed
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	if _, err := w.Write(content); err != nil {
		zerolog.Ctx(r.Context()).Debug().Err(err).Msg("page not taken")
	}
}

func takesGzip(r *http.Request) bool {
	for _, one := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(one), ";")
		if strings.TrimSpace(coding) != "gzip" {
			continue
		}
		q, weighted := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		if !weighted {
			return true
		}
		number, err := strconv.ParseFloat(q, 64)
		return err == nil && number > 0
	}
	return false
}

// static serves an embedded file; an address with its version may be kept for ever.
func (d *Dashboard) static(w http.ResponseWriter, r *http.Request) {
	a, ok := d.assets[r.PathValue("name")]
	if !ok {
		d.missing(w, r, "There is no such file.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", `"`+a.version+`"`)
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == `"`+a.version+`"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, r, http.StatusOK, a.plain, a.zipped)
}

type messagePage struct {
	page
	Heading string
	Words   string
}

func (d *Dashboard) missing(w http.ResponseWriter, r *http.Request, words string) {
	d.respond(w, r, http.StatusNotFound, "message", messagePage{page{Title: "Not found"}, "Not found", words})
}

// fail tells the person that it is not their fault, and the log why.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // they left
	}
	zerolog.Ctx(r.Context()).Error().Err(err).Str("path", r.URL.Path).Msg("page failed")
	content, renderErr := d.render.execute("message", messagePage{page{Title: "Failed"}, "This page failed",
		"SAM could not read what it shows, most likely because Redis does not answer. Its log says more. Load the page again in a moment."})
	if renderErr != nil {
		http.Error(w, "This page failed.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	write(w, r, http.StatusInternalServerError, []byte(content), nil)
}
