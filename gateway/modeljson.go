package gateway

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonText walks over one JSON text and makes sure that it is one, in a single pass that decodes nothing but names and short
// strings: requests to a model are a hundred kilobytes of text in which a few words matter, and a request waits while it is looked
// through.
//
// A reader that differs from the model's own would check one thing and let another pass. So names are compared as they are spelled,
// and what two readers could take for two things is refused where it is looked into: a name that is there twice ("the last counts",
// says one, "the first" another), in capitals (the standard library takes "Tools" for "tools"), or with an escape. What a tool is
// called with is the tool's affair, and so is half a character as an escape: programs print such.
type jsonText struct{ *jsontext.Decoder }

const (
	// maxWord is how long a string can be that is decoded, bytes with its quotes.
	maxWord = 200
	// maxWalkedFields bounds an object that is looked into; the API's have no more than a dozen.
	maxWalkedFields = 64
)

// Reasons why a text cannot be looked into.
var (
	errNotJSON = errors.New("it is not JSON in UTF-8")
	errTwice   = errors.New("a field that is there twice")
	errFields  = errors.New("more fields than the API has")
	errName    = errors.New("a field whose name is not spelled in plain small letters")
)

// walkJSON calls value for the one value that a text holds; it must pass over it. An error is value's own, or errNotJSON.
func walkJSON(text []byte, value func(jsonText) error) error {
	if !utf8.Valid(text) {
		return errNotJSON
	}
	j := jsonText{jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	if err := value(j); err != nil {
		return err
	}
	if _, err := j.ReadToken(); !errors.Is(err, io.EOF) {
		return errNotJSON
	}
	return nil
}

// skip passes over a value.
func (j jsonText) skip() error {
	if j.SkipValue() != nil {
		return errNotJSON
	}
	return nil
}

// str passes over a value and returns what it is when that is a string of at most maxWord bytes, without any escape; false for any
// other. What is escaped is none of the words that are looked for.
func (j jsonText) str() (string, bool, error) {
	is := j.PeekKind() == '"'
	text, err := j.ReadValue()
	switch {
	case err != nil:
		return "", false, errNotJSON
	case !is || len(text) > maxWord || bytes.IndexByte(text, '\\') >= 0:
		return "", false, nil
	}
	return string(text[1 : len(text)-1]), true, nil
}

// fields calls each with the name of every field of an object; each must pass over the value. What is no object is passed
// over, and is false.
func (j jsonText) fields(each func(name string) error) (bool, error) {
	seen := make(map[string]bool, 8)
	return j.within('{', func() error {
		name, err := j.name()
		switch {
		case err != nil:
			return err
		case len(seen) >= maxWalkedFields:
			return errFields
		case seen[name]:
			return errTwice
		}
		seen[name] = true
		return each(name)
	})
}

// name reads a field's name, as it is spelled.
func (j jsonText) name() (string, error) {
	text, err := j.ReadValue()
	if err != nil {
		return "", errNotJSON
	}
	name := text[1 : len(text)-1]
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return "", errName
		}
	}
	return string(name), nil
}

// items calls each for every item of an array; each must pass over it. What is no array is passed over, and is false.
func (j jsonText) items(each func() error) (bool, error) {
	return j.within('[', each)
}

// within calls each for what stands in the brackets of a kind, one by one. Another value is passed over, and is false.
func (j jsonText) within(opening jsontext.Kind, each func() error) (bool, error) {
	if j.PeekKind() != opening {
		return false, j.skip()
	}
	if _, err := j.ReadToken(); err != nil {
		return true, errNotJSON
	}
	for j.PeekKind() != opening+2 { // the closing bracket's code is two more
		if err := each(); err != nil {
			return true, err
		}
	}
	if _, err := j.ReadToken(); err != nil {
		return true, errNotJSON
	}
	return true, nil
}
