package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/zerolog"
)

// closeWithin is how long a listener waits for the requests it is at when it is told to stop, unless it is given longer.
// Nodes' WebSockets are the gateway's to end.
const closeWithin = 5 * time.Second

// door is one listener with what it serves.
type door struct {
	name     string
	listener net.Listener
	server   *http.Server
	finish   time.Duration // for the requests that are under way when it is told to stop
}

// newDoor listens at once, so that its address is known before it serves. A request whose Host is neither one of the hosts
// nor the listener's own address is refused, and so is a browser's cross-origin request: a page elsewhere must not speak
// for the person who looks at it.
func newDoor(ctx context.Context, name, address string, handler http.Handler, hosts ...string) (*door, error) {
	if address == "" { // to net it is a free port on every address of the machine
		return nil, fmt.Errorf("listen for the %s side: there is no address: name one, such as 127.0.0.1:3002", name)
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the %s side: %w", name, err)
	}
	log := zerolog.Ctx(ctx).With().Str("listener", name).Logger()
	guarded := onlyHosts(append(hosts, listener.Addr().String()), http.NewCrossOriginProtection().Handler(handler))
	return &door{name: name, listener: listener, finish: closeWithin, server: &http.Server{
		Handler:           guarded,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return log.WithContext(context.WithoutCancel(ctx)) },
	}}, nil
}

// onlyHosts refuses requests that were sent to another name than ours: what a rebound DNS name does.
func onlyHosts(hosts []string, next http.Handler) http.Handler {
	allowed := map[string]bool{}
	for _, host := range hosts {
		allowed[host] = true
		if name, port, err := net.SplitHostPort(host); err == nil && (name == "127.0.0.1" || name == "::1") {
			allowed["localhost:"+port] = true
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed[r.Host] {
			http.Error(w, fmt.Sprintf("This is not %q. Set public.url to the address by which SAM is reached.", r.Host), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// url is the listener's own address.
func (d *door) url() string { return "http://" + d.listener.Addr().String() }

// serve serves until ctx ends, then takes nothing new and finishes what it is at, within the time it has.
func (d *door) serve(ctx context.Context) error {
	stopped := make(chan error, 1)
	ending := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.finish)
		defer cancel()
		err := d.server.Shutdown(drain)
		if errors.Is(err, context.DeadlineExceeded) {
			err = d.server.Close()
		}
		stopped <- err
	})
	err := d.server.Serve(d.listener)
	if ending() { // it failed by itself
		return fmt.Errorf("serve the %s side: %w", d.name, err)
	}
	return <-stopped
}

// hostOf is the host and port of an address that configuration has checked.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
