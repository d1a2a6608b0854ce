package task

import (
	"fmt"
	"slices"
	"time"
)

// ThreadState is what GitHub says now of what a task stands on.
type ThreadState struct {
	Gone        bool      // the issue or pull request was deleted, or moved to another repository
	CommentGone bool      // the comment that asked was deleted; false for a task that no comment asked for
	ClosedAt    time.Time // when the issue or pull request was closed, GitHub's clock; zero while it is open
	// ByMerge: an issue was closed by the merge of SAM's own pull request for it.
	ByMerge bool
	// Pull is what became of the pull request that the task's record names.
	Pull PullState
}

// PullState is where a pull request stands.
type PullState string

// The states of a pull request.
const (
	PullNone   PullState = "" // the task has none yet
	PullOpen   PullState = "open"
	PullMerged PullState = "merged"
	PullClosed PullState = "closed" // and not merged
)

// Unwanted says for the person why a task is not wanted any more by what GitHub says now, "" when it still is. A thread
// that was closed before the task was asked for is no reason: people do ask on closed issues. Now is by the clock of t.Accepted:
// right after an event GitHub may deny what it told of, so a comment counts as gone only a while later.
func (s ThreadState) Unwanted(t Task, now time.Time) string {
	kind := "Issue"
	if t.OnPull {
		kind = "Pull request"
	}
	onBranch := slices.Contains([]State{Preparing, Running, Waiting, Publishing}, t.State)
	switch {
	case s.Gone:
		return fmt.Sprintf("%s #%d was deleted or moved to another repository.", kind, t.Number)
	case s.CommentGone && now.Sub(t.Accepted) > settles:
		return CommentDeleted
	case onBranch && (s.Pull == PullMerged || s.Pull == PullClosed):
		return fmt.Sprintf("Pull request #%d was %s while SAM worked on its branch `%s`. What was pushed is still there. Ask again for what is left to do.",
			t.Pull, s.Pull, t.Branch)
	case s.ClosedAt.IsZero() || s.ClosedAt.Before(t.Created) || s.ByMerge:
		return ""
	case t.OnPull:
		return fmt.Sprintf("Pull request #%d was merged or closed. Ask on an issue for what is left to do, or reopen it and ask again.", t.Number)
	default:
		return fmt.Sprintf("Issue #%d was closed. Reopen it and ask again if this is still wanted.", t.Number)
	}
}

// settles is how long GitHub's reads may lag behind its events.
const settles = time.Minute

// CommentDeleted is why a task is not wanted any more when the comment that asked is gone.
const CommentDeleted = "The comment that asked was deleted."
