package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// What became of a request for a program, as the metric has it.
const (
	programServed  = "served"
	programUnknown = "unknown" // no program of this replica has that SHA-256
	programBusy    = "busy"
	programChanged = "changed" // the file was written over
)

func newProgramRequests() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sam_program_requests_total",
		Help: "Requests of new machines for the program, by outcome: served; unknown is the SHA-256 of another release; busy is over the bounds; changed is a file that was written over while the server runs.",
	}, []string{"outcome"})
	for _, outcome := range []string{programServed, programUnknown, programBusy, programChanged} {
		c.WithLabelValues(outcome)
	}
	return c
}

func (p *Programs) register(r prometheus.Registerer) {
	if p != nil && r != nil {
		r.MustRegister(p.requests)
	}
}

// maxProgramTime is for one download: the machine asks anew after two minutes.
const maxProgramTime = 5 * time.Minute

// handler serves the programs. A nil Programs has none.
func (p *Programs) handler(from func(*http.Request) netip.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.ProgramPath+"{sha256}/{name}", func(w http.ResponseWriter, r *http.Request) {
		one := p.find(r.PathValue("sha256"), r.PathValue("name"))
		if one == nil {
			p.refuse(w, http.StatusNotFound, programUnknown, "this server has no such program: it is of another release, or has none for that architecture. While a new release replaces the old one another replica has it: ask again")
			return
		}
		address := from(r)
		end, ok := p.downloads.begin(address)
		if !ok {
			w.Header().Set("Retry-After", "2")
			p.refuse(w, http.StatusServiceUnavailable, programBusy, "too many machines fetch their program now: try again")
			return
		}
		defer end()
		if !one.intact() {
			zerolog.Ctx(r.Context()).Error().Str("program", one.name).Msg("the program that machines are given was written over while the server runs, and is not served: restart the server, and next time move the new file to its place")
			p.refuse(w, http.StatusInternalServerError, programChanged, "the program was changed while the server runs: restart the server")
			return
		}
		p.requests.WithLabelValues(programServed).Inc()
		at := time.Now()
		one.serve(w, r)
		zerolog.Ctx(r.Context()).Info().Str("program", one.name).Stringer("from", address).Dur("took", time.Since(at)).Bool("whole", r.Context().Err() == nil).Msg("a program was fetched for a machine")
	})
	return mux
}

func (p *Programs) find(sum, name string) *program {
	if p == nil {
		return nil
	}
	for _, one := range p.files {
		if one.sum == sum && one.name == name {
			return one
		}
	}
	return nil
}

// refuse ends the connection too, so that the next request may come to another replica.
func (p *Programs) refuse(w http.ResponseWriter, status int, outcome, why string) {
	if p != nil {
		p.requests.WithLabelValues(outcome).Inc()
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Connection", "close")
	http.Error(w, why, status)
}

func (p *program) serve(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(maxProgramTime)) // not every ResponseWriter has one
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	var content io.ReadSeeker = p.content()
	tag := p.sum
	if acceptsGzip(r) {
		if zipped, err := p.zipped(); err == nil {
			h.Set("Content-Encoding", "gzip")
			content, tag = bytes.NewReader(zipped), tag+"-gzip"
		} else {
			zerolog.Ctx(r.Context()).Warn().Err(err).Str("program", p.name).Msg("a program cannot be packed and is served as it is")
		}
	}
	h.Set("ETag", fmt.Sprintf("%q", tag))
	http.ServeContent(w, r, "", time.Time{}, content)
}

// acceptsGzip reports whether a client takes gzip as gladly as anything.
func acceptsGzip(r *http.Request) bool {
	for _, line := range r.Header.Values("Accept-Encoding") {
		for _, encoding := range strings.Split(line, ",") {
			if strings.TrimSpace(encoding) == "gzip" {
				return true
			}
		}
	}
	return false
}

// downloads bounds how many there are at once, of all and of one address, so that a stranger alone cannot keep machines from
// theirs. An IPv6 address counts by its /64, which is what one machine has.
type downloads struct {
	all, one int // the bounds

	mu    sync.Mutex
	under int
	of    map[netip.Prefix]int
}

func newDownloads() downloads { return downloads{all: 256, one: 8, of: map[netip.Prefix]int{}} }

func (d *downloads) begin(from netip.Addr) (end func(), ok bool) {
	bits := 32
	if from.Is6() {
		bits = 64
	}
	who, _ := from.Prefix(bits) // of what is no address, the zero prefix
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.under >= d.all || d.of[who] >= d.one {
		return nil, false
	}
	d.under++
	d.of[who]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.under--
		if d.of[who]--; d.of[who] == 0 {
			delete(d.of, who)
		}
	}, true
}
