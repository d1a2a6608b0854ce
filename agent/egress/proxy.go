package egress

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"
)

// Bounds of one proxy, which is one attempt's.
const (
	MaxConnections = 64               // tunnels and plain requests at once
	DialWithin     = 10 * time.Second // looking a name up and connecting
	IdleWithin     = 5 * time.Minute  // without a byte in either direction
	helloWithin    = 10 * time.Second // for the client's first words in a tunnel
)

// Options are what a Proxy is made of.
type Options struct {
	Rules Rules
	// Refused hears of every refusal, the same one again each time that it is asked for, from several goroutines. nil: nobody
	// does.
	Refused func(*RefusedError)
	Log     *stdlog.Logger // of what goes wrong; nil: the standard one

	// Resolver, Dial and Own stand in for the node's own, which nil is for: its resolver, its network, its addresses.
	Resolver Resolver
	Dial     func(ctx context.Context, network, address string) (net.Conn, error)
	Own      func() ([]netip.Prefix, error)
	Idle     time.Duration // 0: IdleWithin
}

// Proxy serves CONNECT and requests in absolute form. Close it when no more are to be served.
type Proxy struct {
	rules   Rules
	refused func(*RefusedError)
	dialer  *dialer
	idle    time.Duration
	plain   *http.Transport
	forward *httputil.ReverseProxy

	slots chan struct{}
	open  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	ends   map[int]func() // what ends each that is open: an http.Server forgets a connection that was hijacked
	next   int
}

// New returns a proxy. Nothing runs before it is asked.
func New(o Options) *Proxy {
	if o.Refused == nil {
		o.Refused = func(*RefusedError) {}
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Own == nil {
		o.Own = interfaces
	}
	if o.Idle == 0 {
		o.Idle = IdleWithin
	}
	p := &Proxy{
		rules: o.Rules, refused: o.Refused, idle: o.Idle, slots: make(chan struct{}, MaxConnections), ends: map[int]func(){},
		dialer: &dialer{resolver: o.Resolver, dial: o.Dial, own: o.Own, within: DialWithin, each: DialWithin / 3},
	}
	p.plain, p.forward = p.newPlain(o.Log)
	return p
}

// ServeHTTP implements http.Handler. What is refused is 403, with the reason.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		http.Error(w, fmt.Sprintf("the task's proxy carries %d connections already, or has ended with its attempt", MaxConnections), http.StatusServiceUnavailable)
		return
	}
	defer p.leave()
	var err error
	if r.Method == http.MethodConnect {
		err = p.connect(w, r)
	} else {
		err = p.get(w, r)
	}
	if err != nil {
		p.tell(w, err)
	}
}

// tell answers with what went wrong before anything was answered.
func (p *Proxy) tell(w http.ResponseWriter, err error) {
	var refused *RefusedError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		p.refused(refused)
		http.Error(w, refused.Error(), http.StatusForbidden)
	case errors.As(err, &timeout) && timeout.Timeout():
		http.Error(w, "sam node could not reach it in time: "+err.Error(), http.StatusGatewayTimeout)
	default:
		http.Error(w, "sam node could not reach it: "+err.Error(), http.StatusBadGateway)
	}
}

// enter takes a place; false means that there is none.
func (p *Proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	select {
	case p.slots <- struct{}{}:
		p.open.Add(1)
		return true
	default:
		return false
	}
}

func (p *Proxy) leave() {
	<-p.slots
	p.open.Done()
}

// ending has a function called when the proxy is closed, unless forget was called before.
func (p *Proxy) ending(end func()) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		end()
		return func() {}
	}
	p.next++
	mine := p.next
	p.ends[mine] = end
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.ends, mine)
	}
}

// Close ends every tunnel and waits for what it served to have ended. It may be called twice.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	for _, end := range p.ends {
		end()
	}
	p.mu.Unlock()
	p.open.Wait()
	p.plain.CloseIdleConnections()
}

// malformed refuses what is no target.
func malformed(asked string, why error) *RefusedError {
	if len(asked) > 300 {
		asked = asked[:300]
	}
	return &RefusedError{Target: asked, Why: why.Error(), Advice: "Ask for a host by its name, as host:port."}
}
