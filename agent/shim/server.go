package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// server answers on the shim's socket.
type server struct {
	dir      string // where output is kept
	children *children

	mu       sync.Mutex
	programs map[string]*program
}

// largest of what it reads at once, in bytes.
const (
	maxProgram = 4 << 20
	maxInput   = 1 << 20
)

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("PUT /v1/programs/{key}", s.start)
	mux.HandleFunc("DELETE /v1/programs/{key}", s.forget)
	mux.HandleFunc("GET /v1/programs/{key}/output", s.output)
	mux.HandleFunc("PUT /v1/programs/{key}/input", s.input)
	mux.HandleFunc("POST /v1/programs/{key}/signal", s.signal)
	mux.HandleFunc("POST /v1/stop", s.stop)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // whoever asked may be gone
}

func (s *server) start(w http.ResponseWriter, r *http.Request) {
	data, err := readAll(r.Body, maxProgram)
	var asked Program
	if err == nil {
		err = json.Unmarshal(data, &asked)
	}
	if err != nil {
		http.Error(w, "not a program: "+err.Error(), http.StatusBadRequest)
		return
	}
	key := r.PathValue("key")
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.programs[key]; p != nil {
		answer(w, Started{PID: p.pid, Again: true})
		return
	}
	p, err := s.children.add(func() (*program, error) { return begin(s.dir, asked) })
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	s.programs[key] = p
	answer(w, Started{PID: p.pid})
}

// find returns the program that a request names, or answers that there is none.
func (s *server) find(w http.ResponseWriter, r *http.Request) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.programs[r.PathValue("key")]
	if p == nil {
		http.Error(w, "no such program", http.StatusNotFound)
	}
	return p
}

func (s *server) forget(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p := s.programs[r.PathValue("key")]
	delete(s.programs, r.PathValue("key"))
	s.mu.Unlock()
	if p != nil {
		p.signal(syscall.SIGKILL)
		select {
		case <-p.ended:
			p.close()
		case <-r.Context().Done(): // what it holds stays until the container ends
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) output(w http.ResponseWriter, r *http.Request) {
	p := s.find(w, r)
	if p == nil {
		return
	}
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if err != nil || from < 0 {
		http.Error(w, "from is the number of a byte", http.StatusBadRequest)
		return
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := p.output.copy(r.Context(), w, from, control.Flush); err != nil {
		panic(http.ErrAbortHandler) // breaks the stream off, so that it does not look whole
	}
}

func (s *server) input(w http.ResponseWriter, r *http.Request) {
	p := s.find(w, r)
	if p == nil {
		return
	}
	at, err := strconv.ParseInt(r.URL.Query().Get("at"), 10, 64)
	data, broken := readAll(r.Body, maxInput)
	if err := errors.Join(err, broken); err != nil || at < 0 {
		http.Error(w, fmt.Sprintf("not input: %v", err), http.StatusBadRequest)
		return
	}
	taken, err := p.write(r.Context(), at, data, r.URL.Query().Get("end") != "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	answer(w, taken)
}

func (s *server) signal(w http.ResponseWriter, r *http.Request) {
	p := s.find(w, r)
	if p == nil {
		return
	}
	number, err := strconv.Atoi(r.URL.Query().Get("number"))
	if err != nil || number < 1 || number > 64 {
		http.Error(w, "number is that of a signal", http.StatusBadRequest)
		return
	}
	p.signal(syscall.Signal(number))
	w.WriteHeader(http.StatusNoContent)
}

func (s *server) stop(w http.ResponseWriter, r *http.Request) {
	grace, err := time.ParseDuration(r.URL.Query().Get("grace"))
	if err != nil {
		http.Error(w, "grace is a duration", http.StatusBadRequest)
		return
	}
	if os.Getpid() != 1 {
		http.Error(w, "this shim is not the first process of a container", http.StatusForbidden)
		return
	}
	if err := stopAll(r.Context(), grace); err != nil {
		http.Error(w, err.Error(), http.StatusRequestTimeout)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
