package task

import (
	"fmt"
	"time"
)

// Branch is where a task's commits go.
type Branch struct {
	Name    string // without refs/heads/
	Base    string // where it starts from, and what the pull request is for
	Rewrite bool   // SAM made the branch, so it may be rewritten
	Pull    int    // the open pull request it belongs to, 0 for none yet
	PullURL string
	Tip     string // the commit it pointed at when it was chosen, NoCommit when it did not exist
	// Untrusted: what is on it may be by people who may not write to the project, as on a pull request from a fork. Its
	// workspaces are given no secrets.
	Untrusted bool
}

// NoCommit stands for the tip of a branch that does not exist, as it does in git's own protocol.
const NoCommit = "0000000000000000000000000000000000000000"

// PullRequest is what a task ends in.
type PullRequest struct {
	Number int
	URL    string
}

// UnusableError says for the person why GitHub will not take what the task wants, now or later.
type UnusableError struct{ Reason string }

func (e UnusableError) Error() string { return e.Reason }

// LaterError says that GitHub must not be called now: SAM keeps under its limits, or GitHub asked to be left alone.
// Nothing was done, and it may be tried again after the time.
type LaterError struct{ After time.Duration }

func (e LaterError) Error() string {
	return fmt.Sprintf("GitHub is not to be called before %s have passed: that keeps SAM under its limits", e.After.Round(time.Second))
}
