package task

import (
	"strconv"
	"strings"
	"time"
)

// Project is one repository that the App is installed on. Its ID is GitHub's id of the repository, which survives
// renames and transfers.
type Project struct {
	ID            int64  `json:"id"`
	Installation  int64  `json:"installation"`
	Account       int64  `json:"account"` // GitHub's id of the user or organisation that owns the repository
	Owner         string `json:"owner"`
	Name          string `json:"name"`
	DefaultBranch string `json:"default_branch,omitempty"`
	Private       bool   `json:"private"`
}

// FullName is "owner/name".
func (p Project) FullName() string { return p.Owner + "/" + p.Name }

// Spec is what a task was asked to do: fixed when it is created.
type Spec struct {
	ID           ID       `json:"id"`
	Project      int64    `json:"project"`
	Installation int64    `json:"installation"`
	Account      int64    `json:"account"`
	Repository   string   `json:"repository"` // owner/name when the task was created
	Thread       ThreadID `json:"thread"`
	Number       int      `json:"number"`             // of the issue or pull request
	OnPull       bool     `json:"on_pull"`            // Number is a pull request
	Title        string   `json:"title"`              // of the issue or pull request
	Body         string   `json:"body"`               // of the issue or pull request, cut to 64 KiB
	BodyCut      bool     `json:"body_cut,omitempty"` // Body is its beginning only: the whole lies in the blob store
	Request      string   `json:"request"`            // what the person asked for, Markdown
	Requester    string   `json:"requester"`          // GitHub login
	RequesterID  int64    `json:"requester_id"`
	Source       Source   `json:"source"`
	Comment      int64    `json:"comment,omitempty"` // GitHub's id of the comment that asked, 0 for a label
	Index        int      `json:"index"`             // which command of the comment
	Agent        string   `json:"agent"`             // the driver to use
	// Created is when the request was made by GitHub's clock, Accepted when SAM had it in Redis by Redis's clock.
	Created  time.Time `json:"created"`
	Accepted time.Time `json:"accepted"`
}

// Turn orders tasks in a thread: by the creation time of what asked, then its comment id, then the command's index.
// It returns a score in milliseconds and a member that breaks ties in byte order and ends in ":<task id>".
func (s Spec) Turn() (score int64, member string) {
	comment := strconv.FormatInt(s.Comment, 10)
	index := strconv.Itoa(s.Index)
	return s.Created.UnixMilli(), pad(comment, 20) + "." + pad(index, 4) + ":" + string(s.ID)
}

func pad(digits string, width int) string {
	return strings.Repeat("0", max(0, width-len(digits))) + digits
}

// Task is a request and how far it has come.
type Task struct {
	Spec
	State State `json:"state"`
	Epoch int64 `json:"epoch"` // grows with every claim; what carries an older one writes nothing

	Node      string `json:"node,omitempty"`      // the node it was placed on
	Workspace string `json:"workspace,omitempty"` // the kind of workspace it ran in: process, docker
	Branch    string `json:"branch,omitempty"`    // the one branch it may push, without refs/heads/
	Base      string `json:"base,omitempty"`      // the branch it starts from and the pull request goes to
	Rewrite   bool   `json:"rewrite,omitempty"`   // SAM made Branch, so a non-fast-forward push is its right
	Tip       string `json:"tip,omitempty"`       // the commit on Branch before the first attempt, NoCommit for none
	Untrusted bool   `json:"untrusted,omitempty"` // what is on Branch may be by people who may not write to the project
	Head      string `json:"head,omitempty"`      // the commit on Branch by the git broker's own record
	Pushing   string `json:"pushing,omitempty"`   // the commit of a push that was begun, while it is not known what became of it
	Attempts  int    `json:"attempts,omitempty"`  // how many nodes it was given to
	Last      int64  `json:"last,omitempty"`      // sequence number of the last event stored, over all epochs
	Noted     int64  `json:"noted,omitempty"`     // and of the last whose meaning for the task was noted: the same, or a little behind

	Pull          int      `json:"pull,omitempty"` // number of the pull request
	PullURL       string   `json:"pull_url,omitempty"`
	StatusComment int64    `json:"status_comment,omitempty"`
	Headline      string   `json:"headline,omitempty"` // the agent's one line on what it did
	Summary       string   `json:"summary,omitempty"`  // the agent's account of it, Markdown
	Misused       []Misuse `json:"misused,omitempty"`  // its token was shown where it opens nothing, and no event tells of it
	Waits         string   `json:"waits,omitempty"`    // for the person: why it does not go on, and what helps
	Nodeless      bool     `json:"nodeless,omitempty"` // and that a node is all that it waits for
	Failure       string   `json:"failure,omitempty"`  // for the person: what happened, why, what to do next
	// Cancel is why the task is not wanted any more, for the person; empty while it is. Whoever claims the task next ends
	// it with these words, whatever it was at.
	Cancel string `json:"cancel,omitempty"`
	Avoid  string `json:"avoid,omitempty"` // the node that lost it: the next attempt goes to another where there is one

	// Ask is the question that the task waits with, nil when it does not; Answers are what was asked and answered before,
	// over all attempts.
	Ask     *Question `json:"ask,omitempty"`
	Answers []Answer  `json:"answers,omitempty"`

	// Settings are what the project's file said when the task was placed last.
	Settings Settings `json:"settings,omitzero"`

	Spent Spent `json:"spent,omitzero"` // on the model, over all attempts

	// When the task first came into a state, when a runner last claimed it, when it began to look for a node, when the
	// agent's first event was stored, and when the attempt last gave a sign, its placing being the first: Redis's clock.
	At         map[State]time.Time `json:"at,omitempty"`
	Claimed    time.Time           `json:"claimed,omitzero"`
	Sought     time.Time           `json:"sought,omitzero"`
	FirstEvent time.Time           `json:"first_event,omitzero"`
	Progressed time.Time           `json:"progressed,omitzero"`
}

// Spent is what was spent on the model: tokens, money in millionths of a US dollar, and how many requests it took. It is
// the model broker's own count: an agent's word about its cost is not in it.
type Spent struct {
	Requests   int64 `json:"requests"`
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	MicroUSD   int64 `json:"micro_usd"`
}

// Exposed reports whether an agent that a model drives ran without isolation, as the node's own user. The demo's agent
// knows what it does and needs none.
func (t Task) Exposed() bool { return t.Workspace == "process" && t.Agent != "demo" }

// Took is the time from acceptance to the final state; zero while the task is under way.
func (t Task) Took() time.Duration {
	at, ok := t.At[t.State]
	if !t.State.Final() || !ok {
		return 0
	}
	return at.Sub(t.Accepted)
}

// Misuse is how a task's token was shown where it opens nothing.
type Misuse string

// The ways of it.
const (
	Elsewhere Misuse = "elsewhere" // not over the link of its node, while its attempt ran
	AfterEnd  Misuse = "after_end" // of its attempt
)
