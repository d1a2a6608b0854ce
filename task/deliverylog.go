package task

import "time"

// LogCursor is how far the App's delivery log was read. The zero one is its beginning: GitHub keeps a few days. It is
// kept as JSON.
type LogCursor struct {
	Since time.Time `json:"since,omitzero"` // what was delivered before is done with, GitHub's clock
	// While a long log is read in several goes: the page to go on with, from newer to older, and the newest delivery seen.
	Page   string    `json:"page,omitempty"`
	Newest time.Time `json:"newest,omitzero"`
}

// Logged is a delivery as the App's delivery log has it: all attempts under one GUID.
type Logged struct {
	Missed
	Event        string    `json:"event"`
	Action       string    `json:"action,omitempty"`
	Installation int64     `json:"installation,omitempty"`
	Repository   int64     `json:"repository,omitempty"`
	At           time.Time `json:"at"`        // the newest attempt, GitHub's clock
	Attempts     int       `json:"attempts"`  // of those read
	Delivered    bool      `json:"delivered"` // SAM answered one of them with 2xx
}
