package dashboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"sam/task"
)

const (
	beat      = 15 * time.Second       // between heartbeats
	retry     = 2 * time.Second        // after which the browser connects again
	writeFor  = 20 * time.Second       // a write that takes longer means that nobody is there
	fastItems = 200                    // a second; above it several go into one write
	gather    = 25 * time.Millisecond  // for that long
	rateOver  = 250 * time.Millisecond // the span over which the rate is measured
	keepBytes = 16 << 10               // of a stream's buffer between two writes; what a page caught up with may be megabytes
)

// live serves a page's stream.
func (d *Dashboard) live(w http.ResponseWriter, r *http.Request) {
	topics, err := parseTopics(r.URL.Query().Get("topics"))
	if err != nil {
		http.Error(w, "These topics cannot be followed: "+err.Error()+".", http.StatusBadRequest)
		return
	}
	for _, t := range topics {
		if err := d.exists(r.Context(), t); errors.Is(err, task.ErrNotFound) {
			http.Error(w, "There is no "+t.String()+".", http.StatusNotFound)
			return
		} else if err != nil {
			d.fail(w, r, err)
			return
		}
	}
	wanted := r.Header.Get("Last-Event-ID")
	if wanted == "" {
		wanted = r.URL.Query().Get("from")
	}
	from, err := parseVector(wanted)
	if err != nil { // of another release perhaps: the page starts anew
		from = vector{}
		for _, t := range topics {
			from[t] = position{major: ^uint64(0)}
		}
	}
	v, ok := d.hub.join(r.Context(), topics, from)
	if !ok {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "SAM shows as many live pages as it can, or is stopping.", http.StatusServiceUnavailable)
		return
	}
	defer v.leave()
	s := &stream{w: w, control: http.NewResponseController(w), beat: d.beat}
	// A write under way ends with the dashboard: it would be waited for.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-d.hub.done:
			cancel()                                   // before the deadline: see flush
			_ = s.control.SetWriteDeadline(time.Now()) // where it cannot be set the write ends by itself
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel()
		<-ended
		select {
		case <-d.hub.done:
		default:
			_ = s.control.SetWriteDeadline(time.Time{}) // the connection may serve other requests
		}
	}()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy is not to gather it
	w.WriteHeader(http.StatusOK)
	if err := s.serve(ctx, v); err != nil && ctx.Err() == nil {
		zerolog.Ctx(ctx).Debug().Err(err).Msg("live page left")
	}
}

func (d *Dashboard) exists(ctx context.Context, t topic) error {
	var err error
	if t.task != "" {
		_, err = d.store.Task(ctx, t.task)
	} else {
		_, err = d.store.Project(ctx, t.project)
	}
	return err
}

// stream writes a viewer's messages as Server-Sent Events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	beat    time.Duration
	buffer  bytes.Buffer
	since   time.Time // the rate is measured from here
	count   int
}

func (s *stream) serve(ctx context.Context, v *viewer) error {
	fmt.Fprintf(&s.buffer, "retry: %d\n\n", retry.Milliseconds())
	beat := time.NewTicker(s.beat)
	defer beat.Stop()
	for {
		messages, err := v.take(ctx)
		if ctx.Err() != nil {
			return nil
		}
		for _, m := range messages {
			s.add(m)
		}
		if err := errors.Join(err, s.flush(ctx)); err != nil {
			return err
		}
		if s.fast(len(messages)) {
			timer := time.NewTimer(gather)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		if v.behind {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-v.signal:
		case <-beat.C:
			s.buffer.WriteString("event: heartbeat\ndata: {}\n\n")
		}
	}
}

// fast reports whether more than fastItems a second have been written of late.
func (s *stream) fast(n int) bool {
	if span := time.Since(s.since); span > 2*rateOver {
		s.since, s.count = time.Now(), 0
	} else if span > rateOver {
		s.since, s.count = s.since.Add(span/2), s.count/2
	}
	s.count += n
	return float64(s.count) > fastItems*rateOver.Seconds()
}

func (s *stream) add(m message) {
	data := m.data
	if data == nil {
		data = fmt.Appendf(nil, `{"topic":%q}`, m.topic.String())
	}
	// JSON holds no line break, so data is one line.
	fmt.Fprintf(&s.buffer, "event: %s\nid: %s\ndata: %s\n\n", m.name, m.vector, data)
}

// flush writes what was added, at once. Whoever ends the stream ends its context first and a write under way second, so
// that a deadline that is set here meanwhile does not undo that.
func (s *stream) flush(ctx context.Context) error {
	if s.buffer.Len() == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(writeFor)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("bound a write: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	default:
	}
	if _, err := s.w.Write(s.buffer.Bytes()); err != nil {
		return fmt.Errorf("write to a page: %w", err)
	}
	if s.buffer.Reset(); s.buffer.Cap() > keepBytes {
		s.buffer = bytes.Buffer{}
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("write to a page: %w", err)
	}
	return nil
}
