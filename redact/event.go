package redact

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Event returns an event's JSON without the secrets in its texts, and in its raw line those in keys and numbers too; data itself
// when there are none. What the protocol itself reads stays whatever a secret's value is: keys, numbers, the event's kind and time,
// a step's name, an end's outcome, the code of a notice, the id of a question. The result is at most limit bytes where data is.
// data must be valid JSON.
func (r *Redactor) Event(data []byte, limit int) []byte {
	if r == nil {
		return data
	}
	out := r.walk(data, false)
	if len(out) > limit && len(out) > len(data) {
		return r.walk(data, true)
	}
	return out
}

// words are the fields whose values the protocol itself reads, by the key above them and their own.
var words = map[[2]string]bool{
	{"", "kind"}: true, {"", "at"}: true, {"step", "name"}: true, {"end", "outcome"}: true, {"notice", "code"}: true, {"ask", "id"}: true,
}

// walker copies JSON and leaves out secrets. Nothing is copied before the first is found.
type walker struct {
	data   []byte
	out    []byte
	copied int // of data, in out
	short  bool

	scratch []byte // for a string without its escapes

	depth int
	keys  [2]string // at depths 1 and 2, where the keys that matter are
}

func (r *Redactor) walk(data []byte, short bool) []byte {
	w := walker{data: data, short: short}
	isKey := false // of an object, as the next string is
	var objects []bool
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '{' || c == '[':
			objects = append(objects, c == '{')
			w.depth = len(objects)
			isKey = c == '{'
			if w.depth <= len(w.keys) {
				w.keys[w.depth-1] = ""
			}
			i++
		case c == '}' || c == ']':
			objects = objects[:max(0, len(objects)-1)]
			w.depth, isKey = len(objects), false
			i++
		case c == ',':
			isKey = len(objects) > 0 && objects[len(objects)-1]
			i++
		case c == ':':
			isKey = false
			i++
		case c == '"':
			end := stringEnd(data, i)
			if end < i+2 {
				return data // cut off: no JSON
			}
			switch {
			case isKey && w.depth <= len(w.keys) && !(w.depth == 2 && w.raw()):
				w.keys[w.depth-1] = string(data[i+1 : end-1])
			case isKey && w.raw() || !isKey && !w.word():
				w.text(r, i, end)
			}
			i = end
		case c == '-' || c >= '0' && c <= '9':
			end := i + 1
			for end < len(data) && isNumber(data[end]) {
				end++
			}
			if w.raw() && end-i >= window {
				w.number(r, i, end)
			}
			i = end
		default:
			i++
		}
	}
	if w.out == nil {
		return data
	}
	return append(w.out, data[w.copied:]...)
}

// raw reports whether the value at hand is within the agent's own line.
func (w *walker) raw() bool { return w.keys[0] == "raw" }

// word reports whether the value at hand is one that the protocol reads.
func (w *walker) word() bool {
	switch w.depth {
	case 1:
		return words[[2]string{"", w.keys[0]}]
	case 2:
		return words[w.keys]
	}
	return false
}

// text leaves the secrets out of a string that stands, with its quotes, from i to end.
func (w *walker) text(r *Redactor, i, end int) {
	plain := w.data[i+1 : end-1]
	if bytes.IndexByte(plain, '\\') >= 0 {
		w.scratch = unescaped(w.scratch[:0], plain)
		plain = w.scratch
	}
	if all := r.find(plain, true); len(all) > 0 {
		w.put(i, end, quoted(replaced(plain, all, w.short)))
	}
}

// number puts a marker in the place of a number that holds a secret.
func (w *walker) number(r *Redactor, i, end int) {
	if all := r.find(w.data[i:end], false); len(all) > 0 {
		w.put(i, end, quoted(replaced(w.data[i:end], all, w.short)))
	}
}

func (w *walker) put(from, to int, instead []byte) {
	if w.out == nil {
		w.out = make([]byte, 0, len(w.data))
	}
	w.out = append(append(w.out, w.data[w.copied:from]...), instead...)
	w.copied = to
}

// stringEnd is the index behind the string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		at := bytes.IndexAny(data[i:], "\"\\")
		if at < 0 {
			break
		}
		if i += at; data[i] == '"' {
			return i + 1
		}
		i++
	}
	return len(data)
}

// unescaped appends what stands between a string's quotes without its escapes.
func unescaped(out, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		run := bytes.IndexByte(text[i:], '\\')
		if run < 0 || i+run+1 == len(text) {
			return append(out, text[i:]...)
		}
		out = append(out, text[i:i+run]...)
		if i += run + 1; text[i] != 'u' {
			out = append(out, unescape(text[i]))
			continue
		}
		r := rune4(text[i+1:])
		i += min(4, len(text)-i-1)
		if utf16.IsSurrogate(r) && bytes.HasPrefix(text[i+1:], []byte(`\u`)) {
			if both := utf16.DecodeRune(r, rune4(text[i+3:])); both != utf8.RuneError {
				r = both
				i += min(6, len(text)-i-1)
			}
		}
		out = utf8.AppendRune(out, r) // half a pair becomes U+FFFD, as for encoding/json
	}
	return out
}

// unescape is the character that a letter behind a backslash stands for.
func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return c
}

// rune4 reads four hexadecimal digits.
func rune4(text []byte) rune {
	if len(text) < 4 {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(text[:4]), 16, 32)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n) //nolint:gosec // four digits
}

func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

const lowerHex = "0123456789abcdef"

// quoted is a text as a JSON string. It escapes what must be, so that it is never longer than what was read.
func quoted(text []byte) []byte {
	out := append(make([]byte, 0, len(text)+2), '"')
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			_, size := utf8.DecodeRune(text[i:])
			out = append(out, text[i:i+size]...)
			i += size
			continue
		}
		i++
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			if c < ' ' {
				out = append(out, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
				continue
			}
			out = append(out, c)
		}
	}
	return append(out, '"')
}
