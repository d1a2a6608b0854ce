package agent

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"sam/task"
)

// encode is the event as JSON on one line, cut to task.MaxEvent; see task.Fit. An agent's own line that is no JSON is left
// out.
func encode(e task.Event) ([]byte, error) {
	if len(e.Raw) > 0 && !json.Valid(e.Raw) {
		e.Cut += len(e.Raw)
		e.Raw = nil
	}
	e.Raw = bytes.ToValidUTF8(e.Raw, []byte("\ufffd")) // it travels in text frames
	return task.Fit(e, task.MaxEvent)
}

func stepped(name task.StepName, began time.Time, note string) task.Event {
	ms := int64(math.Ceil(float64(time.Since(began)) / float64(time.Millisecond)))
	return task.Event{Kind: task.Stepped, Step: &task.Step{Name: name, MS: ms, Note: note}}
}

func finished(end task.End) task.Event { return task.Event{Kind: task.Finished, End: &end} }
