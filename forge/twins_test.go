package forge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sam/sandbox/github"
	"sam/task"
)

// lag has GitHub's lists of comments be empty for the next n reads, as right after a creation.
func (d *desk) lag(n int) {
	d.between.altering(func(path string, body []byte) []byte {
		if n > 0 && strings.HasPrefix(path, "GET ") && strings.HasSuffix(path, "/comments") {
			n--
			return []byte("[]")
		}
		return body
	})
}

// loseAnswer has the next creation of a comment be obeyed and answered with 502.
func (d *desk) loseAnswer() {
	d.t.Helper()
	d.strike(github.Rule{Kind: github.BadGatewayAfter, Method: http.MethodPost, Path: "/repos/*/*/issues/*/comments", Next: 1})
}

// minute has everything delivered that is due within one.
func (d *desk) minute() {
	d.t.Helper()
	for range 60 {
		d.deliver()
		d.pass(time.Second)
	}
}

func TestACommentThatWasMadeTwiceIsThereOnceWithinAMinute(t *testing.T) {
	for name, effect := range map[string]func(task.Spec) task.Effect{
		"a reply":    func(s task.Spec) task.Effect { return task.ReplyEffect(s.Project, 1, "comment-1", "Say more.") },
		"a closing":  task.ClosingEffect,
		"a question": func(s task.Spec) task.Effect { return task.QuestionEffect(s, "1", "Red or blue?") },
		"a status":   task.StatusEffect,
	} {
		t.Run(name, func(t *testing.T) {
			d := newTimedDesk(t)
			spec := d.issue()
			_, err := d.ledger.CreateTask(t.Context(), spec, task.Change{})
			d.check(err)
			owed := effect(spec)
			d.owe(owed)
			d.loseAnswer()
			d.lag(2)
			d.deliver()
			d.pass(time.Second)
			d.deliver()
			before := d.comments(1)
			if got := d.ours(1); len(got) != 2 {
				t.Fatalf("%d of SAM's comments are there, want a twin to remove", len(got))
			}
			d.minute()
			after := d.comments(1)
			if len(d.ours(1)) != 1 || after[len(after)-1].ID != before[1].ID {
				t.Errorf("a minute later there are %q, want the oldest alone", d.ours(1))
			}
			if owing, err := d.ledger.Owing(t.Context()); err != nil || len(owing) != 0 {
				t.Errorf("still owed: %v, %v", owing, err)
			}
			if !strings.HasPrefix(owed.Target, "status:") {
				return
			}
			job, err := d.ledger.Task(t.Context(), spec.ID)
			if err != nil || job.StatusComment != before[1].ID {
				t.Errorf("the task's status comment is %d, %v; want %d", job.StatusComment, err, before[1].ID)
			}
		})
	}
}

func TestADelivererThatWasOvertakenLeavesNoTwin(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	d.owe(task.ReplyEffect(spec.Project, 1, "comment-1", "Say more."))
	other := d.desk(d.ledger.Store) // connects anew, past the same transport
	d.between.refusing(func(r *http.Request) *http.Response {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/comments") {
			d.between.refusing(nil) // the first stands still here, for longer than it holds the effect
			d.pass(61 * time.Second)
			other.deliver()
		}
		return nil
	})
	d.deliver()
	if got := d.ours(1); len(got) != 2 || len(other.ledger.settled) != 1 {
		t.Fatalf("%q are there and the other settled %v, want that both made it", got, other.ledger.settled)
	}
	d.minute()
	if got := d.ours(1); len(got) != 1 {
		t.Errorf("a minute later there are %q", got)
	}
}

func TestAReplyThatIsOwedAgainWhileGitHubsListLagsIsThereOnce(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	reply := task.ReplyEffect(spec.Project, 1, "comment-1", "Say more.")
	d.owe(reply)
	d.deliver()
	d.owe(reply) // the same event under another GUID
	d.lag(1)
	d.deliver()
	d.minute()
	d.minute()
	if got := d.ours(1); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
	if owing, err := d.ledger.Owing(t.Context()); err != nil || len(owing) != 0 {
		t.Errorf("still owed: %v, %v", owing, err)
	}
}

func TestNobodyElsesCommentIsTakenForATwin(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	const mark = "<!-- sam:reply:comment-1 -->"
	for range 2 {
		_, err := d.hub.CreateComment("zoe", "octo", "hello", 1, mark)
		d.check(err)
	}
	d.loseAnswer()
	d.owe(task.ReplyEffect(spec.Project, 1, "comment-1", "Say more."))
	d.minute()
	if got := d.comments(1); len(got) != 4 || len(d.ours(1)) != 1 {
		t.Errorf("%d comments are left, want the one that asked, two of zoe's and one of SAM's", len(got))
	}
}

func TestACommentThatIsMadeAtOnceOwesNoLookForTwins(t *testing.T) {
	d := newTimedDesk(t)
	spec := d.issue()
	d.owe(task.ReplyEffect(spec.Project, 1, "comment-1", "Say more."))
	d.deliver()
	if len(d.ledger.settled) != 1 {
		t.Errorf("settled %v", d.ledger.settled)
	}
	d.minute()
	if len(d.ledger.settled) != 1 {
		t.Errorf("a minute later: settled %v, want the reply alone", d.ledger.settled)
	}
}
