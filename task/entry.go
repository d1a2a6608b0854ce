package task

// EntryKind is the kind of a conversation's entry.
type EntryKind string

// The kinds of entry.
const (
	EntryRequest  EntryKind = "request"  // a person asked for something
	EntryStarted  EntryKind = "started"  // a node took it up
	EntryQuestion EntryKind = "question" // the agent asked, and waits
	EntryAnswer   EntryKind = "answer"   // a person answered it
	EntryResult   EntryKind = "result"   // it ended, well or not
)

// Entry is one line of a project's conversation, which spans all its threads and outlives every machine.
type Entry struct {
	Kind   EntryKind `json:"kind"`
	Thread ThreadID  `json:"thread"`
	Number int       `json:"number"`
	Task   ID        `json:"task"`
	Author string    `json:"author,omitempty"` // GitHub login, empty for SAM itself
	Text   string    `json:"text"`             // Markdown
	State  State     `json:"state,omitempty"`  // the task's, for a result
	Pull   int       `json:"pull,omitempty"`
}
