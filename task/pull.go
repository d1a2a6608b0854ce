package task

// Branch is where a task's commits go.
type Branch struct {
	Name    string // without refs/heads/
	Base    string // where it starts from, and what the pull request is for
	Rewrite bool   // SAM made the branch, so it may be rewritten
	Pull    int    // the open pull request it belongs to, 0 for none yet
	PullURL string
}

// PullRequest is what a task ends in.
type PullRequest struct {
	Number int
	URL    string
}

// UnusableError says for the person why GitHub will not take what the task wants, now or later.
type UnusableError struct{ Reason string }

func (e UnusableError) Error() string { return e.Reason }
