package egress

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httputil"
	"time"
)

// admittedKey carries what was admitted from a request to the dial for it.
type admittedKey struct{}

// newPlain is the way of plain requests. Connections are kept for the next request to the same host and port, which what
// was checked for them is as good for.
func (p *Proxy) newPlain(log *stdlog.Logger) (*http.Transport, *httputil.ReverseProxy) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			a, ok := ctx.Value(admittedKey{}).(admitted)
			if !ok {
				return nil, errors.New("nothing was admitted")
			}
			conn, err := p.dialer.reach(ctx, a)
			if err != nil {
				return nil, err
			}
			return &awake{conn, p.idle}, nil
		},
		DisableCompression:    true, // bytes go through as they are
		ResponseHeaderTimeout: p.idle,
		MaxIdleConns:          16,
		IdleConnTimeout:       30 * time.Second,
	}
	return transport, &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.Out.URL.Host
			r.Out.Header.Del("Upgrade")
			r.Out.Header.Del("Connection")
		},
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, err error) { p.tell(w, err) },
	}
}

// get serves a request in absolute form. An error means that nothing was answered yet.
func (p *Proxy) get(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Host
	if r.URL.Port() == "" {
		asked += ":80"
	}
	t, err := ParseTarget(asked)
	switch {
	case r.URL.Scheme != "http":
		err = fmt.Errorf("the proxy speaks http:// itself; %s:// goes through a tunnel", r.URL.Scheme)
	case r.URL.User != nil:
		err = errors.New("it has a user before the host")
	}
	if err != nil {
		return malformed(asked, err)
	}
	a, refused := p.rules.admit(t)
	if refused != nil {
		return refused
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && p.rules.Policy != Open {
		return &RefusedError{t.String(), fmt.Sprintf("%.20s is not carried in plain HTTP, only GET and HEAD", r.Method), "Use https://."}
	}
	// The URL's host is what was admitted, in its one form; the Host of the request goes by it, whatever the client said.
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), admittedKey{}, a))
	defer cancel()
	defer p.ending(cancel)()
	out := r.Clone(ctx)
	out.URL.Host = t.String()
	if t.Port == 80 {
		out.URL.Host = hostOnly(t)
	}
	if p.rules.Policy != Open {
		out.Body, out.ContentLength = http.NoBody, 0
	}
	p.forward.ServeHTTP(w, out)
	return nil
}

func hostOnly(t Target) string {
	if t.addr.Is6() {
		return "[" + t.Host + "]"
	}
	return t.Host
}

// awake is a connection that breaks when it is idle for too long.
type awake struct {
	net.Conn
	idle time.Duration
}

func (c *awake) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *awake) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
