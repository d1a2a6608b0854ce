package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	"sam/agent/wire"
)

// link is one connection to the gateway.
func (n *node) link(ctx context.Context, attempts *sync.WaitGroup) error {
	dialling, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(dialling, addressOfGateway+wire.LinkPath, &websocket.DialOptions{
		HTTPClient: n.client, HTTPHeader: http.Header{"Authorization": {"Bearer " + n.token}},
	})
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(wire.MaxFrame)
	welcome, err := n.greet(dialling, c)
	if err != nil {
		return err
	}
	n.resume(ctx, welcome)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for n.awake(ctx) {
			frame, err := hear(ctx, c)
			if err == nil && n.awake(ctx) {
				err = n.obey(ctx, attempts, c, frame)
			}
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	group.Go(func() error { return n.send(ctx, c) })
	group.Go(func() error {
		for n.awake(ctx) {
			if err := say(ctx, c, wire.Frame{Type: wire.TypeBeat, Beat: &wire.Beat{Running: n.running(), Clock: time.Now()}}); err != nil {
				return err
			}
			pause(ctx, time.Duration(welcome.BeatSeconds)*time.Second)
		}
		return ctx.Err()
	})
	return group.Wait()
}

func (n *node) greet(ctx context.Context, c *websocket.Conn) (*wire.Welcome, error) {
	hello := &wire.Hello{
		Protocols: []int{wire.Version, wire.Oldest}, Node: n.name, Version: "simulated", Slots: slotsOfNode, Workspace: "process",
		Agents: []string{"demo"}, Held: wire.Held{Mirrors: []int64{}}, Spools: n.refs(func(*spool) bool { return true }),
	}
	if err := say(ctx, c, wire.Frame{Type: wire.TypeHello, Hello: hello}); err != nil {
		return nil, err
	}
	frame, err := hear(ctx, c)
	if err != nil {
		return nil, err
	}
	if frame.Type != wire.TypeWelcome {
		return nil, fmt.Errorf("the gateway began with %s", frame.Type)
	}
	return frame.Welcome, nil
}

// resume puts the spools where the gateway wants them, and drops what it does not name.
func (n *node) resume(ctx context.Context, welcome *wire.Welcome) {
	wanted := map[wire.Ref]wire.Resume{}
	for _, r := range welcome.Resume {
		wanted[r.Ref] = r
	}
	for _, ref := range n.refs(func(*spool) bool { return true }) {
		r, ok := wanted[ref]
		if !ok {
			n.drop(ctx, ref)
			continue
		}
		n.mu.Lock()
		s := n.spools[ref]
		s.acked, s.sent, s.token = r.After, r.After, r.Token
		n.mu.Unlock()
	}
}

func (n *node) obey(ctx context.Context, attempts *sync.WaitGroup, c *websocket.Conn, f wire.Frame) error {
	var command string
	switch f.Type {
	case wire.TypeStart:
		n.take(ctx, attempts, *f.Start)
		command = f.Start.Command
	case wire.TypeStop:
		n.mu.Lock()
		if s := n.spools[f.Stop.Ref]; s != nil && s.cancel != nil {
			s.cancel(stopped{f.Stop.Reason})
		}
		n.mu.Unlock()
		command = f.Stop.Command
	case wire.TypeAnswer:
		n.mu.Lock()
		if s := n.spools[f.Answer.Ref]; s != nil && s.answers != nil {
			select {
			case s.answers <- *f.Answer:
			default: // it has one
			}
		}
		n.mu.Unlock()
		command = f.Answer.Command
	case wire.TypeDrop:
		n.drop(ctx, f.Drop.Ref)
		return nil
	case wire.TypeAck:
		n.mu.Lock()
		if s := n.spools[f.Ack.Ref]; s != nil {
			s.acked = max(s.acked, f.Ack.Seq)
			s.sent = s.acked // what came too early is sent again
		}
		n.wake()
		n.mu.Unlock()
		return nil
	default:
		return fmt.Errorf("the gateway sent %s", f.Type)
	}
	return say(ctx, c, wire.Frame{Type: wire.TypeDone, Done: &wire.Done{Command: command}})
}

// send sends what the spools hold and is not under way.
func (n *node) send(ctx context.Context, c *websocket.Conn) error {
	for n.awake(ctx) {
		n.mu.Lock()
		changed := n.changed
		var frames []wire.Frame
		for ref, s := range n.spools {
			last := s.first + int64(len(s.events)) - 1
			if s.sent >= last || s.sent > s.acked {
				continue // one run at a time, so that each is acknowledged before the next
			}
			frames = append(frames, wire.Frame{Type: wire.TypeEvents, Events: &wire.Events{Ref: ref, Items: s.events[s.acked+1-s.first:]}})
			s.sent = last
		}
		n.mu.Unlock()
		for _, f := range frames {
			if err := say(ctx, c, f); err != nil {
				return err
			}
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func say(ctx context.Context, c *websocket.Conn, f wire.Frame) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return c.Write(ctx, websocket.MessageText, data)
}

func hear(ctx context.Context, c *websocket.Conn) (wire.Frame, error) {
	_, data, err := c.Read(ctx)
	if err != nil {
		return wire.Frame{}, err
	}
	return wire.Decode(data)
}
