package task

import (
	"errors"
	"fmt"
	"time"
)

// Errors of whoever keeps the domain's records; compare with errors.Is.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrStale: the record has moved on since the caller read it; what the caller wanted to write was not written.
	ErrStale = errors.New("stale")
	// ErrFull: the node has no free slot, is not ready, or serves another account.
	ErrFull = errors.New("the node cannot take the task")
)

// NotYoursError says why a task could not be claimed: busy (another holds it), turn (others of its thread come first),
// final, missing, or moved (it changed hands meanwhile).
type NotYoursError struct{ Why string }

func (e NotYoursError) Error() string { return "the task cannot be claimed: " + e.Why }

// Delivery is what SAM keeps of one of GitHub's.
type Delivery struct {
	ID    string    // GitHub's GUID
	Event string    // issue_comment, issues …
	Body  []byte    // what SAM uses of the payload, JSON
	At    time.Time // when it was recorded, Redis's clock
}

// Effect is something owed to GitHub. Target names what it changes ("status:<task>"): a newer effect for a target
// replaces one that still waits. Body is the deliverer's own.
type Effect struct {
	Target string `json:"target"`
	Body   string `json:"body"`
}

// Owed is an effect taken for delivery. Attempts counts from 1 and starts anew with each version.
type Owed struct {
	Effect
	Installation int64
	Version      string
	Attempts     int
}

// Field is a part of a task's record that a Change may write.
type Field string

// The fields. Numbers are decimal, truths are 1 or 0.
const (
	FieldWorkspace Field = "workspace"
	FieldBranch    Field = "branch"
	FieldBase      Field = "base"
	FieldRewrite   Field = "rewrite"
	FieldPull      Field = "pull"
	FieldPullURL   Field = "pull_url"
	FieldHeadline  Field = "headline"
	FieldSummary   Field = "summary"
	FieldWaits     Field = "waits"
	FieldFailure   Field = "failure"
	FieldNode      Field = "node"
)

// Change is what a step of a task writes beside its state. The zero Change writes nothing.
type Change struct {
	Fields  map[Field]string
	Entry   *Entry // for the project's conversation
	Effects []Effect
}

// Claimed is a task that its claimer may decide about until its lease ends, and how its agent's attempt ended: nil when
// it did not, because the task is new or its node is lost.
type Claimed struct {
	Task
	End *End
}

// Progress is what a run of events means for a task.
type Progress struct {
	Started bool // the agent's process runs
	Spoke   bool // the agent itself did something that a person can see
	End     *End // the attempt is over
}

// Note adds what one more event means.
func (p *Progress) Note(e Event) {
	switch {
	case e.Kind == Stepped:
		p.Started = p.Started || e.Step.Name == StepAgent
	case e.Kind == Finished:
		p.End = e.End
	default:
		p.Spoke = true
	}
}

// Numbered is one event as the node sent it, and the number it carries.
type Numbered struct {
	Seq  int64
	JSON []byte
}

// CommandKind is what a node is told to do.
type CommandKind string

// The kinds of command.
const (
	CommandStart CommandKind = "start"
	CommandStop  CommandKind = "stop"
	CommandDrop  CommandKind = "drop" // the task is over: forget its spool
)

// Command is one entry of a node's command stream.
type Command struct {
	ID     string      `json:"-"` // its stream id
	Kind   CommandKind `json:"kind"`
	Task   ID          `json:"task"`
	Epoch  int64       `json:"epoch"`
	Reason string      `json:"reason,omitempty"`
	Prompt string      `json:"prompt,omitempty"` // start: what the agent is told
}

func (c Command) String() string { return fmt.Sprintf("%s %s/%d", c.Kind, c.Task, c.Epoch) }
