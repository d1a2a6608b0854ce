package task

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// MaxHead is the largest event that a stream keeps whole, bytes of JSON. Of a larger one it keeps what Fit makes of it, and
// the whole lies in the blob store.
const MaxHead = 4 << 10

// Fit is the event as JSON on one line of at most size bytes. First the agent's own line goes, for it repeats what the
// others say; then the longest-winded parts are cut where a rune ends: a tool's output keeps its end, everything else its
// head. Cut says how many bytes were left out. It is an error when nothing is left to cut and the event is still too large.
func Fit(e Event, size int) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	if len(data) <= size {
		return data, nil
	}
	cut := e.Cut + len(e.Raw)
	e.Raw = nil
	e = apart(e)
	if data, err := measure(e, cut, size); err != nil || data != nil {
		return data, err
	}
	for _, part := range cuttable(&e) {
		whole := *part.text
		// The largest head (or end) with which the event fits; quoting makes bytes grow up to sixfold, so it is searched for.
		low, high := 0, min(len(whole), size)
		var best []byte
		for low <= high {
			middle := (low + high) / 2
			*part.text = part.keep(whole, middle)
			data, err := measure(e, cut+len(whole)-len(*part.text), size)
			if err != nil {
				return nil, err
			}
			if data != nil {
				best, low = data, middle+1
			} else {
				high = middle - 1
			}
		}
		if best != nil {
			return best, nil
		}
		*part.text = ""
		cut += len(whole)
	}
	for len(e.Plan) > 1 {
		e.Plan = e.Plan[:len(e.Plan)-1]
		if data, err := measure(e, cut, size); err != nil || data != nil {
			return data, err
		}
	}
	return nil, fmt.Errorf("encode event %d (%s): it cannot be cut to %d bytes", e.Seq, e.Kind, size)
}

// measure encodes the event with cut in place, or returns nil when that is too large.
func measure(e Event, cut, size int) ([]byte, error) {
	e.Cut = cut
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	if len(data) > size {
		return nil, nil
	}
	return data, nil
}

// part is a text of an event that may be shortened, and which of its ends is worth keeping.
type part struct {
	text *string
	keep func(string, int) string
}

// cuttable lists the texts in the order in which they are given up. A text that an event must have is not among them.
func cuttable(e *Event) []part {
	var parts []part
	if e.Tool != nil {
		parts = append(parts, part{&e.Tool.Output, keepEnd}, part{&e.Tool.Diff, keepHead})
	}
	parts = append(parts, part{&e.Text, keepHead})
	if e.End != nil {
		parts = append(parts, part{&e.End.Summary, keepHead}, part{&e.End.Reason, keepHead}, part{&e.End.Headline, keepHead})
	}
	if e.Tool != nil {
		parts = append(parts, part{&e.Tool.Title, keepHead}, part{&e.Tool.Location, keepHead}, part{&e.Tool.Name, keepHead})
	}
	if e.Step != nil {
		parts = append(parts, part{&e.Step.Note, keepHead})
	}
	return parts
}

// apart copies what the event points to, so that cutting does not change it under its owner.
func apart(e Event) Event {
	if e.Tool != nil {
		tool := *e.Tool
		e.Tool = &tool
	}
	if e.End != nil {
		end := *e.End
		e.End = &end
	}
	if e.Step != nil {
		step := *e.Step
		e.Step = &step
	}
	return e
}

// keepHead is the first n bytes of a text, keepEnd the last, on a character's boundary.
func keepHead(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

func keepEnd(text string, n int) string {
	from := max(0, len(text)-n)
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return text[from:]
}
