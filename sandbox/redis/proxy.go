package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// FaultKind is a way in which the network between a client and a Redis goes wrong.
type FaultKind string

// The kinds of fault.
const (
	Pass      FaultKind = "pass"       // nothing goes wrong
	DropReply FaultKind = "drop-reply" // Redis carries the command out; the connection is cut before the reply
	DropQuery FaultKind = "drop-query" // the connection is cut before the command reaches Redis
	Delay     FaultKind = "delay"      // the reply comes late
	Hold      FaultKind = "hold"       // the command comes late to Redis, though its sender may have given it up
	Refuse    FaultKind = "refuse"     // open connections are cut, and new ones as soon as they are made
)

// Fault is what goes wrong, and when. Its commands are counted over all connections from the moment it is set.
type Fault struct {
	Kind     FaultKind
	Commands []string      // that it strikes, by name; empty: all but those that set a connection up
	With     string        // only with this argument; empty: with any
	After    int           // so many of them pass first
	Times    int           // so often it strikes; 0: until another fault is set
	Delay    time.Duration // of a Delay or a Hold
	Struck   func()        // called when it strikes, before anything happens; it must return soon. May be nil
}

// setup are the commands by which a client sets a connection up. A fault strikes them only where it names them.
var setup = []string{"HELLO", "AUTH", "CLIENT", "SELECT", "READONLY", "CLUSTER", "COMMAND", "PING"}

// Proxy stands between clients and a Redis and does to them what it is told. It passes everything at first.
type Proxy struct {
	Address string // host:port for the clients

	target   string
	listener net.Listener
	done     chan struct{} // closed by Stop
	wg       sync.WaitGroup

	mu    sync.Mutex
	fault Fault
	seen  int // commands of the fault since it was set
	hits  map[FaultKind]int
	conns map[net.Conn]struct{}
}

// StartProxy starts a proxy on a loopback port before the Redis at target, an address as Server has it. Stop it.
func StartProxy(ctx context.Context, target string) (*Proxy, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the proxy's listener: %w", err)
	}
	p := &Proxy{
		Address: l.Addr().String(), target: target, listener: l, done: make(chan struct{}),
		fault: Fault{Kind: Pass}, hits: map[FaultKind]int{}, conns: map[net.Conn]struct{}{},
	}
	p.wg.Go(p.accept)
	return p, nil
}

// Set replaces the fault. It holds for commands that have not been read yet, whatever connection they come on.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.seen = f, 0
	if f.Kind != Refuse {
		return
	}
	for c := range p.conns {
		p.hits[Refuse]++
		_ = c.Close()
	}
}

// Hits says how often each kind of fault has struck since the start.
func (p *Proxy) Hits() map[FaultKind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.hits)
}

// Stop cuts every connection, and returns when all is quiet. It may be called twice.
func (p *Proxy) Stop() error {
	err := p.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	} else {
		close(p.done)
	}
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuses(client) {
			continue
		}
		p.wg.Go(func() {
			defer p.forget(client)
			p.serve(client)
		})
	}
}

// refuses reports whether a new connection is refused, and was closed; otherwise it is remembered.
func (p *Proxy) refuses(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.Kind == Refuse {
		p.hits[Refuse]++
		_ = client.Close()
		return true
	}
	p.conns[client] = struct{}{}
	return false
}

func (p *Proxy) forget(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, client)
	_ = client.Close()
}

// serve carries one client's commands and their replies until either end closes, or a fault cuts the connection.
func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial(network(p.target), p.target) //nolint:noctx // loopback or a socket: it answers at once or not at all
	if err != nil {
		return
	}
	// One entry for each command on its way: a client that sends more than this without reading waits.
	pending := make(chan Fault, 4096)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = client.Close() }() // what Redis closed, or a fault cut, the client sees
		p.replies(client, server, pending)
	})
	p.commands(client, server, pending)
	close(pending)
	_ = server.Close()
	wg.Wait()
}

// commands passes what the client asks on to Redis.
func (p *Proxy) commands(client io.Reader, server io.Writer, pending chan<- Fault) {
	r := bufio.NewReader(client)
	for {
		frame, err := readFrame(r)
		if err != nil {
			return
		}
		f := p.judge(frame)
		switch f.Kind {
		case DropQuery:
			return
		case Hold:
			p.rest(f.Delay)
		}
		select {
		case pending <- f:
		case <-p.done:
			return
		}
		if _, err := server.Write(frame); err != nil {
			return
		}
	}
}

// replies passes Redis's answers back, as the faults of their commands say.
func (p *Proxy) replies(client io.Writer, server io.Reader, pending <-chan Fault) {
	r := bufio.NewReader(server)
	for {
		frame, err := readFrame(r)
		if err != nil {
			return
		}
		if frame[0] != '>' { // a push answers nothing
			switch f := <-pending; f.Kind {
			case DropReply:
				return
			case Delay:
				p.rest(f.Delay)
			}
		}
		if _, err := client.Write(frame); err != nil {
			return
		}
	}
}

// rest waits, unless the proxy is stopped.
func (p *Proxy) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.done:
	}
}

// judge returns what happens to a command.
func (p *Proxy) judge(frame []byte) Fault {
	all := words(frame)
	if len(all) == 0 {
		return Fault{Kind: Pass}
	}
	name := strings.ToUpper(all[0])
	f, strikes := p.strikes(name, all[1:])
	if strikes && f.Struck != nil {
		f.Struck()
	}
	return f
}

func (p *Proxy) strikes(name string, arguments []string) (Fault, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.fault
	struck := slices.ContainsFunc(f.Commands, func(c string) bool { return strings.EqualFold(c, name) })
	if len(f.Commands) == 0 {
		struck = !slices.Contains(setup, name)
	}
	if !struck || f.Kind == Pass || f.Kind == Refuse || f.With != "" && !slices.Contains(arguments, f.With) {
		return Fault{Kind: Pass}, false
	}
	p.seen++
	if p.seen <= f.After || f.Times > 0 && p.seen > f.After+f.Times {
		return Fault{Kind: Pass}, false
	}
	p.hits[f.Kind]++
	return f, true
}
