package hostile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// engineSocket is where the engine listens unless DOCKER_HOST says otherwise.
const engineSocket = "/var/run/docker.sock"

// between stands between the node and its engine, and has every container made looser than the node asked for.
type between struct {
	socket string
	server *http.Server
	done   chan struct{}
}

// standBetween listens on a socket in a folder. loosen changes a request to create a container.
func standBetween(ctx context.Context, dir string, loosen func(create map[string]any)) (*between, error) {
	b := &between{socket: filepath.Join(dir, "engine.sock"), done: make(chan struct{})}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", b.socket)
	if err != nil {
		return nil, fmt.Errorf("stand between the node and its engine: %w", err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "engine"})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engineSocket)
	}}
	b.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/containers/create") {
			var create map[string]any
			if err := json.NewDecoder(r.Body).Decode(&create); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			loosen(create)
			text, err := json.Marshal(create)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() {
		defer close(b.done)
		_ = b.server.Serve(listener) // until close
	}()
	return b, nil
}

func (b *between) close() error {
	err := b.server.Close()
	<-b.done
	if removed := os.Remove(b.socket); removed != nil && !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	if err != nil {
		return fmt.Errorf("leave the engine's door: %w", err)
	}
	return nil
}
