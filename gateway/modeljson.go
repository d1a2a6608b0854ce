package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
)

// jsonText walks over one JSON text, which must be valid, and decodes none of it but names and short strings: requests to a
// model are a hundred kilobytes of text in which a few words matter. Names are compared as they are spelled. The standard
// library takes "Tools" for "tools" and the last of two for the one that counts; a reader that differs from the model's own
// would check one thing and let another pass.
type jsonText struct {
	text []byte
	at   int
}

// maxWalkedFields bounds the fields of an object that is looked into. None of the API's has as many.
const maxWalkedFields = 64

// Reasons why an object cannot be looked into.
var (
	errTwice  = errors.New("a field that is there twice")
	errFields = errors.New("more fields than the API has")
)

func (j *jsonText) space() {
	for j.at < len(j.text) {
		switch j.text[j.at] {
		case ' ', '\t', '\n', '\r':
			j.at++
		default:
			return
		}
	}
}

// next is the first byte of the value that comes, 0 at the end: { [ " t f n - or a digit.
func (j *jsonText) next() byte {
	if j.space(); j.at < len(j.text) {
		return j.text[j.at]
	}
	return 0
}

// skip passes over a value.
func (j *jsonText) skip() {
	switch j.next() {
	case '"':
		j.skipString()
	case '{', '[':
		for depth := 0; ; {
			switch j.text[j.at] {
			case '"':
				j.skipString()
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if j.at++; depth == 0 {
				return
			}
		}
	default:
		for j.at < len(j.text) && bytes.IndexByte([]byte(",]} \t\r\n"), j.text[j.at]) < 0 {
			j.at++
		}
	}
}

func (j *jsonText) skipString() {
	for j.at++; ; j.at++ {
		j.at += bytes.IndexByte(j.text[j.at:], '"')
		escapes := 0
		for j.text[j.at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			j.at++
			return
		}
	}
}

// str reads a string. Of another value, or a string of over 200 bytes, it returns "" and false, and passes over it.
func (j *jsonText) str() (string, bool) {
	is := j.next() == '"'
	from := j.at
	j.skip()
	if !is || j.at-from > 200 {
		return "", false
	}
	var s string
	return s, json.Unmarshal(j.text[from:j.at], &s) == nil
}

// fields calls each with the name of every field of an object; each must pass over the value. What is no object is passed
// over, and is false.
func (j *jsonText) fields(each func(name string) error) (bool, error) {
	if j.next() != '{' {
		j.skip()
		return false, nil
	}
	j.at++
	seen := make(map[string]bool, 8)
	for j.next() != '}' {
		name, ok := j.str()
		switch {
		case !ok, len(seen) >= maxWalkedFields:
			return true, errFields
		case seen[name]:
			return true, errTwice
		}
		seen[name] = true
		j.next()
		j.at++ // the colon
		if err := each(name); err != nil {
			return true, err
		}
		if j.next() == ',' {
			j.at++
		}
	}
	j.at++
	return true, nil
}

// items calls each for every item of an array; each must pass over it. What is no array is passed over, and is false.
func (j *jsonText) items(each func() error) (bool, error) {
	if j.next() != '[' {
		j.skip()
		return false, nil
	}
	for j.at++; j.next() != ']'; {
		if err := each(); err != nil {
			return true, err
		}
		if j.next() == ',' {
			j.at++
		}
	}
	j.at++
	return true, nil
}
