package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"sam/agent/wire"
	"sam/task"
)

// Times of a link.
const (
	helloWithin = 10 * time.Second
	writeWithin = 10 * time.Second
	// readWithin is longer than a few beats and shorter than task.NodeSilence: a dead peer is noticed before its tasks
	// are given away.
	readWithin = 3*task.NodeBeat + 5*time.Second
)

// link is one node's WebSocket.
//
// Its reads and writes are not given a context that somebody may cancel: the WebSocket would be cut, and the peer would
// not hear why. Whoever wants to end a link cancels it with a cause; then it is closed with that cause, which ends the
// reads and writes.
type link struct {
	gateway  *Gateway
	node     string
	made     bool // the node is a machine that SAM made
	conn     *websocket.Conn
	cancel   context.CancelCauseFunc
	writing  sync.Mutex
	epoch    int64             // counts the node's links over all replicas; see enter
	protocol int               // that both ends speak
	welcomed atomic.Bool       // the node has had its welcome, which comes before all else
	clockOff bool              // by the last beat; the reader's
	projects map[task.ID]int64 // of the tasks whose events came; the reader's
}

func (g *Gateway) serveLink(w http.ResponseWriter, r *http.Request) {
	node, made := g.holder(r)
	if node == "" {
		http.Error(w, errNoCredential.Error(), http.StatusUnauthorized)
		return
	}
	log := zerolog.Ctx(r.Context()).With().Str("node", node).Logger()
	ctx, cancel := context.WithCancelCause(log.WithContext(r.Context()))
	defer cancel(nil)
	l := &link{gateway: g, node: node, made: made, cancel: cancel}
	if !g.begin(l) {
		http.Error(w, errStopping.Error(), http.StatusServiceUnavailable)
		return
	}
	defer g.end(l)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		log.Warn().Err(err).Msg("a node's WebSocket could not be opened")
		return
	}
	conn.SetReadLimit(wire.MaxFrame)
	l.conn = conn
	closed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(closed)
		l.close(context.Cause(ctx))
	})
	_ = l.because(l.serve(ctx))
	<-closed
	log.Info().AnErr("why", context.Cause(ctx)).Msg("the node's link is closed")
}

// maxCloseReason is how many bytes of a reason a WebSocket's close frame holds.
const maxCloseReason = 123

// close tells the node why and waits, for some seconds at most, for it to have heard.
func (l *link) close(why error) {
	code, reason := websocket.StatusInternalError, "the link failed; dial again"
	var refused refusal
	switch {
	case errors.As(why, &refused):
		code, reason = websocket.StatusPolicyViolation, refused.Error()
	case errors.Is(why, errReplaced):
		code, reason = websocket.StatusPolicyViolation, errReplaced.Error()
	case errors.Is(why, errStopping), errors.Is(why, context.Canceled):
		code, reason = websocket.StatusGoingAway, errStopping.Error()
	}
	if len(reason) > maxCloseReason { // longer ones are not sent at all
		reason = strings.ToValidUTF8(reason[:maxCloseReason], "")
	}
	_ = l.conn.Close(code, reason) // best effort: the peer may be gone
}

// refusal ends a link that will be no better when it is dialled again.
type refusal struct{ why string }

func (r refusal) Error() string { return r.why }

func (l *link) serve(ctx context.Context) error {
	hello, err := l.hello(ctx)
	if err != nil {
		return err
	}
	if l.protocol, err = wire.Choose(hello.Protocols); err != nil {
		return refusal{err.Error()}
	}
	err = l.gateway.enter(ctx, l, task.Node{
		Name: l.node, Slots: hello.Slots, Version: hello.Version, Workspace: hello.Workspace, Mirrors: hello.Mirrors, Built: hello.Built,
	})
	if errors.Is(err, task.ErrNotFound) {
		return refusal{"this server has no record of node " + l.node}
	}
	if err != nil {
		return err
	}
	defer l.gateway.leave(ctx, l)
	resume, err := l.resume(ctx, hello.Spools)
	if err != nil {
		return err
	}
	if err := l.write(ctx, wire.Frame{Type: wire.TypeWelcome, Welcome: &wire.Welcome{
		Protocol: l.protocol, BeatSeconds: int(task.NodeBeat / time.Second), Resume: resume,
	}}); err != nil {
		return err
	}
	l.welcomed.Store(true)
	zerolog.Ctx(ctx).Info().Str("version", hello.Version).Int("slots", hello.Slots).Str("workspace", hello.Workspace).Msg("the node is linked")
	logBoot(ctx, hello.Boot, time.Now())
	var group errgroup.Group
	group.Go(func() error { return l.because(l.read(ctx)) })
	if l.made && l.protocol >= wire.Credentials {
		group.Go(func() error { return l.because(l.credentials(ctx)) })
	}
	group.Go(func() error {
		return l.because(l.gateway.store.FollowCommands(ctx, l.node, func(c task.Command) error { return l.command(ctx, c) }))
	})
	return group.Wait()
}

// because ends the link; the first cause is the one that the node is told.
func (l *link) because(err error) error {
	l.cancel(err)
	return err
}

func (l *link) hello(ctx context.Context) (wire.Hello, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), helloWithin)
	defer cancel()
	_, data, err := l.conn.Read(ctx)
	if err != nil {
		return wire.Hello{}, fmt.Errorf("read the hello of node %s: %w", l.node, err)
	}
	frame, err := wire.Decode(data)
	if err != nil {
		return wire.Hello{}, refusal{err.Error()}
	}
	if frame.Type != wire.TypeHello || frame.Hello.Slots < 1 {
		return wire.Hello{}, refusal{"the first frame is not a hello with at least one slot"}
	}
	return *frame.Hello, nil
}

// resume answers which of the node's spools are still wanted, and from where: events whose meaning was not noted when a
// replica died, though they are stored, come again.
func (l *link) resume(ctx context.Context, spools []wire.Ref) ([]wire.Resume, error) {
	wanted := []wire.Resume{}
	for _, ref := range spools {
		t, err := l.gateway.attempt(ctx, l.node, task.ID(ref.Task), ref.Epoch, task.Preparing, task.Running, task.Waiting)
		if errors.Is(err, errNotYours) {
			continue
		}
		if err != nil {
			return nil, err
		}
		secrets, _, err := l.gateway.environment(ctx, t)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, wire.Resume{
			Ref: ref, After: min(t.Noted, t.Last), Token: l.gateway.keys.taskToken(t.ID, t.Epoch, l.node), Secrets: secrets,
		})
	}
	return wanted, nil
}

func (l *link) write(ctx context.Context, f wire.Frame) error {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode a %s frame: %w", f.Type, err)
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
	if err := l.conn.Write(ctx, websocket.MessageText, data); err != nil {
		return fmt.Errorf("write a %s frame to node %s: %w", f.Type, l.node, err)
	}
	return nil
}

func (l *link) read(ctx context.Context) error {
	for {
		waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
		_, data, err := l.conn.Read(waiting)
		cancel()
		if err != nil {
			return fmt.Errorf("read from node %s: %w", l.node, err)
		}
		frame, err := wire.Decode(data)
		if err != nil {
			return refusal{err.Error()}
		}
		switch frame.Type {
		case wire.TypeEvents:
			err = l.events(ctx, *frame.Events)
		case wire.TypeBeat:
			err = l.beat(ctx, *frame.Beat)
		case wire.TypeDone:
			err = l.gateway.store.ConfirmCommand(ctx, l.node, frame.Done.Command)
		default:
			err = refusal{fmt.Sprintf("a node does not send %s", frame.Type)}
		}
		if err != nil {
			return err
		}
	}
}

// credentials renews a machine's credential, at once and then whenever half of its life is over.
func (l *link) credentials(ctx context.Context) error {
	tick := time.NewTicker(credentialLife / 2)
	defer tick.Stop()
	for {
		c := l.gateway.identity.credential(l.node)
		if err := l.write(ctx, wire.Frame{Type: wire.TypeCredential, Credential: &c}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

func (l *link) drop(ctx context.Context, ref wire.Ref, why string) error {
	return l.write(ctx, wire.Frame{Type: wire.TypeDrop, Drop: &wire.Drop{Ref: ref, Reason: why}})
}

// beat keeps the node and the attempts it works on alive. An attempt that is another's by now is dropped.
func (l *link) beat(ctx context.Context, b wire.Beat) error {
	l.clockOff = l.gateway.clocks.note(ctx, l.node, b.Clock, l.clockOff)
	err := l.gateway.store.NodeBeat(ctx, l.node, l.epoch, vitals(b), held(b))
	if errors.Is(err, task.ErrStale) {
		return errReplaced
	}
	if err != nil {
		return err
	}
	for _, ref := range b.Running {
		err := l.gateway.store.RenewFor(ctx, l.node, task.ID(ref.Task), ref.Epoch)
		if errors.Is(err, task.ErrStale) {
			err = l.drop(ctx, ref, "another attempt has taken over, or the task is over")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
