package shim

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"sync"
	"time"
)

// How much of what a program prints is kept. A burst is kept whole; what goes on faster than the rate is cut, by whole
// lines, so that what reads lines finds lines. Nothing of it ever holds the program up.
const (
	outputBurst = 64 << 20 // bytes
	outputRate  = 4 << 20  // bytes a second, once the burst is used up

	// Behind MaxOutput only so much is kept that a program which has calmed down can still say how it ended.
	trickleBurst = 1 << 20
	trickleRate  = 64 << 10
	hardOutput   = 2 * MaxOutput // one that is kept so much of does not calm down: it is ended

	// A cut lasts until so much may be kept again, for one long one is told better than a thousand short ones; or until the
	// program has been quiet for a moment, and so much less may be kept.
	resumeBurst = 16 << 20
	resumeQuiet = 64 << 10
	quiet       = 100 * time.Millisecond
)

// maxPending is how many bytes wait to be written while the disk is slow. It bounds the memory.
const maxPending = 16 << 20

// Left is a Cut: so many bytes of a stream are left out here. Midline: the line before was left unfinished.
type Left struct {
	Kind    Kind  `json:"kind"`
	Bytes   int64 `json:"bytes"`
	Midline bool  `json:"midline,omitempty"`
}

// flow stands between a program's pipes and its output. Whoever puts never waits for the disk: what does not fit is cut.
type flow struct {
	now  func() time.Time
	news chan struct{} // something is pending; holds one
	done chan struct{} // closed when everything is written

	mu      sync.Mutex
	pending []byte // frames
	closed  bool
	allowed float64   // bytes that may be kept at once
	at      time.Time // when that was so
	kept    int64
	streams [Ended]stream // by kind
}

// stream is where one of the pipes stands.
type stream struct {
	cutting bool
	left    int64     // bytes of this cut
	at      time.Time // when something came last
	calm    bool      // there was a quiet moment within this cut
	inLine  bool      // the last byte that came was not a line's end
	midline bool      // nor the last that was kept
}

// newFlow writes what is kept, as frames, in a goroutine of its own until it is closed. An error of write is told once; what
// comes then is dropped.
func newFlow(now func() time.Time, write func(frames []byte) error, failed func(error)) *flow {
	f := &flow{now: now, news: make(chan struct{}, 1), done: make(chan struct{}), allowed: outputBurst, at: now()}
	go func() {
		defer close(f.done)
		var spare []byte
		broken := false
		for closed := false; !closed; {
			<-f.news
			var frames []byte
			frames, closed = f.take(spare)
			if !broken && len(frames) > 0 {
				if err := write(frames); err != nil {
					broken = true
					failed(err)
				}
			}
			if spare = frames[:0]; cap(spare) > 1<<20 {
				spare = nil
			}
		}
	}()
	return f
}

// take is what is pending; spare is used for what comes next.
func (f *flow) take(spare []byte) (frames []byte, closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	frames, f.pending = f.pending, spare
	return frames, f.closed
}

// add makes a frame pending.
func (f *flow) add(kind Kind, content []byte) {
	f.pending = append(appendHead(f.pending, kind, len(content)), content...)
	f.tell()
}

func (f *flow) tell() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

// put takes a piece of what a program printed, at most MaxFrame bytes. It keeps nothing of the slice.
func (f *flow) put(kind Kind, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &f.streams[kind]
	f.refill()
	ends := content[len(content)-1] == '\n'
	s.calm = s.calm || f.at.Sub(s.at) >= quiet
	defer func() { s.inLine, s.at = !ends, f.at }()
	if s.cutting {
		from := 0 // of the first whole line
		if s.inLine {
			from = bytes.IndexByte(content, '\n') + 1
		}
		if !f.resumes(s.calm) || s.inLine && from == 0 || from == len(content) {
			s.left += int64(len(content))
			return
		}
		s.left += int64(from)
		f.mark(kind)
		content = content[from:]
	}
	keep := len(content)
	if room := min(int(f.allowed), hardOutput); room < keep {
		keep = bytes.LastIndexByte(content[:max(0, room)], '\n') + 1
	}
	if len(f.pending) > maxPending {
		keep = 0
	}
	if keep < len(content) {
		s.cutting, s.calm, s.left = true, false, int64(len(content)-keep)
	}
	if keep == 0 {
		return
	}
	f.allowed -= float64(keep)
	f.kept += int64(keep)
	s.midline = content[keep-1] != '\n'
	f.add(kind, content[:keep])
}

// refill counts what may be kept by now.
func (f *flow) refill() {
	now := f.now()
	rate, burst := float64(outputRate), float64(outputBurst)
	if f.kept >= MaxOutput {
		rate, burst = trickleRate, trickleBurst
	}
	f.allowed = min(burst, f.allowed+rate*now.Sub(f.at).Seconds())
	f.at = now
}

// resumes reports whether a cut is over.
func (f *flow) resumes(calm bool) bool {
	wanted := float64(resumeBurst)
	switch {
	case calm:
		wanted = resumeQuiet
	case f.kept >= MaxOutput:
		wanted = trickleBurst
	}
	return f.allowed >= wanted && len(f.pending) < maxPending/2
}

// mark says where a stream was cut, and ends the cut.
func (f *flow) mark(kind Kind) {
	s := &f.streams[kind]
	data, err := json.Marshal(Left{Kind: kind, Bytes: s.left, Midline: s.midline})
	if err != nil { // of numbers: always encodes
		panic(err)
	}
	f.add(Cut, data)
	s.cutting, s.left, s.midline = false, 0, false
}

// tooMuch reports whether so much is kept that the program is to be ended.
func (f *flow) tooMuch() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept >= hardOutput
}

// close marks what is cut, and waits until everything is written. Nobody puts any more.
func (f *flow) close() {
	f.mu.Lock()
	for kind := range f.streams {
		if f.streams[kind].cutting {
			f.mark(Kind(kind))
		}
	}
	f.closed = true
	f.tell()
	f.mu.Unlock()
	<-f.done
}

// appendHead appends a frame's head.
func appendHead(to []byte, kind Kind, length int) []byte {
	return binary.BigEndian.AppendUint32(append(to, byte(kind)), uint32(length)) //nolint:gosec // at most MaxFrame
}
