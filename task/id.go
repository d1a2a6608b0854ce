package task

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Buckets is how many buckets repositories are spread over. It is fixed for ever: the bucket is part of a task's ID.
const Buckets = 1 << 10

// Bucket is the bucket, from 0 to Buckets-1, of the repository with GitHub's id. That id survives renames and transfers,
// so whatever is kept by bucket never has to move.
func Bucket(repository int64) int {
	sum := sha256.Sum256(strconv.AppendInt(nil, repository, 10))
	return int(binary.BigEndian.Uint16(sum[:]) % Buckets)
}

// ID names a task: "t", two characters of lower-case base32 for its repository's bucket, and 16 for 80 bits of a hash of
// what asked for it. The same request gives the same ID for ever, so a duplicate that arrives a month later cannot make a
// second task; and where a task is kept is known from its ID.
type ID string

// Bucket is the bucket of the task's repository; 0 for what is no ID.
func (id ID) Bucket() int {
	if len(id) < 3 {
		return 0
	}
	high, low := strings.IndexByte(idAlphabet, id[1]), strings.IndexByte(idAlphabet, id[2])
	if high < 0 || low < 0 {
		return 0
	}
	return high<<5 | low
}

// Source is the event on GitHub or on the web that asked for a task, as a stable string. See CommentSource, LabelSource.
type Source string

// CommentSource is the issue comment with GitHub's id.
func CommentSource(comment int64) Source { return Source("comment:" + strconv.FormatInt(comment, 10)) }

// LabelSource is one labelling of an issue: GitHub gives such an event no id, so the issue's id, the label and the
// issue's updated_at (whole seconds) stand for it. A redelivery repeats all three; labelling again later does not.
func LabelSource(issue int64, label string, at time.Time) Source {
	return Source(fmt.Sprintf("label:%d:%s:%d", issue, label, at.Unix()))
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

// NewID is the ID of the index-th command (from 0) of a source in the repository with GitHub's id.
func NewID(repository int64, source Source, index int) ID {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%d", repository, source, index))
	bucket := Bucket(repository)
	return ID("t" + idAlphabet[bucket>>5:bucket>>5+1] + idAlphabet[bucket&31:bucket&31+1] + idEncoding.EncodeToString(sum[:10]))
}

// ThreadID names a thread: an issue or pull request is "<repository id>-<number>". Its tasks are all of one repository, so
// it is kept where they are.
type ThreadID string

// IssueThread is the thread of an issue or pull request: on GitHub they share their numbers.
func IssueThread(repository int64, number int) ThreadID {
	return ThreadID(fmt.Sprintf("%d-%d", repository, number))
}
