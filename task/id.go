package task

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"time"
)

// ID names a task: "t" and 16 characters of lower-case base32, 80 bits of a hash of what asked for it. The same request
// gives the same ID for ever, so a duplicate that arrives a month later cannot make a second task.
type ID string

// Source is the event on GitHub or on the web that asked for a task, as a stable string. See CommentSource, LabelSource.
type Source string

// CommentSource is the issue comment with GitHub's id.
func CommentSource(comment int64) Source { return Source("comment:" + strconv.FormatInt(comment, 10)) }

// LabelSource is one labelling of an issue: GitHub gives such an event no id, so the issue's id, the label and the
// issue's updated_at (whole seconds) stand for it. A redelivery repeats all three; labelling again later does not.
func LabelSource(issue int64, label string, at time.Time) Source {
	return Source(fmt.Sprintf("label:%d:%s:%d", issue, label, at.Unix()))
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID is the ID of the index-th command (from 0) of a source in the repository with GitHub's id.
func NewID(repository int64, source Source, index int) ID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%d", repository, source, index))
	return ID("t" + idEncoding.EncodeToString(sum[:10]))
}

// ThreadID names a thread: an issue or pull request is "<repository id>-<number>".
type ThreadID string

// IssueThread is the thread of an issue or pull request: on GitHub they share their numbers.
func IssueThread(repository int64, number int) ThreadID {
	return ThreadID(fmt.Sprintf("%d-%d", repository, number))
}
