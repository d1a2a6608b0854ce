// Package redact takes the values of secrets out of what is kept of an agent's words. Both ends of a node's link use it: the node
// before an event is on its disk, the gateway, which trusts no node, before it is stored.
//
// What is found is a value as it is, in hexadecimal, in base64 at each of its three alignments, percent-encoded, and escaped as in
// JSON, once or twice; of a value of several lines each long line too. It is replaced by «NAME».
//
// What is not found: a value that is cut in two by what stands between its parts (a line break of a terminal or of base64, a
// highlighted letter), its parts in two events, its characters in another order or cipher. It is a net for accidents. Whoever has a
// value and wants to get it out will.
package redact

import (
	"encoding/binary"
	"slices"
)

// Secret is a value and the name that stands for it.
type Secret struct{ Name, Value string }

// window is how many bytes a look-up takes: no form of a value is shorter, see MinValue.
const window = 8

// MinValue is the shortest value that is looked for, bytes. Shorter ones are passed over.
const MinValue = window

// Redactor finds the forms of some secrets. It does not change, and is safe for concurrent use. The nil Redactor finds nothing.
type Redactor struct {
	forms  map[uint64][]form // by their first eight bytes
	filter [1 << filterLog / 64]uint64
}

// filterLog is the size of the filter, bits as a power of two: of what is no secret, one place in many passes it.
const filterLog = 14

type form struct {
	text string
	name string
}

// New returns a redactor of the secrets, nil when there are none.
func New(secrets []Secret) *Redactor {
	r := &Redactor{forms: map[uint64][]form{}}
	seen := map[string]bool{}
	for _, s := range secrets {
		if len(s.Value) < MinValue {
			continue
		}
		for _, text := range forms(s.Value) {
			if len(text) < window || seen[text] {
				continue
			}
			seen[text] = true
			head := binary.LittleEndian.Uint64([]byte(text))
			r.forms[head] = append(r.forms[head], form{text, s.Name})
			at := slot(head)
			r.filter[at/64] |= 1 << (at % 64)
		}
	}
	if len(seen) == 0 {
		return nil
	}
	for _, all := range r.forms {
		slices.SortFunc(all, func(a, b form) int { return len(b.text) - len(a.text) })
	}
	return r
}

// slot spreads eight bytes over the filter.
func slot(head uint64) uint64 {
	return head * 0x9e3779b97f4a7c15 >> (64 - filterLog)
}

// found is one stretch of a text to be replaced.
type found struct {
	from, to int
	name     string
}

// find returns the stretches of text that are forms of secrets, in order. Those that overlap are one, named by its first.
func (r *Redactor) find(text []byte) []found {
	if r == nil {
		return nil
	}
	var all []found
	for i := 0; i+window <= len(text); i++ {
		head := binary.LittleEndian.Uint64(text[i:])
		at := slot(head)
		if r.filter[at/64]&(1<<(at%64)) == 0 {
			continue
		}
		for _, f := range r.forms[head] {
			if len(text)-i < len(f.text) || string(text[i:i+len(f.text)]) != f.text {
				continue
			}
			end := i + len(f.text)
			if last := len(all) - 1; last >= 0 && i < all[last].to {
				all[last].to = max(all[last].to, end)
			} else {
				all = append(all, found{i, end, f.name})
			}
			break // the longest of those that begin here
		}
	}
	return all
}

// marker is what stands for a secret: its name, or what is never longer than a value.
func marker(name string, short bool) string {
	if short {
		return "«*»"
	}
	return "«" + name + "»"
}

func replaced(text []byte, all []found, short bool) []byte {
	out := make([]byte, 0, len(text))
	from := 0
	for _, f := range all {
		out = append(append(out, text[from:f.from]...), marker(f.name, short)...)
		from = f.to
	}
	return append(out, text[from:]...)
}

// Text returns the text without the secrets in it.
func (r *Redactor) Text(text string) string {
	if r == nil || len(text) < window {
		return text
	}
	all := r.find([]byte(text))
	if len(all) == 0 {
		return text
	}
	return string(replaced([]byte(text), all, false))
}
