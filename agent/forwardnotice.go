package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"sam/agent/egress"
	"sam/task"
)

// hostRefused is the code of the notices of what the proxy refused.
const hostRefused = "host_refused"

// maxRefusedHosts bounds how many refused hosts one attempt's events name. A program that tries names at random would
// fill the page.
const maxRefusedHosts = 50

// refusedHosts tells of each host that the proxy refused once in an attempt. A node that restarted knows what was told
// from the attempt's spool.
type refusedHosts struct {
	emit func(task.Event) error

	mu   sync.Mutex
	told []string // subjects, in order; one more than maxRefusedHosts when it was said that there are more
}

// note takes a refusal. What cannot be recorded is told the next time that it is refused.
func (h *refusedHosts) note(r *egress.RefusedError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	subject := printable(r.Target)
	if len(h.told) > maxRefusedHosts || slices.Contains(h.told, subject) {
		return
	}
	e := task.Event{Kind: task.Noticed, Notice: &task.Notice{Code: hostRefused, Subject: subject}, Text: printable(r.Error())}
	if len(h.told) == maxRefusedHosts {
		e.Notice.Subject, e.Text = "", fmt.Sprintf("More than %d hosts were refused in this attempt. Those after them are not told.", maxRefusedHosts)
	}
	if h.emit(e) == nil {
		h.told = append(h.told, e.Notice.Subject)
	}
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

// noticed are the subjects of an attempt's notices of a code, in order.
func (s *spool) noticed(code string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var subjects []string
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
		if e.Kind == task.Noticed && e.Notice != nil && e.Notice.Code == code {
			subjects = append(subjects, e.Notice.Subject)
		}
	}
	return subjects, nil
}
