package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// wayOut is how a machine reaches the load balancer from its own address: a process of this host would come from 127.0.0.1, and whoever
// gives machines their credentials looks at where they call from. It listens on that address, which is of the host's loopback.
type wayOut struct {
	url       string
	server    *http.Server
	transport *http.Transport
	served    sync.WaitGroup
}

// openWayOut opens the way from an IPv4 address to an http address.
func openWayOut(ctx context.Context, from, to string) (*wayOut, error) {
	target, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("find the load balancer: %w", err)
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort(from, "0"))
	if err != nil {
		return nil, fmt.Errorf("open a machine's way out: %w", err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	w := &wayOut{url: "http://" + l.Addr().String(), transport: &http.Transport{DialContext: dialer.DialContext}}
	w.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: &httputil.ReverseProxy{
		Transport:     w.transport,
		FlushInterval: -1,                                                                              // streams are passed on as they come
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },                             // and the host is the public one
		ErrorLog:      log.New(io.Discard, "", 0),                                                      // that connections break is the point
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // and so it looks from inside
	}}
	w.served.Go(func() { _ = w.server.Serve(l) }) // until it is closed
	return w, nil
}

// close ends what is under way. A nil way is closed.
func (w *wayOut) close() error {
	if w == nil {
		return nil
	}
	err := w.server.Close()
	w.served.Wait()
	w.transport.CloseIdleConnections()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}
