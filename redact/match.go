package redact

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// form is a text in which a value may appear.
type form struct {
	text []byte
	name string
}

// least is how many bytes of a form are taken for a part of it where a text ends or begins: the larger half. A value that is cut in
// two loses that one whatever it is cut by; words that a value begins with by chance, as an address with "postgres", stay.
func (f form) least() int { return max(window, (len(f.text)+1)/2) }

// maxGap bounds what stands between two bytes of a value, in pieces that gap passes over.
const maxGap = 64

// onward compares a form with what stands at i, where its first bytes are, over gaps. It returns where it ends, and whether all of it
// is there; -1 when it is not. At the end of a text that may be cut a part is enough.
func (f form) onward(text []byte, i int, cut bool) (end int, whole bool) {
	at, k, gaps, broken := i, 0, 0, false
	for {
		n := common(text[at:], f.text[k:])
		at, k = at+n, k+n
		if n > 0 {
			gaps, broken = 0, false
		}
		switch {
		case k == len(f.text):
			return at, true
		case cut && k >= f.least() && isBlank(text[at:]):
			return at, false
		}
		length, line := gap(text[at:], broken)
		if gaps++; length == 0 || gaps > maxGap {
			return -1, false
		}
		at, broken = at+length, broken || line
	}
}

// backward is onward's other direction: it returns where a form begins whose last bytes stand before i.
func (f form) backward(text []byte, i int, cut bool) (from int, whole bool) {
	at, k, gaps := i, len(f.text), 0
	for {
		n := commonEnd(text[:at], f.text[:k])
		at, k = at-n, k-n
		if n > 0 {
			gaps = 0
		}
		switch {
		case k == 0:
			return at, true
		case cut && len(f.text)-k >= f.least() && isBlank(text[:at]):
			return at, false
		}
		length := gapBefore(text[:at])
		if gaps++; length == 0 || gaps > maxGap {
			return -1, false
		}
		at -= length
	}
}

// common is how many bytes two texts have in common at their beginnings, commonEnd at their ends.
func common(a, b []byte) int {
	n := 0
	for n+8 <= len(a) && n+8 <= len(b) {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
		n += 8
	}
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func commonEnd(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// isBlank reports whether nothing but space is there, and the sign of what was left out.
func isBlank(text []byte) bool {
	if len(text) > maxGap {
		return false
	}
	return len(bytes.Trim(text, " \t\r\n….")) == 0
}

// gap is how long the piece at the beginning of a text is that programs put into what they print: a line's end, also as it is
// escaped in JSON; what stands before the next line, as indentation or in a diff, once a line has ended; a terminal's colour. 0: it is none.
func gap(text []byte, broken bool) (length int, line bool) {
	switch {
	case len(text) == 0:
	case text[0] == '\n' || text[0] == '\r':
		return 1, true
	case len(text) > 1 && text[0] == '\\' && (text[1] == 'n' || text[1] == 'r'):
		return 2, true
	case broken && isMargin(text[0]):
		return 1, true
	case text[0] == '\x1b' && len(text) > 1 && text[1] == '[':
		for i := 2; i < len(text) && i < maxGap; i++ {
			if c := text[i]; c == 'm' || c == 'K' {
				return i + 1, false
			} else if !isParameter(c) {
				break
			}
		}
	}
	return 0, false
}

// gapBefore is gap for the end of a text.
func gapBefore(text []byte) int {
	last := len(text) - 1
	if last < 0 {
		return 0
	}
	switch c := text[last]; {
	case isBreak(text):
		return breakLength(text)
	case isMargin(c):
		for n := 1; n <= min(last, maxGap); n++ {
			if rest := text[:len(text)-n]; isBreak(rest) {
				return n
			} else if !isMargin(rest[len(rest)-1]) {
				break
			}
		}
	case c == 'm' || c == 'K':
		for i := last - 1; i > 0 && last-i < maxGap; i-- {
			if text[i] == '[' && text[i-1] == '\x1b' {
				return len(text) - i + 1
			} else if !isParameter(text[i]) {
				break
			}
		}
	}
	return 0
}

func isBreak(text []byte) bool { return breakLength(text) > 0 }

// breakLength is how long the line's end is that a text ends with.
func breakLength(text []byte) int {
	n := len(text)
	switch {
	case n > 0 && (text[n-1] == '\n' || text[n-1] == '\r'):
		return 1
	case n > 1 && text[n-2] == '\\' && (text[n-1] == 'n' || text[n-1] == 'r'):
		return 2
	}
	return 0
}

func isMargin(c byte) bool    { return c == ' ' || c == '\t' || c == '+' || c == '-' }
func isParameter(c byte) bool { return c >= '0' && c <= '9' || c == ';' }
