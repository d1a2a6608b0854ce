package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// door is the host's container engine as one machine sees it: the containers it
// makes carry its label and have its prefix before their names, it finds no others
// in lists, and the paths that it names are those of its own root file system.
type door struct {
	prefix, label string
	socket        string
	shared        map[string]string // folders of the host that the machine has, by their paths there
	server        *http.Server
	served        sync.WaitGroup

	mu   sync.Mutex
	root string // the machine's root file system, as the host sees it
}

// openDoor listens on a unix socket and passes on to the engine's.
func openDoor(ctx context.Context, socket, engine, prefix, label string, shared map[string]string) (*door, error) {
	d := &door{prefix: prefix, label: label, socket: socket, shared: shared}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen for the machine's container engine: %w", err)
	}
	// The engine's own socket has a mode for a group that the machine does not know.
	if err := os.Chmod(socket, 0o666); err != nil { //nolint:gosec // only the machine has this path
		return nil, errors.Join(err, l.Close())
	}
	to := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dial net.Dialer
		return dial.DialContext(ctx, "unix", engine)
	}}
	pass := &httputil.ReverseProxy{
		Transport:     to,
		FlushInterval: -1, // builds and logs are watched as they go
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "engine"})
		},
		ErrorLog: log.New(io.Discard, "", 0), // the machine is told, and that is enough
	}
	d.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := d.rewrite(r); err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Error()})
			return
		}
		pass.ServeHTTP(w, r)
	})}
	d.served.Go(func() {
		_ = d.server.Serve(l) // until it is closed
		to.CloseIdleConnections()
	})
	return d, nil
}

func (d *door) setRoot(root string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.root = root
}

// host is a path of the machine as the host sees it.
func (d *door) host(path string) string {
	for at, source := range d.shared {
		if path == at || strings.HasPrefix(path, at+"/") {
			return source + strings.TrimPrefix(path, at)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root + path
}

// close ends what is under way. A nil door is closed.
func (d *door) close() {
	if d == nil {
		return
	}
	_ = d.server.Close()
	d.served.Wait()
	_ = os.Remove(d.socket)
}

var (
	version = regexp.MustCompile(`^/v[0-9.]+`)
	named   = regexp.MustCompile(`^(/v[0-9.]+)?/containers/([^/]+)(/.*)?$`)
	anID    = regexp.MustCompile(`^[0-9a-f]{12,64}$`)
)

// rewrite makes a request of the machine's one of the host's.
func (d *door) rewrite(r *http.Request) error {
	switch path := version.ReplaceAllString(r.URL.Path, ""); {
	case path == "/containers/create" && r.Method == http.MethodPost:
		return d.rewriteCreate(r)
	case path == "/containers/json", path == "/containers/prune":
		return d.onlyMine(r)
	}
	if m := named.FindStringSubmatch(r.URL.Path); m != nil && !anID.MatchString(m[2]) {
		r.URL.Path, r.URL.RawPath = m[1]+"/containers/"+d.prefix+m[2]+m[3], ""
	}
	return nil
}

// maxCreate bounds what a machine may say of a container, in bytes.
const maxCreate = 1 << 20

func (d *door) rewriteCreate(r *http.Request) error {
	query := r.URL.Query()
	if name := query.Get("name"); name != "" {
		query.Set("name", d.prefix+name)
		r.URL.RawQuery = query.Encode()
	}
	var body map[string]any
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxCreate))
	decoder.UseNumber() // limits in bytes are larger than a float is exact
	if err := decoder.Decode(&body); err != nil {
		return fmt.Errorf("read the container that is to be made: %w", err)
	}
	key, value, _ := strings.Cut(d.label, "=")
	labels, _ := body["Labels"].(map[string]any)
	if labels == nil {
		labels = map[string]any{}
	}
	labels[key] = value
	body["Labels"] = labels
	if host, ok := body["HostConfig"].(map[string]any); ok {
		d.rewriteMounts(host)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	r.Header.Del("Content-Length")
	return nil
}

// rewriteMounts finds what is mounted from the machine in its own root file system.
// That is below the engine's own folder, from which it mounts with the propagation
// that it chooses itself, and with few others.
func (d *door) rewriteMounts(host map[string]any) {
	binds, _ := host["Binds"].([]any)
	for i := range binds {
		if text, ok := binds[i].(string); ok && strings.HasPrefix(text, "/") {
			source, rest, _ := strings.Cut(text, ":")
			binds[i] = d.host(source) + ":" + rest
		}
	}
	mounts, _ := host["Mounts"].([]any)
	for i := range mounts {
		one, _ := mounts[i].(map[string]any)
		source, ok := one["Source"].(string)
		if !ok || one["Type"] != "bind" {
			continue
		}
		one["Source"] = d.host(source)
		if options, ok := one["BindOptions"].(map[string]any); ok {
			delete(options, "Propagation")
		}
	}
}

// onlyMine adds the machine's label to the filters of a list.
func (d *door) onlyMine(r *http.Request) error {
	query := r.URL.Query()
	filters := map[string]json.RawMessage{}
	if text := query.Get("filters"); text != "" {
		if err := json.Unmarshal([]byte(text), &filters); err != nil {
			return fmt.Errorf("read the filters: %w", err)
		}
	}
	labels := map[string]bool{}
	if have := filters["label"]; have != nil {
		var list []string // as older clients write it
		if json.Unmarshal(have, &labels) != nil {
			if err := json.Unmarshal(have, &list); err != nil {
				return fmt.Errorf("read the filter of labels: %w", err)
			}
		}
		for _, one := range list {
			labels[one] = true
		}
	}
	labels[d.label] = true
	var err error
	if filters["label"], err = json.Marshal(labels); err != nil {
		return err
	}
	text, err := json.Marshal(filters)
	if err != nil {
		return err
	}
	query.Set("filters", string(text))
	r.URL.RawQuery = query.Encode()
	return nil
}
