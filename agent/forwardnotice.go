package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"sam/agent/egress"
	"sam/agent/wire"
	"sam/task"
)

// hostRefused is the code of the notices of what the proxy refused. The brokers have their own.
const hostRefused = "host_refused"

// maxRefusals bounds how many things that were refused one attempt's events name, by code. A program that tries names at
// random would fill the page.
const maxRefusals = 50

// refusals tells of each thing that was refused once in an attempt. A node that restarted knows what was told from the
// attempt's spool.
type refusals struct {
	emit func(task.Event) error

	mu   sync.Mutex
	told map[string][]string // subjects by code, in order; one more than maxRefusals when it was said that there are more
}

// host takes a refusal of the proxy's.
func (h *refusals) host(r *egress.RefusedError) { h.note(hostRefused, r.Target, r.Error()) }

// broker takes a refusal of a broker's.
func (h *refusals) broker(r wire.Refused) { h.note(r.Code, r.Subject, r.Text) }

// note tells of one. What cannot be recorded is told the next time that it is refused.
func (h *refusals) note(code, subject, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	subject = printable(subject)
	told := h.told[code]
	if len(told) > maxRefusals || slices.Contains(told, subject) {
		return
	}
	e := task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: code, Subject: subject}, Text: printable(text)}
	if len(told) == maxRefusals {
		e.Notice.Subject, e.Text = "", fmt.Sprintf("More than %d such things were refused in this attempt. Those after them are not told.", maxRefusals)
	}
	if h.emit(e) == nil {
		h.told[code] = append(told, e.Notice.Subject)
	}
}

// listen takes what a broker says of a refusal off its answer, and tells of it.
func (w ways) listen(res *http.Response) error {
	w.hear(res.Header)
	res.Body = &heardOut{res.Body, func() { w.hear(res.Trailer) }}
	return nil
}

func (w ways) hear(header http.Header) {
	value := header.Get(wire.RefusedHeader)
	header.Del(wire.RefusedHeader)
	if r, ok := wire.ParseRefused(value); ok && w.refused != nil {
		w.refused(r)
	}
}

// heardOut calls atEnd when the answer was read to its end, where its trailers are.
type heardOut struct {
	io.ReadCloser
	atEnd func()
}

func (b *heardOut) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.atEnd()
	}
	return n, err
}

// printable is a text that a workspace chose, without what would break its line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// refusals are the subjects of an attempt's notices by their code, in order.
func (s *spool) refusals() (map[string][]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	subjects := map[string][]string{}
	reader := bufio.NewReaderSize(io.NewSectionReader(s.file, s.begin, s.size-s.begin), 2*task.MaxEvent)
	for seq := s.after + 1; seq <= s.last; seq++ {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, fmt.Errorf("read event %d in spool: %w", seq, err)
		}
		var e task.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("read event %d in spool: %w", seq, err)
		}
		if e.Kind == task.Noticed && e.Notice != nil {
			subjects[e.Notice.Code] = append(subjects[e.Notice.Code], e.Notice.Subject)
		}
	}
	return subjects, nil
}
