package dashboard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// The ring of a feed: what viewers that keep up take from memory. Whoever is further behind reads the store.
const (
	ringItems = 256
	ringBytes = 1 << 20
	readItems = 100 // that are read from the store at once
)

// maxViewers is how many streams a process serves: 25 KB each.
const maxViewers = 4096

// A feed whose source failed tries again after feedPause, and ever later up to feedPauseMax.
const (
	feedPause    = 250 * time.Millisecond
	feedPauseMax = 4 * time.Second
)

// errGone says that what comes after a position is no longer there, or that the position is of another life of the store.
var errGone = errors.New("the position is no longer there")

// item is one event or entry, rendered.
type item struct {
	at   position
	data []byte
}

// sink takes what a source has. The items come in order.
type sink interface {
	item(item)
	status([]byte)
}

// source is where a topic's items come from.
type source interface {
	// last is the position of the last item there is.
	last(ctx context.Context) (position, error)
	// read returns up to limit items after a position; errGone when some that came after it are not there any more.
	read(ctx context.Context, after position, limit int) ([]item, error)
	// follow hands over the items after a position, those that are there and those that come, and the status now and
	// whenever it changes, until ctx ends (nil).
	follow(ctx context.Context, after position, to sink) error
}

// hub has one reader for each topic that somebody looks at. It knows no transport.
type hub struct {
	open func(topic) source
	wg   sync.WaitGroup
	done chan struct{} // closed with the hub

	mu     sync.Mutex
	closed bool
	joined int
	feeds  map[topic]*feed
}

func newHub(open func(topic) source) *hub {
	return &hub{open: open, done: make(chan struct{}), feeds: map[topic]*feed{}}
}

// close ends every feed and every viewer's wait, and waits for the feeds and for whoever has joined and not left.
func (h *hub) close() {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
	for _, f := range h.feeds {
		f.cancel()
	}
	h.mu.Unlock()
	h.wg.Wait()
}

// join makes a viewer of these topics that starts at the vector; false when the hub is closed or full. Leave it. The
// context lends its values, its logger among them, to the feeds that begin with it; they outlive it.
func (h *hub) join(ctx context.Context, topics []topic, from vector) (*viewer, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.joined >= maxViewers {
		return nil, false
	}
	h.joined++
	h.wg.Add(1)
	v := &viewer{hub: h, signal: make(chan struct{}, 1), vector: vector{}, topics: topics}
	for _, t := range topics {
		f := h.feeds[t]
		if f == nil {
			f = &feed{source: h.open(t), viewers: map[*viewer]struct{}{}}
			ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			f.cancel = cancel
			h.feeds[t] = f
			h.wg.Add(1)
			go func() {
				defer h.wg.Done()
				f.run(ctx, t)
			}()
		}
		f.mu.Lock()
		f.viewers[v] = struct{}{}
		f.mu.Unlock()
		v.feeds = append(v.feeds, f)
		v.told = append(v.told, 0)
		v.checked = append(v.checked, false)
		v.vector[t] = from[t]
	}
	return v, true
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range v.feeds {
		h.part(v, i)
	}
	h.joined--
	h.wg.Done()
}

// part takes a viewer from one of its feeds, which ends with its last viewer. The caller holds the lock.
func (h *hub) part(v *viewer, i int) {
	f := v.feeds[i]
	if f == nil {
		return
	}
	v.feeds[i] = nil
	f.mu.Lock()
	delete(f.viewers, v)
	empty := len(f.viewers) == 0
	f.mu.Unlock()
	if empty {
		f.cancel()
		delete(h.feeds, v.topics[i])
	}
}

// feed is one topic's reader with what it read last.
type feed struct {
	source source
	cancel context.CancelFunc

	mu      sync.Mutex
	viewers map[*viewer]struct{}
	known   bool     // head is known
	base    position // the ring holds every item after it
	head    position // the last item seen
	ring    []item
	bytes   int
	latest  []byte // the status
	version int    // of the status; 0 for none yet
}

func (f *feed) run(ctx context.Context, t topic) {
	for pause := feedPause; ; pause = min(2*pause, feedPauseMax) {
		began := time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > feedPauseMax {
			pause = feedPause // it went well for a while
		}
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Stringer("topic", t).Msg("following failed; trying again")
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (f *feed) follow(ctx context.Context) error {
	f.mu.Lock()
	known, head := f.known, f.head
	f.mu.Unlock()
	if !known {
		last, err := f.source.last(ctx)
		if err != nil {
			return err
		}
		f.change(func() { f.known, f.base, f.head = true, last, last })
		head = last
	}
	return f.source.follow(ctx, head, f)
}

// change changes the feed and tells its viewers that there is something new.
func (f *feed) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	for v := range f.viewers {
		select {
		case v.signal <- struct{}{}:
		default: // it has one already
		}
	}
}

func (f *feed) item(i item) {
	f.change(func() {
		f.ring, f.bytes, f.head = append(f.ring, i), f.bytes+len(i.data), i.at
		drop := 0
		for drop < len(f.ring)-1 && (len(f.ring)-drop > ringItems || f.bytes > ringBytes) {
			f.bytes -= len(f.ring[drop].data)
			f.base = f.ring[drop].at
			drop++
		}
		clear(f.ring[:drop]) // the array under it lives on for a while
		f.ring = f.ring[drop:]
	})
}

func (f *feed) status(s []byte) {
	f.change(func() {
		f.latest = s
		f.version++
	})
}

// after returns the items after p, and whether the ring holds all of them.
func (f *feed) after(p position) ([]item, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known || p.compare(f.base) < 0 {
		return nil, false
	}
	first := len(f.ring)
	for first > 0 && f.ring[first-1].at.compare(p) > 0 {
		first--
	}
	return append([]item(nil), f.ring[first:]...), true
}

// newer returns the status unless it is the version that was told already.
func (f *feed) newer(told int) ([]byte, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version == told {
		return nil, told
	}
	return f.latest, f.version
}
