package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sam/task"
)

// Options say what a dashboard shows.
type Options struct {
	Store Store
	// GitHub is the address of GitHub's web without a slash at its end; empty is https://github.com.
	GitHub string
	// Heartbeat is the time between two heartbeats of a stream; zero is 15 s.
	Heartbeat time.Duration
}

// Dashboard is the pages. It is safe for concurrent use. Close it.
type Dashboard struct {
	store  Store
	github string
	beat   time.Duration
	render *render
	assets map[string]asset
	sums   *tallies
	hub    *hub
}

// New prepares the pages. It fails only when the embedded templates are broken.
func New(o Options) (*Dashboard, error) {
	assets, err := loadAssets()
	if err != nil {
		return nil, err
	}
	rendering, err := newRender(assets)
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	d := &Dashboard{
		store: o.Store, github: strings.TrimSuffix(o.GitHub, "/"), beat: o.Heartbeat, render: rendering, assets: assets,
		sums: &tallies{events: o.Store, kept: map[task.ID]tally{}},
	}
	if d.github == "" {
		d.github = "https://github.com"
	}
	if d.beat == 0 {
		d.beat = beat
	}
	d.hub = newHub(func(t topic) source {
		if t.task != "" {
			return taskSource{d, t.task}
		}
		return convSource{d, t.project}
	})
	return d, nil
}

// Close ends every live page's stream and waits until they and their readers have ended. Call it when the listener is
// told to stop, before it waits for its requests. It may be called more than once; pages without a stream are served on.
func (d *Dashboard) Close() { d.hub.close() }

// toProject leads to a project's page. Its address has a prefix because an owner may be named as a page of ours is.
func toProject(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/projects/"+url.PathEscape(r.PathValue("owner"))+"/"+url.PathEscape(r.PathValue("repo")), http.StatusFound)
}

// Handler serves the pages at the root. Who may see them, and under which Host and Origin, is checked outside.
func (d *Dashboard) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.home)
	mux.HandleFunc("GET /live", d.live)
	mux.HandleFunc("GET /static/{name}", d.static)
	mux.HandleFunc("GET /tasks/{id}", d.taskPage)
	mux.HandleFunc("GET /tasks/{id}/events/{seq}", d.eventPage)
	mux.HandleFunc("GET /projects/{owner}/{repo}", d.projectPage)
	mux.HandleFunc("GET /{owner}/{repo}", toProject) // as on GitHub, for whoever types it
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { d.missing(w, r, "There is no such page.") })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protect(w.Header())
		mux.ServeHTTP(w, r)
	})
}
