package github

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi" //nolint:gosec // the environment is ours; Proxy headers are dropped by the package
	"os"
	"path/filepath"
	"strings"
)

// maxPush bounds what one push may send, in bytes; GitHub's bound is 2 GiB.
const maxPush = 512 << 20

// serveGit is git's smart HTTP protocol, spoken by git's own http-backend.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	service := strings.TrimPrefix(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/'):], "/")
	if service == "refs" {
		service = r.URL.Query().Get("service")
	}
	if service != "git-upload-pack" && service != "git-receive-pack" {
		// The dumb protocol is gone from GitHub.
		gitRefusal(w, http.StatusForbidden, "Please upgrade your git client.")
		return
	}
	asked := r.URL.Path
	r = r.Clone(r.Context())
	repo, by, rights, refusal := s.admit(r, service == "git-receive-pack")
	if refusal != nil {
		if refusal.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		for name, value := range refusal.header {
			w.Header().Set(name, value)
		}
		gitRefusal(w, refusal.Status, refusal.Message)
		return
	}
	// What is public an app fetches without a name: git offers none unasked.
	if (by.via != nil || by.account == nil) && s.gitFault(w, r.Method, asked) {
		return
	}
	r.Header.Del("Authorization") // or the hooks could read it
	body, err := spooled(w, r)
	if err != nil {
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			gitRefusal(w, http.StatusRequestEntityTooLarge, "pack exceeds maximum allowed size")
			return
		}
		gitRefusal(w, http.StatusBadRequest, "the request ended early")
		return
	}
	defer func() {
		if err := body.Close(); err != nil {
			s.log.Warn().Err(err).Msg("spooled body not closed")
		}
	}()
	if r.Method == http.MethodPost && service == "git-receive-pack" {
		s.receive(w, r, asked, repo, by, rights) //nolint:contextcheck // what follows a push happens even if the pusher is gone
		return
	}
	s.backendFor(repo, nil).ServeHTTP(w, r)
}

// backendFor is the CGI program on one repository.
func (s *Server) backendFor(repo *repository, env []string) *cgi.Handler {
	return &cgi.Handler{
		Path: s.backend,
		// A fixed PATH_INFO below Root is what selects the repository, whatever its
		// name in the request was.
		Root:   "/",
		Dir:    s.dir,
		Env:    append(append(gitEnv(), env...), "GIT_PROJECT_ROOT="+s.dir, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: logLines{s},
		Logger: log.New(logLines{s}, "", 0),
	}
}

// logLines sends what git complains about to the log.
type logLines struct{ s *Server }

func (l logLines) Write(p []byte) (int, error) {
	l.s.log.Info().Str("git", strings.TrimSpace(string(p))).Msg("git http-backend complains")
	return len(p), nil
}

// gitRights is what a pusher may do beyond writing.
type gitRights struct{ workflows bool }

// admit decides whether a request may reach a repository and points its path at
// the repository's directory.
func (s *Server) admit(r *http.Request, write bool) (*repository, actor, gitRights, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.identifyGit(r)
	if err == nil {
		err = s.forgetEarly(id, r)
	}
	if err != nil {
		return nil, actor{}, gitRights{}, err
	}
	name := fold(r.PathValue("owner") + "/" + strings.TrimSuffix(r.PathValue("repo"), ".git"))
	repo := s.byName[name]
	if left := s.formerly[name]; repo == nil && left != nil && s.sees(id, left) {
		if r.Method == http.MethodGet {
			return nil, actor{}, gitRights{}, s.gitMoved(r, left)
		}
		repo = left
	}
	switch {
	case repo == nil || !s.sees(id, repo):
		// GitHub asks the nameless to say who they are, so as not to tell what exists.
		if id.nameless() {
			return nil, actor{}, gitRights{}, refuse(http.StatusUnauthorized, "Authentication required.")
		}
		return nil, actor{}, gitRights{}, refuse(http.StatusNotFound, "Repository not found.")
	case id.nameless() && write:
		return nil, actor{}, gitRights{}, refuse(http.StatusUnauthorized, "Authentication required.")
	case write && !s.mayPush(id, repo):
		return nil, actor{}, gitRights{}, refuse(http.StatusForbidden,
			fmt.Sprintf("Permission to %s.git denied to %s.", repo.fullName(), id.account.login))
	case !write && !s.mayFetch(id, repo):
		return nil, actor{}, gitRights{}, refuse(http.StatusForbidden, "Write access to repository not granted.")
	}
	rest := "/info/refs"
	if r.Method == http.MethodPost {
		rest = r.URL.Path[strings.LastIndexByte(r.URL.Path, '/'):]
	}
	r.URL.Path = "/" + filepath.Base(repo.dir) + rest
	r.URL.RawPath = ""
	return repo, actor{account: id.account, via: id.app}, gitRights{workflows: id.inst == nil || id.perms["workflows"] == "write"}, nil
}

func gitRefusal(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, message) // a client that is gone needs no answer
}

// spooled replaces a body with a file of known length where it has to: CGI cannot
// carry a chunked one, and a push must not hold its repository while a slow client
// is still sending. Closing it removes the file.
func spooled(w http.ResponseWriter, r *http.Request) (io.Closer, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxPush)
	if r.ContentLength >= 0 && r.ContentLength < 1<<10 {
		return r.Body, nil
	}
	f, err := os.CreateTemp("", "sandbox-github-body-")
	if err != nil {
		return nil, fmt.Errorf("spool the body: %w", err)
	}
	// Nobody needs its name: it is gone when it is closed.
	err = os.Remove(f.Name())
	n, copyErr := io.Copy(f, r.Body)
	_, seekErr := f.Seek(0, io.SeekStart)
	if err := errors.Join(err, copyErr, seekErr); err != nil {
		return nil, errors.Join(fmt.Errorf("spool the body: %w", err), f.Close())
	}
	r.Body, r.ContentLength, r.TransferEncoding = f, n, nil
	return f, nil
}

// held keeps an answer back until what it announces has been done.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }
