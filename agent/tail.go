package agent

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// tail is a writer that keeps the last max bytes. It is for one stream: it has no lock.
type tail struct {
	max  int
	kept []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*t.max { // compacting only now and then
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-t.max:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return keepEnd(string(t.kept), t.max) }

// lastLines is the end of what was written: at most n lines that say something.
func (t *tail) lastLines(n int) string {
	var lines []string
	for line := range strings.SplitSeq(t.String(), "\n") {
		if line = strings.TrimRight(line, " \r\t"); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// keepEnd is the end of s: at most n bytes, from the beginning of a rune on.
func keepEnd(s string, n int) string {
	if len(s) <= n {
		return s
	}
	from := len(s) - n
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return s[from:]
}

// keepHead is the head of s: at most n bytes, up to the end of a rune.
func keepHead(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// lines is a writer that hands on each line without its end. What is longer than max is handed on cut, with long set, and
// the rest of that line is left out.
type lines struct {
	max  int
	each func(line []byte, long bool)

	part []byte
	skip bool
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		chunk, rest, whole := bytes.Cut(p, []byte{'\n'})
		p = rest
		if !l.skip {
			l.part = append(l.part, chunk...)
			if len(l.part) > l.max {
				l.each(l.part[:l.max], true)
				l.part, l.skip = l.part[:0], true
			}
		}
		if whole {
			if !l.skip {
				l.each(l.part, false)
			}
			l.part, l.skip = l.part[:0], false
		}
	}
	return n, nil
}
