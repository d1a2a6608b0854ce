package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Kind is the kind of an Event. One vocabulary serves every agent; a driver translates its agent's own words into it.
type Kind string

// The vocabulary.
const (
	Stepped      Kind = "stepped"       // the node reached a step on the way to the agent, see Step
	Said         Kind = "said"          // the agent speaks to the person, Markdown in Text
	Thought      Kind = "thought"       // the agent thinks aloud
	ToolStarted  Kind = "tool_started"  // see Tool
	ToolFinished Kind = "tool_finished" // see Tool
	Planned      Kind = "planned"       // the agent's list of what it means to do, see Plan
	Asked        Kind = "asked"         // the agent needs an answer, Text is the question; see Ask
	Answered     Kind = "answered"      // the agent has got one, Text is what it was told
	Retried      Kind = "retried"       // the model did not answer and is asked again, Text says why
	Noticed      Kind = "noticed"       // SAM has something to say about the task's surroundings, Text says what; see Notice
	Used         Kind = "used"          // tokens and money, see Usage
	Finished     Kind = "finished"      // the last event of an attempt, see End
)

// MaxEvent is the limit of one event's JSON in bytes: a head that a stream can hold. A driver cuts Text, Tool.Output and
// Raw so that it fits, and says in the event that it did.
const MaxEvent = 64 << 10

// Event is one thing that happened on the way of a task. Seq counts from 1 without gaps over all attempts of the task:
// a second attempt goes on where the stored stream ends.
type Event struct {
	Seq    int64           `json:"seq"`
	At     time.Time       `json:"at"` // the node's clock: for display, never for order
	Kind   Kind            `json:"kind"`
	Text   string          `json:"text,omitempty"`
	Step   *Step           `json:"step,omitempty"`
	Tool   *Tool           `json:"tool,omitempty"`
	Plan   []PlanItem      `json:"plan,omitempty"`
	Usage  *Usage          `json:"usage,omitempty"`
	Ask    *Ask            `json:"ask,omitempty"`
	Notice *Notice         `json:"notice,omitempty"`
	End    *End            `json:"end,omitempty"`
	Cut    int             `json:"cut,omitempty"` // bytes left out so that the event fits MaxEvent
	Raw    json.RawMessage `json:"raw,omitempty"` // the agent's own line, kept beside the translation
}

// StepName is one of the fixed steps from a new machine to a working agent.
type StepName string

// The steps, in order. StepAgent is the moment from which a task counts as running.
const (
	StepBoot        StepName = "boot"        // one of several by which the machine became a node; told by the first attempt after a boot
	StepMirror      StepName = "mirror"      // the repository is fetched into the node's mirror
	StepWorkspace   StepName = "workspace"   // the workspace is made from the mirror
	StepEnvironment StepName = "environment" // the container is as the repository's devcontainer.json says; left out when there is none
	StepAgent       StepName = "agent"       // the agent's process has started
	StepPush        StepName = "push"        // the branch goes through the git broker
)

// Step is one step of preparation or completion, reported when it is done. One that may take minutes is reported before, too,
// with UnderWay: then the event's Text is what the step has printed since it was last reported, as it was printed.
type Step struct {
	Name     StepName `json:"name"`
	MS       int64    `json:"ms"`             // how long it took, or takes so far, milliseconds
	Note     string   `json:"note,omitempty"` // one line for the person
	UnderWay bool     `json:"under_way,omitempty"`
}

// Tool is one use of a tool by the agent. Started and finished share an ID.
type Tool struct {
	ID       string `json:"id"`
	Name     string `json:"name"`               // as the agent calls it: Bash, Edit …
	Title    string `json:"title,omitempty"`    // one line: the command, the file
	Location string `json:"location,omitempty"` // path[:line] within the repository
	Output   string `json:"output,omitempty"`   // finished: what it printed, its end kept when cut
	Diff     string `json:"diff,omitempty"`     // finished: unified diff of what it changed
	Exit     *int   `json:"exit,omitempty"`     // finished: exit code of a command
	Failed   bool   `json:"failed,omitempty"`
	MS       int64  `json:"ms,omitempty"`
}

// PlanItem is one line of an agent's plan; Status is pending, active or done.
type PlanItem struct {
	Text   string `json:"text"`
	Status string `json:"status"`
}

// Usage is what was used since the last Used event: tokens, and money in millionths of a US dollar.
type Usage struct {
	Model      string `json:"model,omitempty"`
	Input      int64  `json:"input"`
	Output     int64  `json:"output"`
	CacheRead  int64  `json:"cache_read,omitempty"`
	CacheWrite int64  `json:"cache_write,omitempty"`
	MicroUSD   int64  `json:"micro_usd,omitempty"`
}

// Ask says that the agent stays where it is until it has an answer. An Asked event without one is only told: the agent
// ends, or goes on without.
type Ask struct {
	ID      string   `json:"id"`                // the driver's: the answer carries it back. One of a kind within the attempt
	Options []string `json:"options,omitempty"` // answers that the agent offers; any other words do as well
}

// MaxAskID bounds an Ask's ID, bytes.
const MaxAskID = 200

// Notice is what a Noticed event is about: something that was refused to a workspace, left out, or cut. Subject names it as
// a person would allow or mend it: a host, a property of devcontainer.json, a file.
type Notice struct {
	Code    string `json:"code"`              // what kind of notice, for a page to sort by: host_refused, output_cut …
	Subject string `json:"subject,omitempty"` // one line
}

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"    // the agent says that it did what was asked
	Died    Outcome = "died"    // the agent's process or its workspace ended without saying so
	GaveUp  Outcome = "gaveup"  // the agent says that it cannot
	Stopped Outcome = "stopped" // it was stopped on request
	Lost    Outcome = "lost"    // the node restarted under the agent: worth another attempt
)

// End closes an attempt. Outcome is the agent's word: whether commits arrived is the git broker's.
type End struct {
	Outcome  Outcome `json:"outcome"`
	Headline string  `json:"headline,omitempty"` // one line on what was done: title of the pull request
	Summary  string  `json:"summary,omitempty"`  // what and why, Markdown: body of the pull request
	Reason   string  `json:"reason,omitempty"`   // when not done: for the person
	Left     bool    `json:"left,omitempty"`     // uncommitted changes stay behind in the workspace
}

var kinds = map[Kind]func(Event) bool{
	Stepped:      func(e Event) bool { return e.Step != nil && e.Step.Name != "" },
	Said:         func(e Event) bool { return e.Text != "" },
	Thought:      func(e Event) bool { return e.Text != "" },
	ToolStarted:  func(e Event) bool { return e.Tool != nil && e.Tool.ID != "" },
	ToolFinished: func(e Event) bool { return e.Tool != nil && e.Tool.ID != "" },
	Planned:      func(e Event) bool { return len(e.Plan) > 0 },
	Asked: func(e Event) bool {
		return e.Text != "" && (e.Ask == nil || e.Ask.ID != "" && len(e.Ask.ID) <= MaxAskID)
	},
	Answered: func(e Event) bool { return e.Text != "" },
	Retried:  func(e Event) bool { return e.Text != "" },
	Noticed:  func(e Event) bool { return e.Text != "" && e.Notice != nil && e.Notice.Code != "" },
	Used:     func(e Event) bool { return e.Usage != nil },
	Finished: func(e Event) bool { return e.End != nil && e.End.Outcome != "" },
}

// ErrEvent is what ParseEvent's errors wrap.
var ErrEvent = errors.New("not an event")

// ParseEvent reads an event as a node sends it. It refuses, with an error that wraps ErrEvent, what is larger than
// MaxEvent, of no known kind, without a positive Seq, or without what its kind needs: a node's words are untrusted.
func ParseEvent(data []byte) (Event, error) {
	if len(data) > MaxEvent {
		return Event{}, fmt.Errorf("%w: %d bytes, at most %d", ErrEvent, len(data), MaxEvent)
	}
	var e Event
	if err := json.Unmarshal(data, &e); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	complete, ok := kinds[e.Kind]
	switch {
	case !ok:
		return Event{}, fmt.Errorf("%w: kind %q", ErrEvent, e.Kind)
	case e.Seq < 1:
		return Event{}, fmt.Errorf("%w: sequence number %d", ErrEvent, e.Seq)
	case !complete(e):
		return Event{}, fmt.Errorf("%w: %s without its body", ErrEvent, e.Kind)
	}
	return e, nil
}
