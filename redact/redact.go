// Package redact takes the values of secrets out of what is kept of an agent's words. Both ends of a node's link use it: the node
// before an event is on its disk, the gateway, which trusts no node, before it is stored.
//
// What is found is a value as it is, in hexadecimal, in base64 at each of its three alignments, percent-encoded, and escaped as in
// JSON, once or twice; of a value of several lines each long line too. Lines' ends, the next line's indentation and colours may stand
// within it, but not in its first and its last eight bytes both. It is replaced by «NAME». Where a text begins or ends in a
// value, as when it was cut or goes on in the next event, the larger half of the value is replaced, when that is eight bytes or more.
//
// A text is looked at by itself. So nothing is held back until the next one comes, an event that is sent again becomes the same
// again, and the parts of a value in three events or more are not found. Nor are its characters in another order or cipher. It is
// a net for accidents. Whoever has a value and wants to get it out will.
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
	heads, tails map[uint64][]form // by their first eight bytes, and by their last
	filter       [1 << filterLog / 64]uint64
}

// filterLog is the size of the filter, bits as a power of two: of what is no secret, one place in many passes it.
const filterLog = 15

// New returns a redactor of the secrets, nil when there are none. Those that are verbatim are looked for as they are only, not in
// their other forms.
func New(secrets []Secret, verbatim ...Secret) *Redactor {
	var all []form
	for _, s := range secrets {
		if len(s.Value) < MinValue {
			continue
		}
		all = append(all, forms(s.Value, s.Name)...)
	}
	for _, s := range verbatim {
		all = append(all, form{[]byte(s.Value), s.Name})
	}
	r := &Redactor{heads: map[uint64][]form{}, tails: map[uint64][]form{}}
	seen := map[string]bool{}
	for _, f := range all {
		if len(f.text) < window || seen[string(f.text)] {
			continue
		}
		seen[string(f.text)] = true
		r.note(r.heads, f.text[:window], f)
		r.note(r.tails, f.text[len(f.text)-window:], f)
	}
	if len(seen) == 0 {
		return nil
	}
	return r
}

func (r *Redactor) note(in map[uint64][]form, at []byte, f form) {
	key := binary.LittleEndian.Uint64(at)
	in[key] = append(in[key], f)
	bit := slot(key)
	r.filter[bit/64] |= 1 << (bit % 64)
}

// slot spreads eight bytes over the filter.
func slot(key uint64) uint64 {
	return key * 0x9e3779b97f4a7c15 >> (64 - filterLog)
}

// found is one stretch of a text to be replaced.
type found struct {
	from, to int
	name     string
}

// find returns the stretches of text that are forms of secrets, in order. Those that overlap are one, named by its first. Where the
// text may be cut off, what is at its ends may be a part of one.
func (r *Redactor) find(text []byte, cut bool) []found {
	if r == nil {
		return nil
	}
	var all []found
	for i := 0; i+window <= len(text); i++ {
		key := binary.LittleEndian.Uint64(text[i:])
		bit := slot(key)
		if r.filter[bit/64]&(1<<(bit%64)) == 0 {
			continue
		}
		best, isWhole := found{to: -1}, false
		for _, f := range r.heads[key] {
			if end, whole := f.onward(text, i, cut); end > best.to || end == best.to && whole && !isWhole {
				best, isWhole = found{i, end, f.name}, whole
			}
		}
		for _, f := range r.tails[key] {
			if from, _ := f.backward(text, i+window, cut); from >= 0 && (best.to < 0 || from < best.from) {
				best = found{from, max(best.to, i+window), f.name}
			}
		}
		if best.to >= 0 {
			all = joined(all, best)
		}
	}
	return all
}

// joined appends a stretch, as one with those before it that it overlaps.
func joined(all []found, next found) []found {
	for last := len(all) - 1; last >= 0 && next.from < all[last].to; last-- {
		if all[last].from <= next.from {
			next.from, next.name = all[last].from, all[last].name
		}
		next.to = max(next.to, all[last].to)
		all = all[:last]
	}
	return append(all, next)
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
	all := r.find([]byte(text), true)
	if len(all) == 0 {
		return text
	}
	return string(replaced([]byte(text), all, false))
}

// Names are those of the secrets that are whole in a text, each once, in the order in which they are met.
func (r *Redactor) Names(text []byte) []string {
	var names []string
	for _, f := range r.find(text, false) {
		if !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}
