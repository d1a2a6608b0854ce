package model

import (
	"fmt"
	"strings"
)

const (
	maxBytes, maxLines, maxPieces = 1 << 30, 50_000_000, 5000
	defaultPieces                 = 40
)

// slowly says much, in small pieces.
func (s *script) slowly() answer {
	n, _ := s.amount(Slow)
	if n == 0 {
		n = defaultPieces
	}
	n = min(n, maxPieces)
	pieces := make([]string, n)
	for i := range pieces {
		pieces[i] = fmt.Sprintf("Piece %d of %d. ", i+1, n)
		if i%8 == 7 {
			pieces[i] += "\n\n"
		}
	}
	pieces[n-1] += signature
	return answer{pieces: pieces, pace: s.pace}
}

// big has a command print very much.
func (s *script) big() answer {
	if s.tools.shell == nil {
		return s.noShell()
	}
	n, unit := s.amount(Big)
	if n == 0 {
		n, unit = 10, "mb"
	}
	what := fmt.Sprintf("%d lines", min(n, maxLines))
	command := fmt.Sprintf("seq -f 'line %%.0f of very much output' %d", min(n, maxLines))
	if !strings.HasPrefix(unit, "line") {
		scale := map[string]int{"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}[unit]
		scale = max(scale, 1) // no unit: bytes
		size := min(n, maxBytes/scale) * scale
		what = fmt.Sprintf("one line of %d bytes", size)
		command = fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; echo", size)
	}
	seen, ok := s.do("I'll print "+what+".", s.tools.run("Print very much", command))
	if !ok {
		return s.out
	}
	return s.end(fmt.Sprintf("I had %s printed; %d bytes of that came back to me. Nothing was changed.", what, len(seen[0].text)))
}

// daemon leaves a process behind that has no terminal, no parent and a session of its own.
func (s *script) daemon() answer {
	if s.tools.shell == nil {
		return s.noShell()
	}
	seen, ok := s.do("I'll start something that outlives me.", s.tools.run("Leave a process behind",
		"setsid nohup sleep 600 </dev/null >/dev/null 2>&1 & echo \"left process $!\""))
	if !ok {
		return s.out
	}
	if seen[0].failed {
		return s.end("I could not start it:\n\n" + failure(seen[0]))
	}
	return s.end("A `sleep 600` runs on, in a session of its own: " + strings.TrimSpace(seen[0].text) + ". Nothing else was changed.")
}
