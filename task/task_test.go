package task_test

import (
	"encoding/json"
	"testing"
	"time"

	"sam/task"
)

func TestANodesFreeSlotsAreThoseOfAReadyNode(t *testing.T) {
	for name, c := range map[string]struct {
		node task.Node
		want int
	}{
		"ready and idle":              {task.Node{State: task.NodeReady, Slots: 2}, 2},
		"ready with one task":         {task.Node{State: task.NodeReady, Slots: 2, Tasks: []task.ID{"ta"}}, 1},
		"full":                        {task.Node{State: task.NodeReady, Slots: 1, Tasks: []task.ID{"ta"}}, 0},
		"given fewer slots meanwhile": {task.Node{State: task.NodeReady, Slots: 1, Tasks: []task.ID{"ta", "tb"}}, 0},
		"booting":                     {task.Node{State: task.NodeBooting, Slots: 2}, 0},
		"lost":                        {task.Node{State: task.NodeLost, Slots: 2}, 0},
		"of no state":                 {task.Node{Slots: 2}, 0},
	} {
		if got := c.node.Free(); got != c.want {
			t.Errorf("%s: %d free, want %d", name, got, c.want)
		}
	}
}

func TestATaskTookTheTimeFromAcceptanceToItsEnd(t *testing.T) {
	at := map[task.State]time.Time{
		task.Queued: noon, task.Running: noon.Add(time.Second),
		task.Succeeded: noon.Add(90 * time.Second), task.Failed: noon.Add(30 * time.Second),
	}
	for state, want := range map[task.State]time.Duration{
		task.Succeeded: 90 * time.Second,
		task.Failed:    30 * time.Second,
		task.Running:   0, // under way
		task.Cancelled: 0, // final, but when is not known
	} {
		got := task.Task{Spec: task.Spec{Accepted: noon}, State: state, At: at}.Took()
		if got != want {
			t.Errorf("%s: took %s, want %s", state, got, want)
		}
	}
}

func TestProgressAddsUpWhatEventsMean(t *testing.T) {
	end := &task.End{Outcome: task.Done}
	for name, c := range map[string]struct {
		events []task.Event
		want   task.Progress
	}{
		"nothing":                     {nil, task.Progress{}},
		"preparing is not running":    {[]task.Event{step(task.StepMirror), step(task.StepWorkspace)}, task.Progress{}},
		"the agent's step starts it":  {[]task.Event{step(task.StepWorkspace), step(task.StepAgent)}, task.Progress{Started: true}},
		"a later step changes naught": {[]task.Event{step(task.StepAgent), step(task.StepPush)}, task.Progress{Started: true}},
		"words are the agent's":       {[]task.Event{{Kind: task.Said, Text: "hello"}}, task.Progress{Spoke: true}},
		"so is a tool":                {[]task.Event{{Kind: task.ToolStarted, Tool: &task.Tool{ID: "1"}}}, task.Progress{Spoke: true}},
		"the end alone says nothing":  {[]task.Event{{Kind: task.Finished, End: end}}, task.Progress{End: end}},
		"a whole attempt": {[]task.Event{step(task.StepAgent), {Kind: task.Thought, Text: "hm"}, step(task.StepPush), {Kind: task.Finished, End: end}},
			task.Progress{Started: true, Spoke: true, End: end}},
	} {
		var p task.Progress
		for _, e := range c.events {
			p.Note(e)
		}
		if p != c.want {
			t.Errorf("%s: %+v, want %+v", name, p, c.want)
		}
	}
}

func step(name task.StepName) task.Event {
	return task.Event{Kind: task.Stepped, Step: &task.Step{Name: name}}
}

// What is owed for the same thing has the same target, so that the newer replaces the older; for another thing another.
func TestAnEffectsTargetNamesWhatItChanges(t *testing.T) {
	spec := task.Spec{ID: "tabc", Project: 7, Number: 3}
	for want, e := range map[string]task.Effect{
		"status:tabc":            task.StatusEffect(spec),
		"closing:tabc":           task.ClosingEffect(spec),
		"reaction:7:3:99:eyes":   task.ReactionEffect(7, 3, 99, "eyes"),
		"reaction:7:3:0:eyes":    task.ReactionEffect(7, 3, 0, "eyes"),
		"reply:7:3:comment-99-0": task.ReplyEffect(7, 3, "comment-99-0", "no"),
	} {
		if e.Target != want {
			t.Errorf("target %q, want %q", e.Target, want)
		}
		body, err := task.ParseEffect(e)
		if err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if body.Project != 7 || body.Number != 3 {
			t.Errorf("%s is for #%d of project %d, want #3 of 7", want, body.Number, body.Project)
		}
	}
	if _, err := task.ParseEffect(task.Effect{Target: "status:x", Body: "{"}); err == nil {
		t.Error("a body that is not JSON was read")
	}
}

func TestWhatAPersonWaitsForIsDeliveredFirst(t *testing.T) {
	if c, r, s := task.EffectClosing.Urgency(), task.EffectReaction.Urgency(), task.EffectStatus.Urgency(); c >= r || r >= s {
		t.Errorf("closing %d, reaction %d, status %d: want them in this order", c, r, s)
	}
	if task.EffectReply.Urgency() != task.EffectClosing.Urgency() {
		t.Error("a reply is less urgent than a closing comment")
	}
}

func TestATaskSurvivesItsJSON(t *testing.T) {
	want := task.Task{Spec: task.Spec{ID: "ta", Created: noon, Accepted: noon}, State: task.Running, At: map[task.State]time.Time{task.Queued: noon}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got task.Task
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != want.ID || got.State != want.State || !got.At[task.Queued].Equal(noon) || !got.FirstEvent.IsZero() {
		t.Errorf("got %+v", got)
	}
}
