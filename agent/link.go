package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/agent/wire"
)

// keepLink holds a link to the gateway until ctx ends, dialling again whenever it is lost. What changes is logged once.
func (n *Node) keepLink(ctx context.Context) {
	log := zerolog.Ctx(ctx)
	told := ""
	pause := n.pace.first
	for ctx.Err() == nil {
		began := time.Now()
		up, err := n.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		if up {
			told = ""
			if time.Since(began) >= n.pace.steady {
				pause = n.pace.first
			}
		}
		if words := advice(err); words != told {
			log.Warn().Bool("was_up", up).Msg("no link to the gateway, trying again: " + words)
			told = words
		}
		half := pause / 2
		spread := half + rand.N(half+1) //nolint:gosec // spreads dials of many nodes, hides nothing
		if after(ctx, spread) != nil {
			return
		}
		pause = min(2*pause, n.pace.last)
	}
}

// refused is the gateway's answer to a node that it does not let in.
type refused int

func (r refused) Error() string { return fmt.Sprintf("the gateway answered %d", int(r)) }

// advice is the error with what the operator can do about it.
func advice(err error) string {
	var status refused
	var closed websocket.CloseError
	switch {
	case err == nil:
		return "the gateway ended it"
	case errors.As(err, &status) && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		return err.Error() + ": it does not know this node's token. Give the node the token that was made for it, or make a new one, and start it again"
	case errors.As(err, &closed) && closed.Code == websocket.StatusPolicyViolation:
		return "the gateway refused the node: " + closed.Reason
	}
	return err.Error()
}

// connect is one connection, from dialling to its end. up says that the gateway welcomed the node.
func (n *Node) connect(ctx context.Context) (up bool, err error) {
	conn, err := n.dial(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(wire.MaxFrame)
	held := n.held(ctx)
	welcome, err := n.greet(ctx, conn, held)
	if err != nil {
		return false, err
	}
	zerolog.Ctx(ctx).Info().Int("protocol", welcome.Protocol).Int("resumed", len(welcome.Resume)).Msg("linked to the gateway")

	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return n.receive(ctx, conn) })
	group.Go(func() error { return n.send(inner, conn) })
	group.Go(func() error { return n.beats(inner, conn, welcome.BeatSeconds, held) })
	group.Go(func() error { return n.pings(inner, conn) })
	group.Go(func() error {
		<-inner.Done() // one of the others failed, or the node ends
		if ctx.Err() != nil {
			goodbye(conn)
		}
		return conn.CloseNow()
	})
	return true, group.Wait()
}

// goodbye tells the gateway that the node ends, and waits a second for it to have heard.
func goodbye(conn *websocket.Conn) {
	timer := time.AfterFunc(time.Second, func() { _ = conn.CloseNow() })
	defer timer.Stop()
	_ = conn.Close(websocket.StatusGoingAway, "the node agent is ending")
}

func (n *Node) dial(ctx context.Context) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.pace.answer)
	defer cancel()
	if err := n.gateway.prove(ctx); err != nil {
		return nil, err
	}
	conn, response, err := websocket.Dial(ctx, n.gateway.base.JoinPath(wire.LinkPath).String(), &websocket.DialOptions{ //nolint:bodyclose // the library closes it
		HTTPClient: n.options.HTTP,
		HTTPHeader: http.Header{"Authorization": {n.gateway.authorization()}},
	})
	if err != nil {
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			if n.gateway.identity != nil && response.StatusCode == http.StatusUnauthorized {
				n.gateway.identity.denied()
			}
			return nil, refused(response.StatusCode)
		}
		return nil, fmt.Errorf("dial the gateway: %w", err)
	}
	return conn, nil
}

// greet says Hello and puts the spools where Welcome wants them.
func (n *Node) greet(ctx context.Context, conn *websocket.Conn, held wire.Held) (*wire.Welcome, error) {
	limited, cancel := context.WithTimeout(ctx, n.pace.answer)
	defer cancel()
	spools := n.spools.refs()
	protocols := make([]int, 0, 1+wire.Version-wire.Oldest)
	for v := wire.Version; v >= wire.Oldest; v-- {
		protocols = append(protocols, v)
	}
	hello := wire.Frame{Type: wire.TypeHello, Hello: &wire.Hello{
		Protocols: protocols, Node: n.options.Name, Version: n.options.Version, Slots: n.options.Slots,
		Workspace: n.workspaces.kind, Agents: n.drivers.names(), Held: held, Spools: spools, Boot: n.boot.forServer(ctx),
	}}
	if err := n.say(limited, conn, hello); err != nil {
		return nil, err
	}
	frame, err := hear(limited, conn)
	if err != nil {
		return nil, err
	}
	if frame.Type != wire.TypeWelcome {
		return nil, fmt.Errorf("the gateway began with %s, not with a welcome", frame.Type)
	}
	welcome := frame.Welcome
	if welcome.Protocol < wire.Oldest || welcome.Protocol > wire.Version {
		return nil, fmt.Errorf("the gateway chose protocol %d, this node speaks %d to %d: install the same release on both",
			welcome.Protocol, wire.Oldest, wire.Version)
	}
	n.protocol.Store(int64(welcome.Protocol))
	if hello.Hello.Boot != nil {
		n.boot.welcomed(ctx, time.Now())
	}
	return welcome, n.place(ctx, welcome, spools)
}

// place resumes the spools that the gateway names, and drops those of ours that it does not.
func (n *Node) place(ctx context.Context, welcome *wire.Welcome, ours []wire.Ref) error {
	wanted := map[wire.Ref]wire.Resume{}
	for _, r := range welcome.Resume {
		wanted[r.Ref] = r
	}
	for _, ref := range ours {
		r, ok := wanted[ref]
		if !ok {
			if err := n.forget(ctx, ref); err != nil {
				return err
			}
			continue
		}
		if err := n.resume(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// receive takes frames until the connection ends.
func (n *Node) receive(ctx context.Context, conn *websocket.Conn) error {
	for {
		// Not ctx: its end would cut the connection before the gateway is told.
		frame, err := hear(context.WithoutCancel(ctx), conn)
		if err != nil {
			return err
		}
		if err := n.obey(ctx, conn, frame); err != nil {
			return err
		}
	}
}

// obey does what a frame says, and confirms a command once it is recorded.
func (n *Node) obey(ctx context.Context, conn *websocket.Conn, frame wire.Frame) error {
	switch frame.Type {
	case wire.TypeStart:
		if err := n.take(ctx, *frame.Start); err != nil {
			return fmt.Errorf("take in task %s: %w", frame.Start.Task, err)
		}
		return n.done(ctx, conn, frame.Start.Command)
	case wire.TypeStop:
		n.end(frame.Stop.Ref, &stopped{reason: frame.Stop.Reason, keep: true})
		return n.done(ctx, conn, frame.Stop.Command)
	case wire.TypeAnswer:
		if err := n.answer(*frame.Answer); err != nil {
			return fmt.Errorf("take in an answer for task %s: %w", frame.Answer.Task, err)
		}
		return n.done(ctx, conn, frame.Answer.Command)
	case wire.TypeNotice:
		return n.notice(ctx, *frame.Notice)
	case wire.TypeCredential:
		if i := n.gateway.identity; i != nil {
			i.renewed(*frame.Credential)
		}
		return nil
	case wire.TypeDrop:
		return n.forget(ctx, frame.Drop.Ref)
	case wire.TypeAck:
		if spool := n.spools.get(frame.Ack.Ref); spool != nil {
			return spool.ack(frame.Ack.Seq)
		}
		return nil
	}
	return fmt.Errorf("the gateway sent %s, which is not for a node", frame.Type)
}

func (n *Node) done(ctx context.Context, conn *websocket.Conn, command string) error {
	return n.say(ctx, conn, wire.Frame{Type: wire.TypeDone, Done: &wire.Done{Command: command}})
}

// send sends what the spools hold, a batch of each in turn, as it comes.
func (n *Node) send(ctx context.Context, conn *websocket.Conn) error {
	for {
		more := false
		for _, spool := range n.spools.list() {
			items, err := spool.batch(n.pace.batch)
			if err != nil {
				return err
			}
			if len(items) == 0 {
				continue
			}
			more = true
			frame := wire.Frame{Type: wire.TypeEvents, Events: &wire.Events{Ref: spool.ref, Items: items}}
			if err := n.say(ctx, conn, frame); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		select {
		case <-n.spools.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beats tells how the node is, and what it holds when that is not what was said before.
func (n *Node) beats(ctx context.Context, conn *websocket.Conn, seconds int, said wire.Held) error {
	every := time.Duration(max(1, seconds)) * time.Second
	for {
		beat := n.beat()
		if held := n.held(ctx); !slices.Equal(held.Mirrors, said.Mirrors) || !slices.Equal(held.Built, said.Built) {
			beat.Held, said = &held, held
		}
		if err := n.say(ctx, conn, wire.Frame{Type: wire.TypeBeat, Beat: &beat}); err != nil {
			return err
		}
		if err := after(ctx, every); err != nil {
			return err
		}
	}
}

// pings notices a peer that is gone without a word.
func (n *Node) pings(ctx context.Context, conn *websocket.Conn) error {
	for {
		if err := after(ctx, n.pace.ping); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(ctx, n.pace.answer)
		err := conn.Ping(limited)
		cancel()
		if err != nil {
			return fmt.Errorf("the gateway does not answer: %w", err)
		}
	}
}

// say sends a frame; one that is not taken within the pace's answer ends the connection.
func (n *Node) say(ctx context.Context, conn *websocket.Conn, frame wire.Frame) error {
	data, err := json.Marshal(frame)
	if err != nil {
		return fmt.Errorf("encode %s: %w", frame.Type, err)
	}
	if len(data) > wire.MaxFrame {
		return fmt.Errorf("send %s: %d bytes, a frame holds %d", frame.Type, len(data), wire.MaxFrame)
	}
	ctx, cancel := context.WithTimeout(ctx, n.pace.answer)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, data); err != nil {
		return fmt.Errorf("send %s: %w", frame.Type, err)
	}
	return nil
}

func hear(ctx context.Context, conn *websocket.Conn) (wire.Frame, error) {
	_, data, err := conn.Read(ctx)
	if err != nil {
		return wire.Frame{}, fmt.Errorf("hear from the gateway: %w", err)
	}
	frame, err := wire.Decode(data)
	if err != nil {
		return wire.Frame{}, fmt.Errorf("hear from the gateway: %w", err)
	}
	return frame, nil
}
