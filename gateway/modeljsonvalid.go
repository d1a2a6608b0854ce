package gateway

import (
	"encoding/binary"
	"math/bits"
)

// maxJSONDepth bounds how deep arrays and objects stand in each other. What tools are called with is a dozen deep.
const maxJSONDepth = 1000

// jsonValues passes over values of a JSON text that may be anything, by RFC 8259 to the letter: false is for what is not valid, and
// nothing is to be read after it. json.Valid takes five times as long, and a request waits for it.
type jsonValues struct {
	text  []byte
	at    int
	depth int
}

// next is the first byte behind white space: { [ " t f n - or a digit where a value comes, 0 at the end.
func (j *jsonValues) next() byte {
	for ; j.at < len(j.text); j.at++ {
		if c := j.text[j.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

func (j *jsonValues) value() bool {
	switch j.next() {
	case '"':
		return j.quoted()
	case '{':
		return j.list('}', func() bool { return j.next() == '"' && j.quoted() && j.colon() && j.value() })
	case '[':
		return j.list(']', j.value)
	case 't':
		return j.word("true")
	case 'f':
		return j.word("false")
	case 'n':
		return j.word("null")
	default:
		return j.number()
	}
}

// list passes over what stands between the bracket at hand and its end, item by item.
func (j *jsonValues) list(end byte, item func() bool) bool {
	if j.depth++; j.depth > maxJSONDepth {
		return false
	}
	defer func() { j.depth-- }()
	j.at++
	if j.next() == end {
		j.at++
		return true
	}
	for item() {
		switch j.next() {
		case ',':
			j.at++
		case end:
			j.at++
			return true
		default:
			return false
		}
	}
	return false
}

func (j *jsonValues) colon() bool {
	j.next()
	return j.one(':')
}

func (j *jsonValues) word(word string) bool {
	from := j.at
	j.at = min(j.at+len(word), len(j.text))
	return string(j.text[from:j.at]) == word
}

// quoted passes over a string, eight bytes at a time while none of them is a quote, a backslash or a control character.
func (j *jsonValues) quoted() bool {
	text, at := j.text, j.at+1
	for at < len(text) {
		if at+8 <= len(text) {
			odd := oddBytes(binary.LittleEndian.Uint64(text[at:]))
			if odd == 0 {
				at += 8
				continue
			}
			at += bits.TrailingZeros64(odd) / 8
		}
		switch c := text[at]; {
		case c == '"':
			j.at = at + 1
			return true
		case c < ' ':
			return false
		case c == '\\':
			length := escapeLength(text[at:])
			if length == 0 {
				return false
			}
			at += length
		default:
			at++
		}
	}
	return false
}

// oddBytes has a bit in the first byte that is a quote, a backslash or below a space, and maybe in later ones; 0 when none is. It is
// "Determine if a word has a byte less than n" of Bit Twiddling Hacks: a borrow marks only bytes above a true one.
func oddBytes(word uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash := word^(ones*'"'), word^(ones*'\\')
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word) & highs
}

// escapeLength is how many bytes the escape at the beginning of a text has, 0 when it is none.
func escapeLength(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(text) < 6 {
			return 0
		}
		for _, c := range text[2:6] {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (j *jsonValues) number() bool {
	j.one('-')
	if !j.one('0') && !j.digits() {
		return false
	}
	if j.one('.') && !j.digits() {
		return false
	}
	if !j.one('e') && !j.one('E') {
		return true
	}
	if !j.one('+') {
		j.one('-')
	}
	return j.digits()
}

func (j *jsonValues) one(c byte) bool {
	if j.at < len(j.text) && j.text[j.at] == c {
		j.at++
		return true
	}
	return false
}

func (j *jsonValues) digits() bool {
	from := j.at
	for j.at < len(j.text) && j.text[j.at] >= '0' && j.text[j.at] <= '9' {
		j.at++
	}
	return j.at > from
}
