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
	// ErrSuspended: the account's owner has suspended the App there. GitHub answers nothing until that is undone.
	ErrSuspended = errors.New("the installation is suspended")
	// ErrNoRoom: what keeps the records is nearly full, so it takes no new task. What is under way goes on.
	ErrNoRoom = errors.New("no room for a new task")
	// ErrFull: the node has no free slot, is not ready, or serves another account.
	ErrFull = errors.New("the node cannot take the task")
	// ErrRefused: who asks has not shown that it may. What wraps it says why.
	ErrRefused = errors.New("refused")
	// ErrOtherKey, beside ErrRefused: another key was bound to the node before.
	ErrOtherKey = errors.New("the node has another key")
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

// Missed is a delivery that GitHub made without success, as the App's delivery log has it.
type Missed struct {
	ID   int64  `json:"id"` // the newest attempt's, by which it can be sent again
	GUID string `json:"guid"`
}

// MissedLog is what is known of missed deliveries from one look at GitHub's log to the next.
type MissedLog struct {
	Cursor  LogCursor          `json:"cursor"`
	Waiting map[string]Awaited `json:"waiting"` // by GUID: those that have not arrived yet
	// Doubt: Redis has lost data, so a delivery that GitHub made with success counts as missed too unless Redis has seen it.
	Doubt bool `json:"doubt,omitempty"`
}

// Awaited is a delivery that GitHub was asked for again, or is to be.
type Awaited struct {
	ID    int64     `json:"id"`
	Since time.Time `json:"since"` // when it was first missed, Redis's clock
	Asked int       `json:"asked"`
	Last  time.Time `json:"last,omitzero"`
}

// Heard is what is known of a comment that may ask for something, whichever of its events came first.
type Heard struct {
	Created  bool      // its creation was seen
	Deleted  bool      // it was deleted
	Edited   bool      // the words are an edit's
	Words    string    // the newest by At
	At       time.Time // when the words were written, GitHub's clock in whole seconds
	Commands int       // the most commands that any of its versions held
}

// Effect is something owed to GitHub. Target names what it changes ("status:<task>"): a newer effect for a target
// replaces one that still waits. Body is the deliverer's own.
type Effect struct {
	Target string `json:"target"`
	Body   string `json:"body"`
}

// OwedTo names one queue of owed effects: an installation has one in every partition of the store that holds a project of
// its.
type OwedTo struct {
	Partition    string
	Installation int64
}

// Owed is an effect taken for delivery. Attempts counts from 1 and starts anew with each version. Hold names the taking:
// whoever lets the effect go says by it that it is still his.
type Owed struct {
	Effect
	OwedTo
	Version  string
	Attempts int
	Hold     string
}

// Field is a part of a task's record that a Change may write.
type Field string

// The fields. Numbers are decimal, truths are 1 or 0.
const (
	FieldWorkspace Field = "workspace"
	FieldBranch    Field = "branch"
	FieldBase      Field = "base"
	FieldRewrite   Field = "rewrite"
	FieldTip       Field = "tip"
	FieldUntrusted Field = "untrusted"
	FieldPull      Field = "pull"
	FieldPullURL   Field = "pull_url"
	FieldHeadline  Field = "headline"
	FieldSummary   Field = "summary"
	FieldWaits     Field = "waits"
	FieldFailure   Field = "failure"
	FieldNode      Field = "node"
	FieldAvoid     Field = "avoid"
	FieldSought    Field = "sought"   // when it began to look for a node, milliseconds
	FieldNodeless  Field = "nodeless" // a node is all that it waits for: one may be made for it
	// FieldSilence is how long the attempt may give no sign before its node's lease is not renewed any more, milliseconds.
	FieldSilence Field = "silence"
	// FieldSettings are the project's Settings as the attempt has them, JSON.
	FieldSettings Field = "settings"
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
	Last    int64     // the number of the last of them
	Started bool      // the agent's process runs
	Spoke   bool      // the agent itself did something that a person can see
	Asked   *Question // it stays where it is until this is answered
	End     *End      // the attempt is over
}

// Note adds what one more event means.
func (p *Progress) Note(e Event) {
	p.Last = max(p.Last, e.Seq)
	switch {
	case e.Kind == Stepped:
		p.Started = p.Started || e.Step.Name == StepAgent
	case e.Kind == Finished:
		p.End = e.End
	default:
		p.Spoke = true
	}
	if e.Kind == Asked && e.Ask != nil {
		p.Asked = newQuestion(e)
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
	CommandStart  CommandKind = "start"
	CommandStop   CommandKind = "stop"
	CommandAnswer CommandKind = "answer" // to a question of the agent's
	CommandDrop   CommandKind = "drop"   // the task is over: forget its spool
)

// Command is one entry of a node's command stream.
type Command struct {
	ID     string      `json:"-"` // the store's, to confirm it by
	Kind   CommandKind `json:"kind"`
	Task   ID          `json:"task"`
	Epoch  int64       `json:"epoch"`
	Reason string      `json:"reason,omitempty"`
	Prompt string      `json:"prompt,omitempty"` // start: what the agent is told
	Ask    string      `json:"ask,omitempty"`    // answer: the question's ID
	Text   string      `json:"text,omitempty"`   // answer: the person's words
}

func (c Command) String() string { return fmt.Sprintf("%s %s/%d", c.Kind, c.Task, c.Epoch) }
