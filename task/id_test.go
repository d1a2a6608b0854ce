package task_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sam/task"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Were one of these to change, a redelivery from before the change would make a second task.
func TestAnIDIsTheSameForEver(t *testing.T) {
	for _, c := range []struct {
		repository int64
		source     task.Source
		index      int
		want       task.ID
	}{
		{1, task.CommentSource(1), 0, "t4ggpywrq7pypilqho5"},
		{1, task.CommentSource(1), 1, "t4gugeajnzzfb2c5s6t"},
		{1296269, task.CommentSource(2_147_483_648_123), 0, "tdz3xfxlqfd2otriqrb"},
		{1296269, task.LabelSource(73464126, "sam", noon), 0, "tdzbkg7clrf5kk5w2fb"},
	} {
		if got := task.NewID(c.repository, c.source, c.index); got != c.want {
			t.Errorf("NewID(%d, %s, %d) = %q, want %q", c.repository, c.source, c.index, got, c.want)
		}
	}
	if got, want := task.CommentSource(42), task.Source("comment:42"); got != want {
		t.Errorf("a comment's source is %q, want %q", got, want)
	}
	if got, want := task.LabelSource(7, "sam", noon.Add(900*time.Millisecond)), task.Source("label:7:sam:1795435200"); got != want {
		t.Errorf("a label's source is %q, want %q", got, want)
	}
	if got, want := task.IssueThread(1296269, 12), task.ThreadID("1296269-12"); got != want {
		t.Errorf("an issue's thread is %q, want %q", got, want)
	}
}

// Were one of these to change, what is in Redis would not be found.
func TestARepositorysBucketIsTheSameForEver(t *testing.T) {
	for repository, want := range map[int64]int{1: 902, 2: 115, 7: 258, 1296269: 121, 1<<62 + 1: 687} {
		if got := task.Bucket(repository); got != want {
			t.Errorf("Bucket(%d) = %d, want %d", repository, got, want)
		}
	}
	for id, want := range map[task.ID]int{"taaxxxxxxxxxxxxxxxx": 0, "tabxxxxxxxxxxxxxxxx": 1, "tbaxxxxxxxxxxxxxxxx": 32, "t77xxxxxxxxxxxxxxxx": task.Buckets - 1, "": 0, "t!a": 0} {
		if got := id.Bucket(); got != want {
			t.Errorf("%q.Bucket() = %d, want %d", id, got, want)
		}
	}
}

func TestRepositoriesSpreadOverTheBuckets(t *testing.T) {
	const repositories = 100 * task.Buckets
	count := make([]int, task.Buckets)
	for r := range int64(repositories) {
		count[task.Bucket(1_000_000+r)]++
	}
	if least, most := slices.Min(count), slices.Max(count); least < 50 || most > 150 {
		t.Errorf("of %d repositories one bucket has %d and another %d", repositories, least, most)
	}
}

func TestWhatDiffersInAnythingHasAnotherID(t *testing.T) {
	shape := regexp.MustCompile(`^t[a-z2-7]{18}$`)
	type asked struct {
		repository int64
		source     task.Source
		index      int
	}
	seen := map[task.ID]asked{}
	rapid.Check(t, func(t *rapid.T) {
		var a asked
		a.repository = rapid.Int64Range(1, 50).Draw(t, "repository")
		a.index = rapid.IntRange(0, 9).Draw(t, "index")
		a.source = task.CommentSource(rapid.Int64Range(1, 50).Draw(t, "comment"))
		if rapid.Bool().Draw(t, "label") {
			a.source = task.LabelSource(rapid.Int64Range(1, 50).Draw(t, "issue"), rapid.SampledFrom([]string{"sam", "SAM"}).Draw(t, "name"),
				noon.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "seconds"))*time.Second))
		}
		id := task.NewID(a.repository, a.source, a.index)
		if !shape.MatchString(string(id)) {
			t.Fatalf("%q is not t and 18 characters of base32", id)
		}
		if got, want := id.Bucket(), task.Bucket(a.repository); got != want {
			t.Fatalf("%q says bucket %d, and its repository's is %d", id, got, want)
		}
		if other, ok := seen[id]; ok && other != a {
			t.Fatalf("%+v and %+v are both %s", a, other, id)
		}
		seen[id] = a
	})
}

func TestTasksOfAThreadTakeTurnsByTimeThenCommentThenCommand(t *testing.T) {
	inOrder := []task.Spec{
		{ID: "tz", Created: noon, Comment: 0},
		{ID: "ty", Created: noon, Comment: 9, Index: 0},
		{ID: "tx", Created: noon, Comment: 9, Index: 2},
		{ID: "tw", Created: noon, Comment: 9, Index: 10},
		{ID: "tv", Created: noon, Comment: 10, Index: 0},
		{ID: "tu", Created: noon, Comment: 2_147_483_648, Index: 0},
		{ID: "tt", Created: noon.Add(time.Millisecond), Comment: 1},
		{ID: "ta", Created: noon.Add(time.Second), Comment: 1},
	}
	type turn struct {
		score  int64
		member string
	}
	turns := make([]turn, len(inOrder))
	for i, s := range inOrder {
		score, member := s.Turn()
		turns[i] = turn{score, member}
		if !strings.HasSuffix(member, ":"+string(s.ID)) {
			t.Errorf("the member %q does not end in its task %s", member, s.ID)
		}
	}
	// As Redis orders a sorted set: by score, then by the member's bytes.
	if !slices.IsSortedFunc(turns, func(a, b turn) int {
		if a.score != b.score {
			return int(a.score - b.score)
		}
		return strings.Compare(a.member, b.member)
	}) {
		t.Errorf("out of order: %v", turns)
	}
}
