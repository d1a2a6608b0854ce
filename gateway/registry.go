package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sam/agent/wire"
)

// Registry is a private registry of packages and what it asks for.
type Registry struct {
	Host          string // with :port when it is not 443's
	Path          string // under which the credential is used; it begins and ends with a slash
	Authorization string // the header's value
}

// Registries is the broker of private registries: a workspace reads from them with the operator's credential, which stays
// here.
//
//	workspace -> node's forwarder -> Registries -> https://HOST/PATH
//
//	GET, HEAD /registry/{task}/{host}/{path}
//
// A redirect to the same registry is followed. Any other one is the client's to follow, as everybody may.
type Registries struct {
	all    []Registry
	client *http.Client
}

// Bounds of one request to a registry.
const (
	maxRegistryTime      = 30 * time.Minute // the whole of it: a large package over a slow line
	maxRegistryRedirects = 5
)

// NewRegistries returns a broker of these. Of client its transport alone is used.
func NewRegistries(all []Registry, client *http.Client) *Registries {
	r := &Registries{all: all}
	r.client = &http.Client{Transport: client.Transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		first := via[0]
		known := r.find(first.URL.Host, first.URL.Path)
		same := known != nil && next.URL.Scheme == "https" && next.URL.Host == first.URL.Host && strings.HasPrefix(next.URL.Path, known.Path) && straight(next.URL)
		if !same || len(via) > maxRegistryRedirects {
			return http.ErrUseLastResponse
		}
		return nil // the client takes the credential along, to the same host
	}}
	return r
}

// find returns the registry whose credential is for a path on a host, the one of the longest path, nil for none.
func (r *Registries) find(host, path string) *Registry {
	var found *Registry
	for i, one := range r.all {
		if one.Host == host && strings.HasPrefix(path, one.Path) && (found == nil || len(one.Path) > len(found.Path)) {
			found = &r.all[i]
		}
	}
	return found
}

// straight reports whether a path means what it says to every server: no step up, hidden or not. Servlet containers, which
// many registries run in, take what stands behind a semicolon off a part before they look at it.
func straight(u *url.URL) bool {
	for _, part := range strings.Split(u.Path, "/") {
		if name, _, _ := strings.Cut(part, ";"); name == "." || name == ".." {
			return false
		}
	}
	return !strings.Contains(u.Path, `\`) && !strings.Contains(strings.ToLower(u.EscapedPath()), "%25")
}

// The headers that pass. A workspace's own credentials stay here, and so do a registry's cookies.
var (
	registryRequestHeaders  = [...]string{"Accept", "Accept-Encoding", "User-Agent", "If-*", "Range", "Cache-Control"}
	registryResponseHeaders = [...]string{"Content-*", "Etag", "Last-Modified", "Cache-Control", "Expires", "Date", "Age", "Vary", "Accept-Ranges", "Location", "Retry-After"}
)

// handler serves what workspaces ask of registries. grants says whether the task may ask at all.
func (r *Registries) handler(grants GitGrants) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		id, rest, _ := strings.Cut(strings.TrimPrefix(q.URL.EscapedPath(), wire.RegistryPath), "/")
		grant, err := grants.Authorize(q, id)
		var forbidden *GitForbiddenError
		switch {
		case errors.Is(err, ErrGitUnauthorized):
			http.Error(w, "a task's token over its node's link is needed", http.StatusUnauthorized)
		case errors.As(err, &forbidden):
			http.Error(w, forbidden.Message, http.StatusForbidden)
		case err != nil:
			zerolog.Ctx(q.Context()).Error().Err(err).Str("task", id).Msg("whether a task may ask a registry cannot be found out")
			http.Error(w, "SAM cannot answer now; try again", http.StatusServiceUnavailable)
		case grant.Untrusted:
			http.Error(w, "this task works on a branch of people who may not write to its repository, and such work reads no private registry", http.StatusForbidden)
		default:
			r.serve(w, q, rest)
		}
	})
}

func (r *Registries) serve(w http.ResponseWriter, q *http.Request, rest string) {
	target, err := url.Parse("https://" + rest)
	if err != nil || target.User != nil || !straight(target) {
		http.Error(w, "this is no address of a registry: it is /registry/HOST/PATH", http.StatusBadRequest)
		return
	}
	known := r.find(target.Host, target.Path)
	switch {
	case known == nil:
		http.Error(w, "this server has no credential for "+target.Host+target.Path+": ask a public registry without SAM's help, or have whoever runs the server add it to network.credentials_file", http.StatusNotFound)
		return
	case q.Method != http.MethodGet && q.Method != http.MethodHead:
		http.Error(w, "registries are read only: GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	target.RawQuery = q.URL.RawQuery
	ctx, cancel := context.WithTimeout(q.Context(), maxRegistryTime)
	defer cancel()
	if err := r.pass(ctx, w, q, target, known); err != nil && q.Context().Err() == nil {
		zerolog.Ctx(ctx).Warn().Err(err).Str("registry", known.Host).Msg("a private registry could not be asked for a task")
	}
}

func (r *Registries) pass(ctx context.Context, w http.ResponseWriter, q *http.Request, target *url.URL, known *Registry) error {
	request, err := http.NewRequestWithContext(ctx, q.Method, target.String(), nil)
	if err != nil {
		http.Error(w, "this is no address of a registry", http.StatusBadRequest)
		return fmt.Errorf("ask a registry: %w", err)
	}
	passHeaders(request.Header, q.Header, registryRequestHeaders[:])
	if request.Header.Get("Accept-Encoding") == "" {
		request.Header.Set("Accept-Encoding", "identity") // else the transport would unpack what it packed by its own wish
	}
	request.Header.Set("Authorization", known.Authorization)
	response, err := r.client.Do(request)
	if err != nil {
		http.Error(w, "SAM's server cannot reach "+known.Host, http.StatusBadGateway)
		return fmt.Errorf("ask a registry: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized {
		http.Error(w, known.Host+" refuses the credential that this server has for it; whoever runs the server can mend network.credentials_file", http.StatusBadGateway)
		return errors.New("it refuses the credential: see network.credentials_file")
	}
	passHeaders(w.Header(), response.Header, registryResponseHeaders[:])
	if to, err := response.Location(); err == nil {
		w.Header().Set("Location", to.String()) // whole: the client knows the registry by another address
	}
	w.WriteHeader(response.StatusCode)
	return stream(w, response.Body)
}
