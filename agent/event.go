package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"sam/task"
)

// encode is the event as JSON on one line, cut to task.MaxEvent. First the agent's own line goes, for it repeats what the
// others say; then the longest-winded parts are cut where a rune ends: a tool's output keeps its end, everything else its
// head. Cut says how many bytes were left out.
func encode(e task.Event) ([]byte, error) {
	if len(e.Raw) > 0 && !json.Valid(e.Raw) {
		e.Cut += len(e.Raw)
		e.Raw = nil
	}
	e.Raw = bytes.ToValidUTF8(e.Raw, []byte("\ufffd")) // it travels in text frames
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	if len(data) <= task.MaxEvent {
		return data, nil
	}
	return fit(e)
}

func fit(e task.Event) ([]byte, error) {
	cut := e.Cut + len(e.Raw)
	e.Raw = nil
	e = apart(e)
	if data, err := measure(e, cut); err != nil || data != nil {
		return data, err
	}
	for _, part := range cuttable(&e) {
		whole := *part.text
		keep := func(n int) string { return part.keep(whole, n) }
		// The largest head (or end) with which the event fits; quoting makes bytes grow up to sixfold, so it is searched for.
		low, high := 0, min(len(whole), task.MaxEvent)
		var best []byte
		for low <= high {
			middle := (low + high) / 2
			*part.text = keep(middle)
			data, err := measure(e, cut+len(whole)-len(*part.text))
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
		if data, err := measure(e, cut); err != nil || data != nil {
			return data, err
		}
	}
	return nil, fmt.Errorf("encode event %d (%s): it cannot be cut to %d bytes", e.Seq, e.Kind, task.MaxEvent)
}

// measure encodes the event with cut in place, or returns nil when that is too large.
func measure(e task.Event, cut int) ([]byte, error) {
	e.Cut = cut
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", e.Seq, err)
	}
	if len(data) > task.MaxEvent {
		return nil, nil
	}
	return data, nil
}

// part is a text of an event that may be shortened, and which of its ends is worth keeping.
type part struct {
	text *string
	keep func(string, int) string
}

// cuttable lists the texts in the order in which they are given up.
func cuttable(e *task.Event) []part {
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
func apart(e task.Event) task.Event {
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

func stepped(name task.StepName, began time.Time, note string) task.Event {
	ms := int64(math.Ceil(float64(time.Since(began)) / float64(time.Millisecond)))
	return task.Event{Kind: task.Stepped, Step: &task.Step{Name: name, MS: ms, Note: note}}
}

func finished(end task.End) task.Event { return task.Event{Kind: task.Finished, End: &end} }
