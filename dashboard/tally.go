package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"

	"sam/task"
)

// tally is what a task's events add up to: all that the page's head and side say beside the task's record. What it cost
// is in the record: an agent's own count of that is shown as an event and believed nowhere.
type tally struct {
	last    int64 // the number of the last event that was added
	model   string
	plan    []task.PlanItem
	steps   []task.Step // of the attempt under way; one that is not done yet is the last
	retries int         // of the model
	end     *task.End   // how the last attempt ended
}

// folded are the kinds that a tally takes: the others, most of them, are not even decoded.
var folded = [][]byte{
	[]byte(`"kind":"used"`), []byte(`"kind":"planned"`), []byte(`"kind":"stepped"`), []byte(`"kind":"retried"`),
	[]byte(`"kind":"finished"`),
}

// add takes one more event, in order; one that it has it passes over. It reports whether that changed what it says.
func (t *tally) add(n task.Numbered) bool {
	if n.Seq <= t.last {
		return false
	}
	t.last = n.Seq
	if !slices.ContainsFunc(folded, func(mark []byte) bool { return bytes.Contains(n.JSON, mark) }) {
		return false
	}
	var e task.Event
	if err := json.Unmarshal(n.JSON, &e); err != nil {
		return false
	}
	switch {
	case e.Kind == task.Used && e.Usage != nil && e.Usage.Model != "" && e.Usage.Model != t.model:
		t.model = e.Usage.Model
	case e.Kind == task.Planned:
		t.plan = e.Plan
	case e.Kind == task.Stepped && e.Step != nil:
		if e.Step.Name == task.StepMirror {
			t.steps, t.end = nil, nil // a new attempt
		}
		if last := len(t.steps) - 1; last >= 0 && t.steps[last].UnderWay {
			t.steps = t.steps[:last] // of which there is news
		}
		t.steps = append(slices.Clip(t.steps), *e.Step)
	case e.Kind == task.Retried:
		t.retries++
	case e.Kind == task.Finished:
		t.end = e.End
	default:
		return false
	}
	return true
}

// maxTallies is how many tasks' tallies are kept, so that a page that is loaded again does not read every event again.
const maxTallies = 256

// tallies adds up tasks' events and remembers how far it has come.
type tallies struct {
	events Events

	mu   sync.Mutex
	kept map[task.ID]tally
}

// of adds up all the events there are. The caller may change what it gets.
func (all *tallies) of(ctx context.Context, id task.ID) (tally, error) {
	all.mu.Lock()
	sum := all.kept[id]
	all.mu.Unlock()
	_, last, err := all.events.EventsLeft(ctx, id)
	if err != nil {
		return tally{}, err
	}
	if sum.last > last {
		sum = tally{} // the store has lost what was counted
	}
	for sum.last < last {
		read, err := all.events.Events(ctx, id, sum.last, 500)
		if err != nil {
			return tally{}, err
		}
		for _, n := range read {
			sum.add(n)
		}
		if len(read) == 0 {
			break
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if _, known := all.kept[id]; !known && len(all.kept) >= maxTallies {
		for other := range all.kept {
			delete(all.kept, other) // any: it is only read again
			break
		}
	}
	all.kept[id] = sum
	return sum, nil
}
