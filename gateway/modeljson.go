package gateway

import (
	"errors"
	"unicode/utf8"
)

// jsonText walks over one JSON text and makes sure that it is one, in a single pass that decodes nothing but names and short
// strings: requests to a model are a hundred kilobytes of text in which a few words matter, and a request waits while it is looked through.
//
// A reader that differs from the model's own would check one thing and let another pass. So names are compared as they are spelled,
// and what two readers could take for two things is refused where it is looked into: a name that is there twice ("the last counts",
// says one, "the first" another), in capitals (the standard library takes "Tools" for "tools"), with an escape, or with
// bytes that are no UTF-8 (left out by some).
type jsonText struct{ jsonValues }

// maxWalkedFields bounds the fields of an object that is looked into. None of the API's has as many.
const maxWalkedFields = 64

// maxWord is how long a string can be that is decoded, bytes with its quotes.
const maxWord = 200

// Reasons why a text cannot be looked into.
var (
	errNotJSON = errors.New("it is not JSON in UTF-8")
	errTwice   = errors.New("a field that is there twice")
	errFields  = errors.New("more fields than the API has")
	errName    = errors.New("a field whose name is not spelled in plain small letters")
)

// walkJSON calls value for the one value that a text holds; it must pass over it. An error is value's own, or errNotJSON.
func walkJSON(text []byte, value func(*jsonText) error) error {
	j := &jsonText{jsonValues{text: text}}
	if !utf8.Valid(text) {
		return errNotJSON
	}
	if err := value(j); err != nil {
		return err
	}
	if j.next(); j.at != len(text) {
		return errNotJSON
	}
	return nil
}

// skip passes over a value.
func (j *jsonText) skip() error {
	if !j.value() {
		return errNotJSON
	}
	return nil
}

// str passes over a value and returns what it is when that is a string of at most maxWord bytes, without any escape; false for any
// other. What is escaped is none of the words that are looked for.
func (j *jsonText) str() (string, bool, error) {
	is := j.next() == '"'
	from := j.at
	if err := j.skip(); err != nil {
		return "", false, err
	}
	if !is || j.at-from > maxWord {
		return "", false, nil
	}
	for _, c := range j.text[from:j.at] {
		if c == '\\' {
			return "", false, nil
		}
	}
	return string(j.text[from+1 : j.at-1]), true, nil
}

// fields calls each with the name of every field of an object; each must pass over the value. What is no object is passed
// over, and is false.
func (j *jsonText) fields(each func(name string) error) (bool, error) {
	if j.next() != '{' {
		return false, j.skip()
	}
	seen := make(map[string]bool, 8)
	var err error
	ok := j.list('}', func() bool {
		var name string
		if name, err = j.name(); err != nil {
			return false
		}
		switch {
		case len(seen) >= maxWalkedFields:
			err = errFields
		case seen[name]:
			err = errTwice
		default:
			seen[name] = true
			err = each(name)
		}
		return err == nil
	})
	if err == nil && !ok {
		err = errNotJSON
	}
	return true, err
}

// name reads a field's name and the colon.
func (j *jsonText) name() (string, error) {
	if j.next() != '"' {
		return "", errNotJSON
	}
	from := j.at + 1
	if !j.quoted() {
		return "", errNotJSON
	}
	name := j.text[from : j.at-1]
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return "", errName
		}
	}
	if !j.colon() {
		return "", errNotJSON
	}
	return string(name), nil
}

// items calls each for every item of an array; each must pass over it. What is no array is passed over, and is false.
func (j *jsonText) items(each func() error) (bool, error) {
	if j.next() != '[' {
		return false, j.skip()
	}
	var err error
	ok := j.list(']', func() bool {
		err = each()
		return err == nil
	})
	if err == nil && !ok {
		err = errNotJSON
	}
	return true, err
}
